"""Batches decoded from files: order, pixels, caches, and files that break while they are used."""

import os
import warnings

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from sklearn.datasets import load_sample_images

from kcnn.data import DataError, Split
from kcnn.data import _cache as cache_module
from kcnn.data import _pipeline as pipeline_module
from kcnn.data._cache import ImageCache, clear_cache, open_cache
from kcnn.data._pipeline import build_pipeline
from kcnn.data._rows import Arrays, Files, Stream
from kcnn.preprocessing import Preprocessing

COUNT = 37
SMALL = Preprocessing((20, 24))


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """Photographs as JPEG files of several sizes."""
    return photographs(tmp_path_factory.mktemp("photos"), COUNT)


def photographs(folder, count, odd=()):
    """Files; those whose numbers are `odd` are PNG or turned by EXIF."""
    photos = [Image.fromarray(image) for image in load_sample_images().images]
    rng = np.random.default_rng(0)
    paths, sizes, formats, turned = [], [], [], []
    for number in range(count):
        width, height = (int(side) for side in rng.integers(40, 130, 2))
        left, top = int(rng.integers(0, 400)), int(rng.integers(0, 250))
        image = photos[number % 2].crop((left, top, left + width, top + height))
        kind = "png" if number in odd and number % 2 else "jpeg"
        orientation = 6 if number in odd else 1
        exif = Image.Exif()
        exif[0x0112] = orientation
        path = folder / f"{number:03d}.{kind}"
        image.save(path, kind, exif=exif)
        paths.append(os.fsencode(path))
        sizes.append((width, height) if orientation == 6 else (height, width))
        formats.append(kind)
        turned.append(orientation)
    heights, widths = np.array(sizes).T
    return Files(paths, heights, widths, np.array(formats), np.array(turned))


@pytest.fixture(scope="module")
def pixels(rows):
    """What the one preprocessing makes of each file by itself."""
    read = tf.function(lambda path: SMALL.from_bytes(tf.io.read_file(path)))
    return np.stack([read(tf.constant(path)).numpy() for path in rows.paths])


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("KCNN_CACHE", str(tmp_path / "home"))
    return tmp_path / "home"


def pipeline(rows, batch_size=8, preprocessing=SMALL, **options):
    return made(rows, np.arange(len(rows)), preprocessing, batch_size, **options)


def made(rows, labels, preprocessing, batch_size, **options):
    own = {name: options.pop(name) for name in ("cache", "skip_bad", "classes") if name in options}
    split = Split(rows, labels, preprocessing=preprocessing, **own)
    return build_pipeline(rows, split, batch_size, **options)


def epoch(dataset):
    found = [(x.numpy(), y.numpy()) for x, y in dataset]
    return np.concatenate([x for x, _ in found]), np.concatenate([y for _, y in found])


def some(rows, numbers):
    return rows.take(np.asarray(numbers))


def copied(rows, numbers, folder):
    """The same files elsewhere, to be broken."""
    folder.mkdir(exist_ok=True)
    part = some(rows, numbers)
    paths = []
    for path in part.paths:
        there = os.path.join(os.fsencode(folder), os.path.basename(path))
        with open(path, "rb") as file, open(there, "wb") as out:
            out.write(file.read())
        paths.append(there)
    return Files(paths, part.heights, part.widths, part.formats, part.orientations)


def test_files_come_in_order_with_the_pixels_of_the_one_preprocessing(rows, pixels):
    dataset = pipeline(rows)
    assert [len(y) for _, y in dataset] == [8, 8, 8, 8, 5]
    x, y = epoch(dataset)
    np.testing.assert_array_equal(y, np.arange(COUNT))
    np.testing.assert_array_equal(x, pixels)
    assert dataset.element_spec[0].shape.as_list() == [None, 20, 24, 3]
    assert dataset.element_spec[0].dtype == tf.float32


def test_odd_files_among_the_plain_ones_come_out_alike(tmp_path):
    files = photographs(tmp_path, 9, odd=(1, 4, 7))
    read = tf.function(lambda path: SMALL.from_bytes(tf.io.read_file(path)))
    want = np.stack([read(tf.constant(path)).numpy() for path in files.paths])
    np.testing.assert_array_equal(epoch(pipeline(files, 4))[0], want)


