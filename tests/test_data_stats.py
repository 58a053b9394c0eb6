"""Streaming channel statistics against NumPy in float64, and the layer made from them."""

import keras
import numpy as np
import pytest

from kcnn.data import ChannelStats, DataError, Split, channel_stats, normalization


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


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_normalization_centres_and_scales_each_channel(data_format):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (50, 6, 6, 3)).astype(np.uint8) // np.array([1, 3, 9], np.uint8)
    layer = normalization(channel_stats(x), data_format=data_format)
    given = x if data_format == "channels_last" else x.transpose(0, 3, 1, 2)
    y = keras.ops.convert_to_numpy(layer(given.astype(np.float32)))
    axes = (0, 1, 2) if data_format == "channels_last" else (0, 2, 3)
    np.testing.assert_allclose(y.mean(axes), 0, atol=1e-5)
    np.testing.assert_allclose(y.std(axes), 1, atol=1e-5)


def test_a_constant_channel_is_only_centred():
    x = np.random.default_rng(0).integers(0, 256, (50, 6, 6, 2)).astype(np.uint8)
    x[..., 1] = 7
    layer = normalization(channel_stats(x))
    y = keras.ops.convert_to_numpy(layer(np.full((1, 6, 6, 2), 9, np.float32)))
    assert np.isfinite(y).all()
    np.testing.assert_allclose(y[..., 1], 2.0)


def test_normalization_survives_saving_and_half_precision(tmp_path):
    x = np.random.default_rng(0).integers(0, 256, (50, 6, 6, 3)).astype(np.uint8)
    keras.config.set_dtype_policy("mixed_float16")
    model = keras.Sequential([keras.Input((6, 6, 3)), normalization(channel_stats(x))])
    model.save(tmp_path / "model.keras")
    keras.config.set_dtype_policy("float32")
    again = keras.models.load_model(tmp_path / "model.keras")
    want = (x - x.mean((0, 1, 2))) / x.std((0, 1, 2))
    np.testing.assert_allclose(again.predict(x, verbose=0), want, atol=1e-4)
