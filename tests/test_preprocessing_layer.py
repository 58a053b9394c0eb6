"""The record's rules, and the layer on arrays against NumPy."""

import keras
import numpy as np
import pytest

from kcnn.data import channel_stats
from kcnn.preprocessing import Preprocessing, PreprocessingLayer


def test_a_record_survives_its_config_and_is_hashable():
    record = Preprocessing(
        (20, 30),
        3,
        resize="pad",
        background=(1, 2, 3),
        scale=1 / 255,
        mean=[0.1, 0.2, 0.3],
        std=0.5,
    )
    again = Preprocessing.from_config(record.get_config())
    assert again == record
    assert hash(again) == hash(record)
    assert again.fingerprint == record.fingerprint
    assert record.image_shape == (20, 30, 3)
    assert record.std == (0.5, 0.5, 0.5)
    assert Preprocessing(7).size == (7, 7)
    assert Preprocessing().image_shape == (None, None, 3)


def test_every_change_changes_the_fingerprint():
    changes = [
        {},
        {"size": 9},
        {"channels": 1},
        {"resize": "crop"},
        {"crop_ratio": 0.5},
        {"interpolation": "bicubic"},
        {"antialias": False},
        {"background": 0},
        {"scale": 2.0},
        {"offset": 1.0},
        {"mean": 1.0},
        {"std": 2.0},
    ]
    found = [Preprocessing(8).replace(**change) for change in changes[:2]]
    found += [Preprocessing(8, **change) for change in changes[2:]]
    assert len({record.fingerprint for record in found}) == len(changes)
    assert Preprocessing(8, mean=1.0, scale=3.0).pixels == Preprocessing(8)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 0}, "size=0"),
        ({"size": (3, 4, 5)}, "size="),
        ({"size": 2.5}, "size=2.5"),
        ({"size": "big"}, "size='big'"),
        ({"channels": 0}, "channels=0"),
        ({"resize": "squash"}, "none of stretch, crop, pad"),
        ({"interpolation": "cubic"}, "none of nearest"),
        ({"crop_ratio": 0.0}, "crop_ratio=0.0"),
        ({"crop_ratio": 1.5}, "crop_ratio=1.5"),
        ({"background": 256}, "outside 0..255"),
        ({"background": (1, 2)}, "3 finite numbers"),
        ({"mean": [1.0, float("nan"), 1.0]}, "3 finite numbers"),
        ({"std": [1.0, -1.0, 1.0]}, "negative"),
        ({"scale": 0.0}, "scale=0"),
        ({"offset": float("inf")}, "finite"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Preprocessing(**arguments)


def test_a_config_of_a_newer_version_is_refused():
    with pytest.raises(ValueError, match="gamma, which this version"):
        Preprocessing.from_config({"size": 8, "gamma": 2.2})


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("policy", ["float32", "mixed_float16", "mixed_bfloat16"])
def test_the_layer_computes_in_float32_under_every_policy(data_format, policy):
    keras.config.set_dtype_policy(policy)
    x = np.random.default_rng(0).integers(0, 256, (5, 6, 7, 3)).astype(np.float32)
    record = Preprocessing(
        (6, 7), scale=1 / 255, offset=-0.5, mean=[0.1, 0.2, 0.3], std=[0.5, 0.25, 2.0]
    )
    given = x if data_format == "channels_last" else x.transpose(0, 3, 1, 2)
    y = record.layer(data_format=data_format)(given)
    assert keras.backend.standardize_dtype(y.dtype) == "float32"
    y = keras.ops.convert_to_numpy(y)
    y = y if data_format == "channels_last" else y.transpose(0, 2, 3, 1)
    want = (x.astype(np.float64) / 255 - 0.5 - record.mean) / record.std
    np.testing.assert_allclose(y, want, atol=1e-6)


def test_statistics_centre_and_scale_whatever_the_scale_before():
    x = np.random.default_rng(0).integers(0, 256, (50, 6, 6, 2)).astype(np.uint8)
    x[..., 1] //= 9
    for scale, offset in ((1.0, 0.0), (1 / 127.5, -1.0)):
        record = Preprocessing(6, 2, scale=scale, offset=offset).normalized(channel_stats(x))
        y = keras.ops.convert_to_numpy(record.layer()(x))
        np.testing.assert_allclose(y.mean((0, 1, 2)), 0, atol=1e-5)
        np.testing.assert_allclose(y.std((0, 1, 2)), 1, atol=1e-5)


def test_a_constant_channel_is_only_centred():
    x = np.random.default_rng(0).integers(0, 256, (50, 6, 6, 2)).astype(np.uint8)
    x[..., 1] = 7
    layer = Preprocessing(6, 2).normalized(channel_stats(x)).layer()
    y = keras.ops.convert_to_numpy(layer(np.full((1, 6, 6, 2), 9, np.float32)))
    assert np.isfinite(y).all()
    np.testing.assert_allclose(y[..., 1], 2.0)


def test_the_wrong_number_of_channels_is_refused():
    with pytest.raises(ValueError, match="its preprocessing is for 3"):
        Preprocessing(4).layer()(np.zeros((1, 4, 4, 1), np.float32))
    with pytest.raises(ValueError, match="data_format='nchw'"):
        Preprocessing(4).layer(data_format="nchw")


def test_a_saved_model_file_alone_tells_its_preprocessing(tmp_path):
    record = Preprocessing((4, 5), resize="crop", crop_ratio=0.9, mean=[1, 2, 3], std=[1, 0, 2])
    inner = keras.Sequential([keras.Input((4, 5, 3)), record.layer(), keras.layers.Flatten()])
    inputs = keras.Input((4, 5, 3))
    model = keras.Model(inputs, keras.layers.Dense(2)(inner(inputs)))
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert Preprocessing.of(again) == record
    assert not record.layer().weights
    x = np.random.default_rng(0).integers(0, 256, (3, 4, 5, 3)).astype(np.float32)
    np.testing.assert_allclose(again(x), model(x))
    assert Preprocessing.of(keras.Sequential([keras.layers.Dense(2)])) is None


def test_the_layer_is_registered_by_importing_kcnn():
    import subprocess
    import sys

    code = (
        "import kcnn, keras\n"
        "layer = keras.saving.get_registered_object('kcnn>PreprocessingLayer')\n"
        "assert layer is kcnn.preprocessing.PreprocessingLayer\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert keras.saving.get_registered_name(PreprocessingLayer) == "kcnn>PreprocessingLayer"
