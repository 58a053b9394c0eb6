"""One table over every registered network drives the same tests for all.

Each is built narrow and run on tiny images: every layer of every depth takes part. The
quick run covers each kind of network once, `-m slow` the rest.
"""

import copy
import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from half_reference import rounded_logits, settle, typical

import kcnn
from kcnn.models._grid_pool import GridAveragePooling

# name: (side of the images in pixels, width, in the quick run)
TABLE = {
    "alexnet": (63, 1 / 16, True),
    "conv4": (8, 1 / 4, True),
    "convnext_base": (32, 1 / 32, False),
    "convnext_small": (32, 1 / 24, False),
    "convnext_tiny": (32, 1 / 24, True),
    "efficientnet_b0": (32, 1 / 16, True),
    "efficientnet_b1": (32, 1 / 16, False),
    "efficientnet_b2": (32, 1 / 16, False),
    "efficientnet_b3": (32, 1 / 16, False),
    "efficientnet_b4": (32, 1 / 16, False),
    "efficientnet_b5": (32, 1 / 16, False),
    "efficientnet_b6": (32, 1 / 16, False),
    "efficientnet_b7": (32, 1 / 16, False),
    "efficientnet_lite0": (32, 1 / 16, False),
    "efficientnet_lite1": (32, 1 / 16, False),
    "efficientnet_lite2": (32, 1 / 16, False),
    "efficientnet_lite3": (32, 1 / 16, False),
    "efficientnet_lite4": (32, 1 / 16, False),
    "efficientnet_v2_s": (32, 1 / 16, False),
    "mobilenet_v2": (32, 1 / 16, False),
    "mobilenet_v3_large": (32, 1 / 16, False),
    "mobilenet_v3_small": (32, 1 / 16, True),
    "plain18": (32, 1 / 16, False),
    "plain20": (8, 1 / 4, True),
    "plain32": (8, 1 / 4, False),
    "plain34": (32, 1 / 16, False),
    "plain44": (8, 1 / 4, False),
    "plain56": (8, 1 / 4, False),
    "plain110": (8, 1 / 4, False),
    "resnet8": (8, 1 / 4, False),
    "resnet14": (8, 1 / 4, False),
    "resnet18": (32, 1 / 16, False),
    "resnet20": (8, 1 / 4, True),
    "resnet32": (8, 1 / 4, False),
    "resnet34": (32, 1 / 16, False),
    "resnet44": (8, 1 / 4, False),
    "resnet50": (32, 1 / 16, False),
    "resnet56": (8, 1 / 4, False),
    "resnet101": (32, 1 / 16, False),
    "resnet110": (8, 1 / 4, False),
    "resnet152": (32, 1 / 16, False),
    "resnet50v2": (32, 1 / 16, True),
    "resnet101v2": (32, 1 / 16, False),
    "resnet152v2": (32, 1 / 16, False),
    "resnext50_32x4d": (32, 1 / 16, False),
    "resnext101_32x8d": (32, 1 / 16, False),
    "seresnet50": (32, 1 / 16, False),
    "seresnet101": (32, 1 / 16, False),
    "seresnet152": (32, 1 / 16, False),
    "seresnext50_32x4d": (32, 1 / 16, True),
    "vgg11": (32, 1 / 16, True),
    "vgg13": (32, 1 / 16, False),
    "vgg16": (32, 1 / 16, False),
    "vgg19": (32, 1 / 16, False),
    "wide_resnet28_10": (8, 1 / 40, False),
}
QUICK = [name for name, row in TABLE.items() if row[2]]
SLOW = [name for name, row in TABLE.items() if not row[2]]
PARTS = 8  # into which a test of all slow ones at once is cut
SLOWER = pytest.param("resnet50v2", marks=pytest.mark.slow)
EVERY = [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)]


# XLA takes its time on the CPU: the quick run compiles the two smallest.
COMPILED = [
    name if name in ("plain20", "resnet20") else pytest.param(name, marks=pytest.mark.slow)
    for name in TABLE
]


def build(name, side=None, **options):
    own, width, _ = TABLE[name]
    shape = (None, None, 3) if side == "free" else (side or own, side or own, 3)
    return kcnn.create_model(name, classes=3, width=width, input_shape=shape, **options)


def images(name, n=2, grow=0):
    side = TABLE[name][0] + grow
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, side, side + grow, 3)).astype("float32")


def test_the_table_holds_every_registered_network():
    assert sorted(TABLE) == sorted(kcnn.list_models())


def test_every_network_is_also_a_function_of_the_package():
    for name in TABLE:
        assert getattr(kcnn.models, name).name == name
        assert name in kcnn.models.__all__


CHILD = """
import json, sys
import numpy as np
import keras
import kcnn
folder, rows = sys.argv[1], json.loads(sys.argv[2])
worst = {}
for name, options in rows.items():
    saved = np.load(f"{folder}/{name}.npz")
    weights = f"{folder}/{name}.weights.h5"
    models = (
        keras.models.load_model(f"{folder}/{name}.keras"),
        kcnn.create_model(name, pretrained=weights, **options),
    )
    off = [np.abs(np.asarray(model(saved["x"])) - saved["y"]).max() for model in models]
    worst[name] = float(max(off) / np.abs(saved["y"]).max())
    keras.backend.clear_session()
print(json.dumps(worst))
"""


