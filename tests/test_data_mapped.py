"""Arrays on disk: what is mapped, what is refused before it is read."""

import io
import os
import zipfile

import numpy as np
import pytest

from kcnn.data import DataError, channel_stats, load
from kcnn.data import _assemble as assemble
from kcnn.data import _checks as checks
from kcnn.data import _record as record


def arrays(images=60, shape=(6, 5, 3), dtype=np.uint8):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (images, *shape))
    return x.astype(dtype), np.arange(images) % 3


@pytest.fixture
def nothing_held(monkeypatch):
    monkeypatch.setattr(record, "HELD", 0)
    monkeypatch.setattr(assemble, "HELD", 0)


def saved(tmp_path, form, **given):
    if form == "npy":
        for name, array in given.items():
            np.save(tmp_path / f"{name}.npy", array)
        return tmp_path
    np.savez(tmp_path / "set.npz", **given)
    return tmp_path / "set.npz"


def pairs(data):
    found = []
    for split in (data.train, data.val, data.test):
        for images, labels in split.batches(16):
            for image, label in zip(images.numpy(), labels.numpy(), strict=True):
                found.append((np.rint(image).astype(np.uint8).tobytes(), int(label)))
    return sorted(found)


@pytest.mark.parametrize("form", ["npz", "npy"])
@pytest.mark.parametrize("kind", ["uint8", "float32", "fractions", "gray", "columns first"])
def test_a_large_set_is_mapped_and_gives_its_images(tmp_path, nothing_held, form, kind):
    x, y = arrays(shape=(6, 5) if kind == "gray" else (6, 5, 3))
    given = {
        "uint8": x,
        "gray": x,
        "float32": x.astype(np.float32),
        "fractions": (x / 255).astype(np.float64),
        "columns first": np.asfortranarray(x),
    }[kind]
    data = load(saved(tmp_path, form, x=given, y=y))
    assert not data.train.in_memory
    assert isinstance(data.train.rows.x, np.memmap)
    with pytest.raises(DataError, match="read from disk as they are needed"):
        data.train.x  # noqa: B018
    want = sorted((image.tobytes(), int(label)) for image, label in zip(x, y, strict=True))
    assert pairs(data) == want
    some = data.train.images([3, 1])
    assert np.rint(some[1]).astype(np.uint8).tobytes() in dict(want)
    again = load(saved(tmp_path, form, x=given, y=y), image_size=4)
    assert next(iter(again.train.batches(8)))[0].shape == (
        8,
        4,
        4,
        x.shape[3] if x.ndim == 4 else 1,
    )


def test_a_mapped_set_has_the_fingerprint_and_statistics_of_the_same_in_memory(
    tmp_path, monkeypatch
):
    x, y = arrays()
    held = load(saved(tmp_path, "npz", x=x, y=y))
    monkeypatch.setattr(record, "HELD", 0)
    monkeypatch.setattr(assemble, "HELD", 0)
    mapped = load(tmp_path / "set.npz")
    assert held.train.in_memory
    assert not mapped.train.in_memory
    assert held.fingerprint == mapped.fingerprint
    one, other = channel_stats(held.train), channel_stats(mapped.train)
    np.testing.assert_allclose(one.mean, other.mean, rtol=1e-12)


def test_bad_pixels_of_a_mapped_set_are_found(tmp_path, nothing_held):
    x, y = arrays(dtype=np.float32)
    x[[7, 9], 0, 0, 0] = np.nan
    with pytest.raises(DataError, match=r"2 of 60 images hold NaN.*first is image 7"):
        load(saved(tmp_path, "npy", x=x, y=y))


def forged(tmp_path, name, shape, dtype, *, packed, honest=False):
    """An archive whose member `name` claims more than is there."""
    x, y = arrays()
    path = tmp_path / "forged.npz"
    kind = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, "w", kind) as archive:
        for key, array in (("x", x), ("y", y)):
            buffer = io.BytesIO()
            if key == name:
                header = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(buffer, header)
                buffer.write(bytes(1000))
            else:
                np.save(buffer, array)
            archive.writestr(f"{key}.npy", buffer.getvalue())
    return path


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", ["x", "y"])
def test_members_that_claim_more_than_the_file_holds_are_refused(tmp_path, name, packed):
    shape = (10**9, 64, 64, 3) if name == "x" else (10**12,)
    path = forged(tmp_path, name, shape, np.uint8, packed=packed)
    with pytest.raises(DataError, match=rf"{name} claims 1000.*but the file holds") as caught:
        load(path)
    assert "forged.npz" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_cut_npy_and_a_lone_array_are_refused(tmp_path):
    x, y = arrays()
    saved(tmp_path, "npy", x=x, y=y)
    whole = (tmp_path / "x.npy").read_bytes()
    (tmp_path / "x.npy").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="x claims 60x6x5x3 uint8"):
        load(tmp_path)
    np.save(tmp_path / "pictures.npy", x)
    with pytest.raises(DataError, match=r"put the images into x\.npy and the labels into y\.npy"):
        load(tmp_path / "pictures.npy")
    (tmp_path / "x.npy").write_bytes(b"no array")
    with pytest.raises(DataError, match="x is broken"):
        load(tmp_path)


def test_identical_images_in_given_parts_are_a_leak(tmp_path):
    x, y = arrays(90)
    data = load(saved(tmp_path, "npz", x=x[:60], y=y[:60], x_test=x[50:], y_test=y[50:]))
    (leak, *_) = data.warnings
    assert leak.cause == "data_leak"
    assert "test images are the same as train images" in leak.seen


def test_a_mapped_set_is_looked_through_once_until_it_changes(tmp_path, nothing_held, monkeypatch):
    monkeypatch.setenv("KCNN_CACHE", str(tmp_path / "cache"))
    x, y = arrays()
    first = load(saved(tmp_path, "npy", x=x, y=y))
    monkeypatch.setattr(checks, "_rows", lambda x: pytest.fail("looked through again"))
    assert load(tmp_path).fingerprint == first.fingerprint
    monkeypatch.undo()
    monkeypatch.setenv("KCNN_CACHE", str(tmp_path / "cache"))
    saved(tmp_path, "npy", x=x[::-1], y=y)
    os.utime(tmp_path / "x.npy", (1, 1))
    assert load(tmp_path).fingerprint != first.fingerprint
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    parts = [load((part, y[:30])) for part in (mapped[:30], mapped[30:])]
    assert parts[0].fingerprint != parts[1].fingerprint
