"""Streaming channel statistics against NumPy in float64."""

import numpy as np
import pytest
import tensorflow as tf

from kcnn.data import ChannelStats, DataError, Split, channel_stats


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, np.float64])
@pytest.mark.parametrize("channels", [1, 3, 5])
def test_batches_merge_to_the_statistics_of_the_whole(dtype, channels):
    rng = np.random.default_rng(0)
    x = (rng.random((37, 9, 7, channels)) * 200).astype(dtype)
    stats = ChannelStats()
    for start, stop in [(0, 1), (1, 20), (20, 20), (20, 37)]:
        stats.update(x[start:stop])
    whole = x.astype(np.float64)
    np.testing.assert_allclose(stats.mean, whole.mean((0, 1, 2)), rtol=1e-13)
    np.testing.assert_allclose(stats.std, whole.std((0, 1, 2)), rtol=1e-12)
    assert stats.count == 37 * 9 * 7


def test_a_large_mean_does_not_cancel():
    rng = np.random.default_rng(0)
    x = 1e8 + rng.standard_normal((64, 16, 16, 2))
    stats = ChannelStats()
    for part in np.split(x, 16):
        stats.update(part)
    np.testing.assert_allclose(stats.std, x.std((0, 1, 2)), rtol=1e-8)


def test_uint8_does_not_overflow_over_many_pixels():
    x = np.full((300, 224, 224, 1), 255, np.uint8)
    x[:150] = 253
    stats = channel_stats(x)
    assert stats.mean.tolist() == pytest.approx([254.0], rel=1e-14)
    assert stats.variance.tolist() == pytest.approx([1.0], abs=1e-12)


def test_channels_first_and_every_kind_of_source_agree():
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (20, 4, 5, 3)).astype(np.uint8)
    split = Split(x, np.zeros(20, np.int64))
    want = channel_stats(x)
    first = channel_stats(x.transpose(0, 3, 1, 2), data_format="channels_first")
    others = [
        first,
        channel_stats(split),
        channel_stats(split.batches(8)),
        channel_stats(part for part in np.split(x, 4)),
        channel_stats([(x[:9], 0), (x[9:], 0)]),
        channel_stats([{"images": x}]),
        ChannelStats().update(x[:3]).merge(ChannelStats().update(x[3:])),
    ]
    for got in others:
        np.testing.assert_allclose(got.mean, want.mean, rtol=1e-12)
        np.testing.assert_allclose(got.std, want.std, rtol=1e-12)


def test_what_cannot_be_summed_up_is_refused():
    with pytest.raises(DataError, match="no batch"):
        _ = ChannelStats().mean
    with pytest.raises(DataError, match="NaN"):
        ChannelStats().update(np.full((1, 2, 2, 1), np.nan))
    with pytest.raises(DataError, match="3 channels after batches of 1"):
        ChannelStats().update(np.zeros((1, 2, 2, 1))).update(np.zeros((1, 2, 2, 3)))
    with pytest.raises(DataError, match="repeats"):
        channel_stats(Split(np.zeros((9, 2, 2, 1)), np.zeros(9, np.int64)).batches(3, repeat=True))
    with pytest.raises(ValueError, match="data_format"):
        ChannelStats(data_format="channels")


def test_files_are_summed_up_as_they_are_decoded_and_stay_in_the_cache(tmp_path, monkeypatch):
    from PIL import Image

    from kcnn.data import _record as record
    from kcnn.data._cache import ImageCache
    from kcnn.data._rows import Files
    from kcnn.preprocessing import Preprocessing

    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (70, 5, 4, 3)).astype(np.uint8)
    paths = [str(tmp_path / f"{number}.png").encode() for number in range(70)]
    for path, image in zip(paths, x, strict=True):
        Image.fromarray(image).save(path.decode())
    ones = np.ones(70, int)
    rows = Files(paths, 5 * ones, 4 * ones, np.array(["png"] * 70), ones)
    cache = ImageCache(paths, (5, 4, 3), None)
    split = Split(rows, 0 * ones, preprocessing=Preprocessing((5, 4)), cache=cache)
    monkeypatch.setattr(record, "HELD", 0)  # as a set too large to be held at once
    stats = channel_stats(split)
    whole = x.astype(np.float64)
    np.testing.assert_allclose(stats.mean, whole.mean((0, 1, 2)), rtol=1e-14)
    np.testing.assert_allclose(stats.std, whole.std((0, 1, 2)), rtol=1e-14)
    assert cache.filled == 70


def test_the_image_and_the_label_that_are_wrong_are_named():
    x = np.zeros((100, 3, 3, 1), np.float32)
    x[81, 1, 1] = np.nan
    with pytest.raises(DataError, match="image 81 holds NaN"):
        channel_stats(x)
    with pytest.raises(DataError, match="image 81 holds NaN"):
        channel_stats((part, np.zeros(len(part), int)) for part in np.split(x, 4))
    x[81] = 0
    y = np.zeros(100, int)
    for wrong, message in ((-1, "is -1; expected numbers"), (7, r"is 7; expected 0\.\.4")):
        y[60] = wrong
        classes = 5 if wrong > 0 else None
        pairs = tf.data.Dataset.from_tensor_slices((x, y)).batch(16)
        with pytest.raises(DataError, match=f"label of image 60 {message}"):
            channel_stats(pairs, classes=classes)
    y = np.zeros((100, 3), np.float32)
    y[5, 1] = np.nan
    with pytest.raises(DataError, match="label of image 5"):
        channel_stats([(x, y)])


def test_memory_stays_bounded_over_a_large_mapped_file(tmp_path):
    import tracemalloc

    path = tmp_path / "x.npy"
    x = np.lib.format.open_memmap(path, "w+", np.uint8, (4000, 64, 64, 3))
    x[:] = np.arange(4000, dtype=np.uint8)[:, None, None, None]
    mapped = np.load(path, mmap_mode="r")
    tracemalloc.start()
    stats = channel_stats(mapped)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < x.nbytes / 8
    assert stats.mean.tolist() == pytest.approx([np.mean(np.arange(4000) % 256)] * 3, rel=1e-14)


def test_statistics_show_what_they_hold():
    assert repr(ChannelStats()) == "ChannelStats(nothing seen)"
    seen = ChannelStats().update(np.array([[[[0.0, 1.0]], [[2.0, 1.0]]]]))
    assert repr(seen) == "ChannelStats(2 values in each channel, mean=[1. 1.], std=[1. 0.])"
