"""PyTorch's files read by NumPy: strides honoured, and nothing in them ever executed."""

import pickle
import struct
import zipfile

import numpy as np
import pytest

from kcnn.models import read_tensors


def text(value):
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def number(value):
    return b"J" + struct.pack("<i", value)


def numbers(values):
    return b"(" + b"".join(map(number, values)) + b"t"


def tensor(key, length, offset, size, stride, storage="FloatStorage"):
    """The opcodes that torch.save writes for one tensor."""
    pid = b"(" + text("storage") + f"ctorch\n{storage}\n".encode() + text(key) + text("cpu")
    pid += number(length) + b"tQ"
    rest = number(offset) + numbers(size) + numbers(stride) + b"\x89ccollections\nOrderedDict\n)R"
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + pid + rest + b"tR"


def archive(path, items, storages, *, order=None, state=b""):
    body = b"".join(text(name) + value for name, value in items.items())
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("net/data.pkl", b"\x80\x02}(" + body + b"u" + state + b".")
        if order:
            file.writestr("net/byteorder", order)
        for key, data in storages.items():
            file.writestr(f"net/data/{key}", data)


def test_strides_offsets_and_shared_storages(tmp_path):
    path = tmp_path / "net.pt"
    base = np.arange(24, dtype="<f4")
    items = {
        "whole": tensor("0", 24, 0, (2, 3, 4), (12, 4, 1)),
        "turned": tensor("0", 24, 0, (4, 3, 2), (1, 4, 12)),
        "every_other": tensor("0", 24, 1, (3,), (2,)),
        "one": tensor("0", 24, 23, (), ()),
        "none": tensor("0", 24, 0, (0, 4), (4, 1)),
    }
    archive(path, items, {"0": base.tobytes()})
    found = read_tensors(path)
    whole = base.reshape(2, 3, 4)
    np.testing.assert_array_equal(found["whole"], whole)
    np.testing.assert_array_equal(found["turned"], whole.transpose())
    np.testing.assert_array_equal(found["every_other"], [1, 3, 5])
    assert found["one"].shape == ()
    assert found["one"] == 23
    assert found["none"].shape == (0, 4)
    found["whole"][0, 0, 0] = -1  # each is the reader's own copy
    assert found["turned"][0, 0, 0] == 0


def test_element_types_and_byte_orders(tmp_path):
    path = tmp_path / "net.pt"
    items = {
        "half": tensor("0", 2, 0, (2,), (1,), "HalfStorage"),
        "long": tensor("1", 1, 0, (), (), "LongStorage"),
        "brain": tensor("2", 2, 0, (2,), (1,), "BFloat16Storage"),
    }
    brain = (np.array([1.5, -3.0], "<f4").view("<u4") >> 16).astype("<u2")
    data = {
        "0": np.array([0.5, 7], ">f2").tobytes(),
        "1": np.array(-5, ">i8").tobytes(),
        "2": brain.astype(">u2").tobytes(),
    }
    archive(path, items, data, order="big")
    found = read_tensors(path)
    np.testing.assert_array_equal(found["half"], [0.5, 7])
    assert found["long"] == -5
    np.testing.assert_array_equal(found["brain"], [1.5, -3.0])
    assert found["brain"].dtype == np.float32


def test_a_state_dict_inside_a_checkpoint_is_found(tmp_path):
    path = tmp_path / "net.pth"
    inner = b"}(" + text("w") + tensor("0", 2, 0, (2,), (1,)) + b"u"
    archive(path, {"epoch": number(3), "state_dict": inner}, {"0": bytes(8)})
    assert list(read_tensors(path)) == ["w"]


class Bomb:
    def __init__(self, call):
        self.call = call

    def __reduce__(self):
        return self.call


