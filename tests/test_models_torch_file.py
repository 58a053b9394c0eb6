"""PyTorch's files read by NumPy: strides honoured, and nothing in them ever executed."""

import contextlib
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


def nested_key(levels):
    """A dictionary whose key is a tuple of a tuple twice, so deep: its hash takes 2**levels."""
    return b"\x80\x02})" + b"q\x01h\x01\x86" * levels + b"K\x01s."


def chain(path, body):
    """The older format: magic number, version, system, then `body`."""
    magic = b"\x80\x02\x8a\x0a" + 0x1950A86A20F9469CFC6C.to_bytes(10, "little") + b"."
    path.write_bytes(magic + b"\x80\x02M\xe9\x03." + b"\x80\x02}." + body)


def bomb_compressed(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        pickled = b"\x80\x02}(" + text("w") + tensor("0", 1 << 28, 0, (1 << 28,), (1,)) + b"u."
        file.writestr("net/data.pkl", pickled)
        file.writestr("net/data/0", bytes(1 << 27))


def bomb_claims(path):
    """The archive's directory says that its storage has 2 GB."""
    archive(path, {"w": tensor("0", 4, 0, (4,), (1,))}, {"0": bytes(16)})
    data = bytearray(path.read_bytes())
    entry = data.rindex(b"PK\x01\x02")
    data[entry + 20 : entry + 28] = struct.pack("<II", 1 << 31, 1 << 31)
    path.write_bytes(data)


def bomb_views(path):
    """Six thousand tensors of the whole storage each: 300 KB become 1.8 GB."""
    shared = b"q\x01".join([tensor("0", 75_000, 0, (75_000,), (1,)), b""])
    items = {"a": shared, **{str(i): b"h\x01" for i in range(6_000)}}
    archive(path, items, {"0": bytes(300_000)})


def bomb_key(path):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("net/data.pkl", nested_key(60))


def bomb_key_in_a_chain(path):
    chain(path, nested_key(60))


def bomb_storage_key(path):
    """The nested tuple where the key of a storage stands."""
    key = b")" + b"q\x01h\x01\x86" * 60
    with zipfile.ZipFile(path, "w") as file:
        pid = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + key + text("cpu") + number(1)
        file.writestr("net/data.pkl", b"\x80\x02" + pid + b"tQ.")


def bomb_message(path):
    """The nested tuple where an error might print it."""
    deep = b")" + b"q\x01h\x01\x86" * 60
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("net/data.pkl", b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n" + deep + b"R.")


def bomb_length(path):
    """An old file whose storage says that it has 2**60 numbers."""
    state = (
        b"\x80\x02}"
        + text("w")
        + tensor("0", 4, 0, (4,), (1,)).replace(
            number(4) + b"tQ", b"\x8a\x08" + (1 << 60).to_bytes(8, "little") + b"tQ"
        )
    )
    chain(path, state + b"s." + b"\x80\x02]" + text("0") + b"a." + struct.pack("<Q", 1 << 60))


def bomb_axes(path):
    """One tuple of 100,000 numbers that is the size of 50,000 tensors."""
    size = b"(" + b"K\x01" * 100_000 + b"tq\x02"
    first = tensor("0", 1, 0, (), ()).replace(numbers(()), size, 1)
    again = tensor("0", 1, 0, (), ()).replace(numbers(()), b"h\x02")
    archive(path, {"a": first, **{str(i): again for i in range(3_000)}}, {"0": bytes(4)})


def bomb_text(path):
    """A string of 2 GB, as its length says."""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("net/data.pkl", b"\x80\x02X" + struct.pack("<I", 1 << 31) + b"x.")


def bomb_steps(path):
    """Four million empty dictionaries, a byte each."""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("net/data.pkl", b"\x80\x02" + b"}" * (4 << 20) + b".")


@pytest.mark.parametrize(
    ("bomb", "words"),
    [
        (bomb_compressed, "compressed"),
        (bomb_claims, "claims more than"),
        (bomb_views, "its tensors would take"),
        (bomb_key, "keys of type tuple"),
        (bomb_key_in_a_chain, "keys of type tuple"),
        (bomb_storage_key, "no tensor's storage"),
        (bomb_message, "a tensor without a storage|another way"),
        (bomb_length, "claims more bytes than the file has"),
        (bomb_axes, "no tuple of at most"),
        (bomb_text, "expected 2147483648 bytes"),
        (bomb_steps, "more than 1048576 steps"),
    ],
)
def test_a_file_takes_no_more_time_and_memory_than_its_size_allows(tmp_path, bomb, words):
    import time
    import tracemalloc

    path = tmp_path / "bomb.pt"
    bomb(path)
    tracemalloc.start()
    begun = time.process_time()
    try:
        with pytest.raises(ValueError, match=f"bomb.pt cannot be read .*({words})"):
            read_tensors(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2**20 + 40 * path.stat().st_size
    assert time.process_time() - begun < 60  # not 2**60 steps


def test_an_encrypted_archive_and_nonsense_are_errors_of_one_line(tmp_path):
    path = tmp_path / "net.pt"
    archive(path, {"w": tensor("0", 4, 0, (4,), (1,))}, {"0": bytes(16)})
    data = bytearray(path.read_bytes())
    for mark, at in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        entry = data.index(mark)
        data[entry + at] |= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match="cannot be read as a PyTorch file"):
        read_tensors(path)


def test_damaged_files_are_read_or_refused_and_never_raise_anything_else(tmp_path):
    """Every byte of the pickle changed in turn, and files cut off at each length."""
    path = tmp_path / "net.pt"
    items = {"w": tensor("0", 4, 0, (2, 2), (2, 1)), "count": number(3)}
    pickled = b"\x80\x02}(" + b"".join(text(k) + v for k, v in items.items()) + b"u."
    rng = np.random.default_rng(0)
    for at in range(len(pickled)):
        for data in (
            pickled[:at] + bytes([rng.integers(256)]) + pickled[at + 1 :],
            pickled[:at],
        ):
            with zipfile.ZipFile(path, "w") as file:
                file.writestr("net/data.pkl", data)
                file.writestr("net/data/0", bytes(16))
            with contextlib.suppress(ValueError):  # whatever else comes out fails the test
                read_tensors(path)


def test_optimizer_states_beside_the_weights_are_passed_over(tmp_path):
    path = tmp_path / "net.pt"
    weights = b"}" + text("w") + tensor("0", 2, 0, (2,), (1,)) + b"s"
    momentum = b"}" + number(0) + tensor("1", 2, 0, (2,), (1,)) + b"s"  # keys are numbers
    items = text("model") + weights + text("optimizer") + momentum
    state = b"\x80\x02}(" + items + b"u."
    keys = b"\x80\x02](" + text("0") + text("1") + b"e."
    row = np.array([1, 2], "<f4").tobytes()
    chain(path, state + keys + (struct.pack("<Q", 2) + row) * 2)
    found = read_tensors(path)
    assert list(found) == ["w"]
    np.testing.assert_array_equal(found["w"], [1, 2])
