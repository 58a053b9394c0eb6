"""Weights of files, `pretrained=PATH`: whole, without the head, as features; and what fails."""

import keras
import numpy as np
import pytest
from models_tools import torchvision_state

import kcnn

RNG = np.random.default_rng(0)


def small(**options):
    return kcnn.create_model(
        "resnet18", **{"width": 1 / 8, "classes": 5, "input_shape": (32, 32, 3), **options}
    )


@pytest.mark.parametrize("kind", ["keras", "weights.h5", "npz", "safetensors"])
@pytest.mark.parametrize("classes", [5, 3, None, 0])
def test_files_of_weights_load_into_their_network(tmp_path, kind, classes):
    source = small()
    path = tmp_path / f"file.{kind}"
    if kind in ("keras", "weights.h5"):
        getattr(source, "save" if kind == "keras" else "save_weights")(path)
    else:
        state = torchvision_state(source)
        if kind == "npz":  # as saved from several GPUs
            np.savez(path, **{f"module.{name}": value for name, value in state.items()})
        else:
            pytest.importorskip("safetensors.numpy").save_file(state, path)
    x = RNG.normal(size=(2, 32, 32, 3)).astype("float32")
    if classes == 0:  # no head at all
        model = small(pretrained=path, classes=None, include_top=False, pooling="avg")
    else:
        model = small(pretrained=path, classes=classes)
        assert model.output_shape == (None, classes or 5)
    pooled = [keras.Model(m.input, m.get_layer("pool").output)(x) for m in (model, source)]
    np.testing.assert_allclose(*pooled, atol=1e-5)
    if classes in (5, None):
        np.testing.assert_allclose(model(x), source(x), atol=1e-5)


def test_features_take_the_weights_of_a_file_with_a_head(tmp_path):
    source = small()
    source.save_weights(tmp_path / "file.weights.h5")
    maps = small(pretrained=str(tmp_path / "file.weights.h5"), features_only=True, classes=None)
    x = RNG.normal(size=(2, 32, 32, 3)).astype("float32")
    expected = keras.Model(source.input, source.get_layer("stage_4_block_2").output)(x)
    np.testing.assert_allclose(maps(x)[-1], expected, atol=1e-5)


def test_what_cannot_be_had_is_answered_with_what_to_do(tmp_path):
    (tmp_path / "broken.keras").write_bytes(b"no zip")
    (tmp_path / "broken.weights.h5").write_bytes(b"no hdf5")
    (tmp_path / "broken.h5").write_bytes(b"no hdf5")
    small(width=1 / 4).save_weights(tmp_path / "wide.weights.h5")
    small(width=1 / 4).save(tmp_path / "wide.keras")
    np.savez(tmp_path / "wide.npz", **{"conv1.weight": np.zeros((16, 3, 7, 7))})
    for call, says in (
        (lambda: kcnn.create_model("resnet50", pretrained="imagnet"), "Did you mean 'imagenet'"),
        (lambda: kcnn.create_model("resnet20", pretrained=True), "It has none of its own"),
        (
            lambda: kcnn.create_model("resnet50", pretrained="imagenet", stride_on="3x3"),
            "need stride_on='1x1'.*leave it out",
        ),
        (lambda: small(pretrained=tmp_path / "broken.keras"), "cannot be read as a Keras model"),
        (lambda: small(pretrained=tmp_path / "broken.weights.h5"), "read as a .weights.h5 file"),
        (lambda: small(pretrained=tmp_path / "broken.h5"), "has the form of keras.applications"),
        (
            lambda: kcnn.create_model("resnet50", pretrained=tmp_path / "broken.h5"),
            "is no file of weights of keras.applications.ResNet50",
        ),
        (lambda: small(pretrained=tmp_path / "wide.weights.h5"), "does not fit; build"),
        (lambda: small(pretrained=tmp_path / "wide.keras"), "does not fit: .*Nothing was"),
        (
            lambda: small(pretrained=tmp_path / "wide.npz"),
            "wide.npz does not fit resnet18.*missing",
        ),
    ):
        with pytest.raises(ValueError, match=says) as caught:
            call()
        assert str(caught.value).count("\n") < 2
    with pytest.raises(FileNotFoundError, match=r"no file .*absent.keras"):
        small(pretrained=tmp_path / "absent.keras")