def worst_after_reload(folder, names):
    """Largest difference of the logits, to the largest, after a round trip into a fresh process.

    Both of the whole `.keras` and of the `.weights.h5`.
    """
    rows = {}
    for name in names:
        side, width, _ = TABLE[name]
        rows[name] = {"width": width, "input_shape": (side, side, 3)}
        model, x = build(name), images(name)
        model.save(folder / f"{name}.keras")
        model.save_weights(folder / f"{name}.weights.h5")
        np.savez(folder / f"{name}.npz", x=x, y=model(x))
        keras.backend.clear_session()
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(folder), json.dumps(rows)],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    worst = json.loads(done.stdout.splitlines()[-1])
    assert list(worst) == names
    return max(worst.values())


def test_a_saved_network_answers_the_same_in_a_fresh_process(tmp_path):
    assert worst_after_reload(tmp_path, QUICK) < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_every_other_saved_network_does_too(tmp_path, part):
    assert worst_after_reload(tmp_path, SLOW[part::PARTS]) < 1e-5


@pytest.mark.parametrize("name", EVERY)
def test_the_configuration_rebuilds_the_network(name):
    model = build(name, norm="group", activation="gelu")
    config = model.get_config()
    again = keras.Model.from_config(copy.deepcopy(config))  # which takes it apart
    assert again.get_config() == config
    assert [w.path for w in again.weights] == [w.path for w in model.weights]
    again.set_weights(model.get_weights())
    x = images(name)
    np.testing.assert_allclose(again(x), model(x), atol=1e-5)


@pytest.mark.parametrize(
    "policy", ["mixed_bfloat16", pytest.param("mixed_float16", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("name", EVERY)
def test_mixed_precision_gives_float32_logits_as_near_as_rounding_allows(name, policy):
    half = policy.removeprefix("mixed_")
    x = images(name, 16)
    full = build(name)
    settle(full, x)
    keras.config.set_dtype_policy(policy)
    model = build(name)
    keras.config.set_dtype_policy("float32")
    model.set_weights(full.get_weights())
    assert {keras.backend.standardize_dtype(w.dtype) for w in model.weights} == {"float32"}
    assert model.layers[-2].compute_dtype == half
    logits = np.asarray(model(x))
    assert logits.dtype == np.float32
    expected = np.asarray(full(x))
    unavoidable = typical(rounded_logits(full, x, half) - expected)
    assert typical(logits - expected) < 4 * unavoidable  # bfloat16 is 8 times as coarse as float16


@pytest.mark.parametrize("name", COMPILED)
def test_one_compiled_step_moves_every_weight(name):
    options = {}
    if name == "alexnet" or name.startswith("vgg"):
        options["dropout"] = 0.0
    elif name.startswith("convnext"):  # 1e-6: a branch's steps are below float32's spacing at 1
        options["layer_scale"] = 1.0
    model = build(name, **options)
    model.compile(
        keras.optimizers.SGD(0.1),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=True,
    )
    before = model.get_weights()
    loss = model.train_on_batch(images(name, 4), np.array([0, 1, 2, 1]))
    assert np.isfinite(loss)
    kernels = [w.name == "kernel" for w in model.weights]
    after = model.get_weights()
    moved = [not np.array_equal(a, b) for a, b in zip(before, after, strict=True)]
    assert all(m for m, kernel in zip(moved, kernels, strict=True) if kernel)
    assert np.isfinite(np.concatenate([w.ravel() for w in after])).all()


@pytest.mark.parametrize("name", EVERY)
def test_the_image_size_is_free(name):
    free = build(name, "free")
    fixed = build(name)
    fixed.set_weights(free.get_weights())
    np.testing.assert_allclose(free(images(name)), fixed(images(name)), atol=1e-5)
    assert free(images(name, grow=5)).shape == (2, 3)


@pytest.mark.parametrize("norm", ["layer", "instance", "group", "none"])
@pytest.mark.parametrize("name", ["alexnet", "plain20", "resnet18", SLOWER])
def test_every_norm_gives_finite_logits(name, norm):
    side = 64 if norm == "instance" else None  # a map of one pixel is all zeros after it
    model = build(name, side, norm=norm)
    pixels = side or TABLE[name][0]
    x = np.random.default_rng(0).normal(size=(2, pixels, pixels, 3)).astype("float32")
    logits = np.asarray(model(x))
    assert np.isfinite(logits).all()
    assert np.ptp(logits) > 0


@pytest.mark.parametrize("name", ["alexnet", "vgg11", "resnet50v2", "wide_resnet28_10"])
def test_images_one_pixel_too_small_are_refused(name):
    smallest = {"alexnet": 63, "vgg11": 32, "resnet50v2": 32, "wide_resnet28_10": 4}[name]
    build(name, smallest)
    with pytest.raises(ValueError, match=f"{name}: images of .* at least {smallest} pixels"):
        build(name, smallest - 1)


def test_grid_pooling_averages_as_pytorch_defines_it():
    layer = GridAveragePooling(3)
    for height, width in [(3, 3), (7, 5), (2, 1), (6, 9)]:
        x = np.random.default_rng(0).normal(size=(2, height, width, 4)).astype("float32")
        expected = np.empty((2, 3, 3, 4))
        for i in range(3):
            for j in range(3):
                rows = slice(i * height // 3, -(-(i + 1) * height // 3))
                columns = slice(j * width // 3, -(-(j + 1) * width // 3))
                expected[:, i, j] = x[:, rows, columns].mean((1, 2))
        np.testing.assert_allclose(layer(x), expected, atol=1e-6)