def test_epochs_are_permutations_that_the_seed_repeats(rows, pixels):
    def two_epochs(seed):
        dataset = pipeline(rows, shuffle=True, seed=seed)
        return [epoch(dataset) for _ in range(2)]

    (x, one), (_, two) = two_epochs(3)
    assert sorted(one) == sorted(two) == list(range(COUNT))
    assert not np.array_equal(one, two)
    np.testing.assert_array_equal(x, pixels[one])
    assert [y.tolist() for _, y in two_epochs(3)] == [one.tolist(), two.tolist()]
    assert two_epochs(4)[0][1].tolist() != one.tolist()


def test_repeat_and_drop_remainder_give_full_batches(rows):
    dataset = pipeline(rows, 10, shuffle=True, repeat=True).take(9)
    assert [len(y) for _, y in dataset] == [10] * 9
    assert [len(y) for _, y in pipeline(rows, 10, drop_remainder=True)] == [10] * 3
    with pytest.raises(DataError, match="fewer than one batch of 64"):
        pipeline(rows, 64, shuffle=True)
    with pytest.raises(DataError, match="batch_size=0"):
        pipeline(rows, 0)


@pytest.mark.parametrize("place", ["memory", "disk"])
def test_later_epochs_come_from_the_cache(rows, pixels, home, tmp_path, place):
    files = copied(rows, range(COUNT), tmp_path / "copy")
    cache, notes = open_cache(place, files.paths, SMALL, fingerprint="abc", name="photos")
    assert "decoded images are kept" in notes[0]
    dataset = pipeline(files, shuffle=True, cache=cache)
    x, y = epoch(dataset)
    np.testing.assert_array_equal(x, pixels[y])
    assert cache.filled == COUNT
    for path in files.paths:
        os.remove(path)
    x, y = epoch(dataset)
    np.testing.assert_array_equal(x, pixels[y])
    # A part of the files, in another order, finds its own images.
    x, y = epoch(pipeline(some(files, [9, 2, 30]), 2, cache=cache))
    np.testing.assert_array_equal(x, pixels[[9, 2, 30]])


def test_another_run_goes_on_where_the_first_one_stopped(rows, pixels, home, tmp_path):
    files = copied(rows, range(COUNT), tmp_path / "copy")
    first, _ = open_cache("auto", files.paths, SMALL, fingerprint="abc", name="photos")
    epoch(pipeline(some(files, range(20)), cache=first))
    second, notes = open_cache("auto", files.paths, SMALL, fingerprint="abc", name="photos")
    assert second.where == first.where
    assert second.filled == 20
    assert "20 of 37 images are there" in notes[0]
    for path in files.paths[:20]:
        os.remove(path)
    x, _ = epoch(pipeline(files, cache=second))
    np.testing.assert_array_equal(x, pixels)
    for changed in ({"fingerprint": "abd"}, {"preprocessing": SMALL.replace(antialias=False)}):
        options = {"fingerprint": "abc", "preprocessing": SMALL, **changed}
        other, _ = open_cache("disk", files.paths, name="photos", **options)
        assert other.filled == 0
    same = SMALL.replace(mean=1.0, std=2.0)
    assert open_cache("disk", files.paths, same, fingerprint="abc", name="p")[0].filled == COUNT


def test_two_processes_share_a_cache_while_both_fill_it(rows, pixels, home):
    one, _ = open_cache("disk", rows.paths, SMALL, fingerprint="abc", name="photos")
    two, _ = open_cache("disk", rows.paths, SMALL, fingerprint="abc", name="photos")
    first = iter(pipeline(rows, cache=one, shuffle=True, seed=1))
    second = iter(pipeline(rows, cache=two, shuffle=True, seed=2))
    for _ in range(5):
        for x, y in (next(first), next(second)):
            np.testing.assert_array_equal(x.numpy(), pixels[y.numpy()])
    again, _ = open_cache("disk", rows.paths, SMALL, fingerprint="abc", name="photos")
    assert again.filled == COUNT
    x, _ = epoch(pipeline(rows, cache=again))
    np.testing.assert_array_equal(x, pixels)