def hostile(tmp_path):
    """Pickles that would leave a mark if anything in them ran."""
    mark = tmp_path / "executed"
    yield mark, pickle.dumps(Bomb((open, (str(mark), "w"))), 2)
    yield mark, pickle.dumps({"w": Bomb((exec, (f"open({str(mark)!r}, 'w')",)))}, 2)
    yield mark, pickle.dumps(Bomb((eval, (f"open({str(mark)!r}, 'w')",))), 4)
    yield mark, b"\x80\x02cos\nsystem\n" + text(f"touch {mark}") + b"\x85R."
    yield mark, b"(S'touch " + str(mark).encode() + b"'\nios\nsystem\n."
    # names under an allowed module, and attempts to change what stands for torch's functions
    yield mark, b"\x80\x02ctorch._utils\n_import_dotted_name\n" + text("os.system") + b"\x85R."
    yield mark, b"\x80\x02ctorch\nload\n" + text(str(mark)) + b"\x85R."
    yield mark, b"\x80\x04" + text("collections") + text("OrderedDict.fromkeys") + b"\x93."
    change = b"}(" + text("__call__") + number(1) + b"ub."
    yield mark, b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n" + change
    yield mark, b"\x80\x02ctorch\nFloatStorage\n" + change


@pytest.mark.parametrize("i", range(10))
@pytest.mark.parametrize("form", ["zip", "chain"])
def test_pickles_that_ask_for_more_are_refused_and_never_run(tmp_path, i, form):
    mark, data = list(hostile(tmp_path))[i]
    path = tmp_path / "evil.pt"
    if form == "zip":
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("net/data.pkl", data)
    else:
        path.write_bytes(data)
    with pytest.raises(ValueError, match=r"evil\.pt cannot be read as a PyTorch file"):
        read_tensors(path)
    assert not mark.exists()


def test_the_refusal_names_what_was_asked_for(tmp_path):
    path = tmp_path / "evil.pt"
    path.write_bytes(b"\x80\x02cos\nsystem\n" + text("true") + b"\x85R.")
    with pytest.raises(ValueError, match=r"asks for os\.system; only tensors.*nothing is run"):
        read_tensors(path)


@pytest.mark.parametrize(
    ("size", "stride", "offset"),
    [((5,), (1,), 0), ((2,), (1,), 3), ((2, 2), (4, 1), 0), ((2,), (-1,), 2), ((9,), (0,), 0)],
)
def test_tensors_outside_their_storage_are_refused(tmp_path, size, stride, offset):
    path = tmp_path / "net.pt"
    archive(path, {"w": tensor("0", 4, offset, size, stride)}, {"0": bytes(16)})
    with pytest.raises(ValueError, match="a tensor of size"):
        read_tensors(path)


def test_missing_storages_and_empty_files_are_refused(tmp_path):
    path = tmp_path / "net.pt"
    archive(path, {"w": tensor("7", 4, 0, (4,), (1,))}, {"0": bytes(16)})
    with pytest.raises(ValueError, match="cannot be read"):
        read_tensors(path)
    archive(path, {"epoch": number(1)}, {})
    with pytest.raises(ValueError, match="no named tensors"):
        read_tensors(path)


@pytest.mark.parametrize("zipped", [True, False])
def test_reads_what_pytorch_writes(tmp_path, zipped):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    base = torch.randn(3, 4, 5)
    state = {
        "plain": base,
        "permuted": base.permute(2, 0, 1),
        "part": base[1:, ::2],
        "channels_last": torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last),
        "half": base.half(),
        "brain": base.bfloat16(),
        "count": torch.tensor(7),
        "flags": torch.tensor([True, False]),
        "parameter": torch.nn.Parameter(torch.randn(3)),
    }
    path = tmp_path / "net.pt"
    torch.save(state, path, _use_new_zipfile_serialization=zipped)
    found = read_tensors(path)
    assert list(found) == list(state)
    for name, value in state.items():
        expected = value.detach()
        expected = expected.float() if name == "brain" else expected
        np.testing.assert_array_equal(found[name], expected.numpy(), err_msg=name)
    module = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2))
    torch.save(module.state_dict(), path, _use_new_zipfile_serialization=zipped)
    assert list(read_tensors(path)) == list(module.state_dict())