def test_a_cut_cache_file_is_not_believed(rows, pixels, home):
    cache, _ = open_cache("disk", rows.paths, SMALL, fingerprint="abc", name="photos")
    epoch(pipeline(rows, cache=cache))
    os.truncate(cache.where / "pixels", 10 * 20 * 24 * 3 + 5)
    again, _ = open_cache("disk", rows.paths, SMALL, fingerprint="abc", name="photos")
    assert again.filled == 10
    x, _ = epoch(pipeline(rows, cache=again))
    np.testing.assert_array_equal(x, pixels)


def test_a_full_disk_ends_the_caching_and_not_the_training(rows, pixels, home, monkeypatch):
    cache, _ = open_cache("disk", rows.paths, SMALL, fingerprint="abc", name="photos")
    written, real = [], os.pwrite

    def full(file, data, offset):
        if len(written) >= 12:
            raise OSError(28, "No space left on device")
        written.append(offset)
        return real(file, data, offset)

    monkeypatch.setattr(cache_module.os, "pwrite", full)
    with pytest.warns(UserWarning, match="No space left on device"):
        x, _ = epoch(pipeline(rows, cache=cache))
    np.testing.assert_array_equal(x, pixels)
    assert cache.filled < 12
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(epoch(pipeline(rows, cache=cache))[0], pixels)


def test_caches_are_bounded_and_can_be_deleted(rows, home, monkeypatch):
    each = COUNT * 20 * 24 * 3
    monkeypatch.setenv("KCNN_CACHE_GB", str(1.9 * each / 1e9))
    first, _ = open_cache("disk", rows.paths, SMALL, fingerprint="a", name="photos")
    epoch(pipeline(rows, cache=first))
    second, notes = open_cache("disk", rows.paths, SMALL, fingerprint="b", name="photos")
    assert "1 older caches were removed" in notes[1]
    assert list((home / "images").iterdir()) == [second.where]
    monkeypatch.setenv("KCNN_CACHE_GB", "0")
    none, notes = open_cache("disk", rows.paths, SMALL, fingerprint="a", name="photos")
    assert none is None
    assert "decoded anew in every epoch" in notes[0]
    memory, _ = open_cache("auto", rows.paths, SMALL, fingerprint="a", name="photos")
    assert memory.where is None
    monkeypatch.setattr(cache_module, "available_memory", lambda: each)
    none, notes = open_cache("auto", rows.paths, SMALL, fingerprint="a", name="photos")
    assert none is None
    assert "of memory is free" in notes[0]
    epoch(pipeline(rows, cache=second))
    assert clear_cache() >= each
    assert not (home / "images").exists()
    assert clear_cache() == 0
    monkeypatch.setenv("KCNN_CACHE_GB", "many")
    with pytest.raises(DataError, match="KCNN_CACHE_GB='many'"):
        open_cache("auto", rows.paths, SMALL, fingerprint="a", name="photos")
    assert open_cache(None, rows.paths, SMALL, fingerprint="a", name="photos") == (None, ())


def test_a_folder_that_cannot_be_written_leaves_memory(rows, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("KCNN_CACHE", str(tmp_path / "file"))
    cache, _ = open_cache("auto", rows.paths, SMALL, fingerprint="a", name="photos")
    assert cache.where is None


@pytest.mark.parametrize("cached", [False, True])
def test_a_file_that_vanishes_or_breaks_is_named(rows, home, tmp_path, cached):
    files = copied(rows, range(12), tmp_path / "copy")
    cache = ImageCache(files.paths, SMALL.image_shape, None) if cached else None
    dataset = pipeline(files, 4, cache=cache)
    os.remove(files.paths[6])
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"006\.jpeg: the file is gone"):
        epoch(dataset)
    with open(files.paths[7], "rb") as whole, open(files.paths[6], "wb") as file:
        file.write(whole.read()[:500])
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"006\.jpeg: .* no more"):
        epoch(dataset)


@pytest.mark.parametrize("cached", [False, True])
def test_bad_files_are_left_out_and_counted_where_asked(rows, pixels, home, tmp_path, cached):
    files = copied(rows, range(12), tmp_path / "copy")
    cache = ImageCache(files.paths, SMALL.image_shape, None) if cached else None
    dataset = pipeline(files, 4, cache=cache, skip_bad=True)
    for number in (0, 1, 2, 3, 9):
        with open(files.paths[number], "wb") as file:
            file.write(b"no picture")
    with pytest.warns(UserWarning, match=r"Left out; 5 so far") as said:
        x, y = epoch(dataset)
    assert len([w for w in said if "Left out" in str(w.message)]) == 5
    np.testing.assert_array_equal(y, [4, 5, 6, 7, 8, 10, 11])
    np.testing.assert_array_equal(x, pixels[y])


class HalfAndHalf:
    """Mixes every image with the one before it."""

    mixes_labels = True

    def __call__(self, given):
        return {key: (x + tf.roll(x, 1, 0)) / 2 for key, x in given.items()}


def test_what_mixes_labels_gets_them_one_hot(rows, pixels):
    x, y = next(iter(pipeline(rows, 4, augment=HalfAndHalf(), classes=50)))
    assert y.shape == (4, 50)
    np.testing.assert_array_equal(y.numpy()[1, :3], [0.5, 0.5, 0])
    np.testing.assert_allclose(x.numpy()[1], (pixels[1] + pixels[0]) / 2)
    _, y = next(iter(pipeline(rows, 4, augment=HalfAndHalf())))
    assert y.shape == (4, COUNT)
    many = np.eye(COUNT, dtype=np.float32)
    _, y = next(iter(made(rows, many, SMALL, 4, augment=HalfAndHalf())))
    np.testing.assert_array_equal(y.numpy()[1, :3], [0.5, 0.5, 0])


def test_very_many_files_are_shuffled_without_a_list_of_them(rows, monkeypatch):
    monkeypatch.setattr(pipeline_module, "LISTED", 8)
    dataset = pipeline(rows, shuffle=True, seed=3)
    first, second = epoch(dataset)[1], epoch(dataset)[1]
    assert sorted(first) == sorted(second) == list(range(COUNT))
    assert (first != second).any()
    assert (first != np.sort(first)).any()
    np.testing.assert_array_equal(epoch(pipeline(rows, shuffle=True, seed=3))[1], first)


def test_kcnns_own_mixing_layers_train_with_soft_labels(rows):
    from kcnn.augment import CutMix

    _, y = next(iter(pipeline(rows, 16, shuffle=True, augment=CutMix(seed=1))))
    np.testing.assert_allclose(y.numpy().sum(axis=1), 1, atol=1e-6)
    assert (y.numpy().max(axis=1) < 0.999).any()


def test_arrays_on_disk_are_read_and_resized_batch_by_batch(tmp_path):
    x = np.random.default_rng(0).integers(0, 256, (10, 8, 6, 3)).astype(np.uint8)
    np.save(tmp_path / "x.npy", x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    got, _ = epoch(pipeline(Arrays(mapped), 4, None))
    np.testing.assert_array_equal(got, x)
    record = Preprocessing((4, 6))
    got, y = epoch(pipeline(Arrays(mapped), 4, record, shuffle=True))
    np.testing.assert_array_equal(got, record.resized(x).numpy()[y])


def test_a_stream_of_bytes_or_images_is_decoded_resized_and_shuffled(rows, pixels):
    def of_bytes():
        paths = tf.data.Dataset.from_tensor_slices((list(rows.paths), np.arange(COUNT)))
        return paths.map(lambda path, label: (tf.io.read_file(path), label))

    stream = Stream(of_bytes, COUNT)
    x, y = epoch(made(stream, None, SMALL, 8))
    np.testing.assert_array_equal(x, pixels[y])
    x, y = epoch(made(stream, None, SMALL, 8, shuffle=True, seed=1))
    assert sorted(y) == list(range(COUNT))
    assert y.tolist() != sorted(y)
    np.testing.assert_array_equal(x, pixels[y])

    def of_images():
        return tf.data.Dataset.from_tensor_slices((pixels.astype(np.uint8), np.arange(COUNT)))

    x, _ = epoch(made(Stream(of_images, COUNT), None, SMALL, 8))
    np.testing.assert_array_equal(x, pixels)
