"""Transfer: what is frozen stays to the byte, what is new is new, and rates are per layer."""

import keras
import numpy as np
import pytest

import kcnn
from kcnn import transfer
from kcnn.models.preact import PreActOptions, preact
from kcnn.models.resnet import ResNetOptions
from kcnn.models.resnet import resnet as build_resnet
from kcnn.preprocessing import Preprocessing

LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def data(n=12, side=8, classes=3):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, side, side, 3)).astype("float32"), np.arange(n) % classes


def resnet(**options):
    """Four blocks: a stem and one residual block for each of three sizes."""
    chosen = ResNetOptions(
        7, input_shape=(8, 8, 3), stem="cifar", shortcut="identity-pad", **options
    )
    return build_resnet(chosen, name="small", depths=(1, 1, 1), filters=(4, 8, 16))


def snapshot(model):
    return {w.path: np.asarray(w).tobytes() for w in model.weights}


def moved(before, model):
    after = snapshot(model)
    return {path for path in before if before[path] != after[path]}


def statistics(paths):
    return {path for path in paths if "moving_" in path}


def fit(model, epochs=2):
    return model.fit(*data(), epochs=epochs, batch_size=4, verbose=0)


def probe(backbone=None, **options):
    model = transfer.linear_probe(backbone or resnet(), 3, **options)
    model.compile(keras.optimizers.Adam(1e-2), LOSS, metrics=["accuracy"])
    return model


def test_a_linear_probe_moves_its_head_and_no_other_byte():
    model = probe()
    before = snapshot(model)
    fit(model)
    assert moved(before, model) == {"logits/kernel", "logits/bias"}
    assert len(model.trainable_weights) == 2


def test_the_head_is_new_and_the_features_are_the_backbones():
    backbone = resnet()
    features = keras.Model(backbone.input, backbone.get_layer("pool").output)
    model = transfer.linear_probe(backbone, 5)
    x, _ = data()
    assert model(x).shape == (12, 5)
    head = model.get_layer("logits")
    expected = np.asarray(features(x)) @ np.asarray(head.kernel)
    np.testing.assert_allclose(model(x), expected, atol=1e-5)


def test_the_frozen_backbone_is_in_inference_mode_during_training():
    """In fit the features must be those of inference: no batch statistics, no dropout."""
    model = probe(resnet(drop_path=0.5))
    x, _ = data()
    np.testing.assert_allclose(model(x, training=True), model(x, training=False), atol=1e-6)


def test_unfreezing_all_moves_every_kernel_and_no_statistic():
    model = probe()
    transfer.unfreeze(model)
    before = snapshot(model)
    fit(model)
    changed = moved(before, model)
    assert {p for p in before if p.endswith("kernel")} <= changed
    assert any(path.endswith("gamma") for path in changed)
    assert statistics(changed) == set()
    learning = len(model.trainable_weights)
    assert len(transfer.unfreeze(model).trainable_weights) == learning  # again
    model.get_layer("backbone").body.trainable = False
    assert len(model.trainable_weights) == 2
    assert len(transfer.unfreeze(model).trainable_weights) == learning


def test_unfreeze_keeps_loss_and_metrics_and_divides_the_rate_by_ten():
    model = probe()
    fit(model, 1)
    transfer.unfreeze(model)
    assert float(model.optimizer.learning_rate) == pytest.approx(1e-3)
    assert int(model.optimizer.iterations) == 0
    assert set(fit(model, 1).history) == {"loss", "accuracy"}
    transfer.unfreeze(model, learning_rate=keras.optimizers.schedules.CosineDecay(0.1, 10))
    assert float(model.optimizer.learning_rate) == pytest.approx(0.1)
    with pytest.raises(ValueError, match="follows a schedule; say learning_rate="):
        transfer.unfreeze(model)


def test_a_saved_model_goes_on(tmp_path):
    model = probe()
    transfer.unfreeze(model)
    fit(model, 1)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    x, y = data()
    for m in (model, again):
        m.train_on_batch(x, y)
    for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    transfer.unfreeze(again)  # what linear_probe made is still recognized


def test_the_backbones_preprocessing_is_found_in_the_probe(tmp_path):
    record = Preprocessing(8, scale=1 / 255, mean=0.5, std=0.25)
    model = probe(resnet(preprocess=record.layer()))
    assert Preprocessing.of(model) == record
    model.save(tmp_path / "model.keras")
    assert Preprocessing.of(keras.models.load_model(tmp_path / "model.keras")) == record


def test_fine_tune_runs_both_stages():
    backbone = resnet()
    model = probe(backbone)
    before = snapshot(backbone)
    x, y = data()
    history = transfer.fine_tune(model, x, y, head_epochs=2, epochs=3, batch_size=4, verbose=0)
    assert len(history.head["loss"]) == 2
    assert len(history.whole["accuracy"]) == 3
    changed = moved(before, backbone)
    assert {path for path in before if path.endswith("conv/kernel")} <= changed
    assert statistics(changed) == set()
    assert float(model.optimizer.learning_rate) == pytest.approx(1e-3)


def test_mixed_precision_and_loss_scaling_survive_the_change_of_stage():
    keras.config.set_dtype_policy("mixed_float16")
    model = probe()
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    transfer.unfreeze(model)
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    assert np.isfinite(fit(model, 1).history["loss"]).all()


def test_gray_images_pass_a_preprocessing_layer():
    color = keras.layers.Concatenate(name="color")
    gray = keras.Input((8, 8, 1))
    layer = keras.Model(gray, color([gray, gray, gray]), name="to_color")
    model = transfer.linear_probe(resnet(), 3, input_shape=(8, 8, 1), preprocess=layer)
    assert model(data()[0][..., :1]).shape == (12, 3)


BACKBONES = {
    "without top": lambda: resnet(include_top=False),
    "with top": lambda: resnet(),
    "vgg with top": lambda: kcnn.create_model(
        "vgg11", classes=7, width=1 / 16, input_shape=(32, 32, 3)
    ),
    "pre-activation": lambda: preact(
        PreActOptions(7, input_shape=(8, 8, 3), stem="cifar"),
        name="small_v2",
        bottleneck=True,
        depths=(1, 2),
        filters=(4, 8),
        first_filters=4,
        strided_last=True,
    ),
    "keras MobileNetV2": lambda: keras.applications.MobileNetV2(
        weights=None, alpha=0.35, input_shape=(32, 32, 3), classes=7
    ),
    "keras MobileNet": lambda: keras.applications.MobileNet(
        weights=None, alpha=0.25, input_shape=(32, 32, 3), classes=7
    ),
    "sequential": lambda: keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(4, 3, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Flatten(),
            keras.layers.Dense(6, activation="relu"),
            keras.layers.Dense(7),
            keras.layers.Softmax(),
        ]
    ),
}


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(k, marks=[pytest.mark.slow] if k in ("keras MobileNet", "with top") else [])
        for k in BACKBONES
    ],
)
def test_any_keras_model_is_a_backbone(kind):
    backbone = BACKBONES[kind]()
    side = backbone.inputs[0].shape[1]
    model = probe(backbone)
    before = snapshot(model)
    x, y = data(side=side)
    model.fit(x, y, batch_size=6, verbose=0)
    assert moved(before, model) <= {"logits/kernel", "logits/bias"}
    transfer.unfreeze(model)
    model.fit(x, y, batch_size=6, verbose=0)
    changed = moved(before, model)
    assert len(changed) > 2
    assert statistics(changed) == set()
    tops = {"vgg with top": 256, "keras MobileNet": 256, "sequential": 6, "pre-activation": 32}
    if kind in tops:
        assert model.get_layer("logits").kernel.shape[0] == tops[kind]


def test_keras_cv_backbones_fit_in():
    keras_cv = pytest.importorskip("keras_cv", reason="keras-cv is not installed")
    backbone = keras_cv.models.ResNetV2Backbone(
        stackwise_filters=[64, 64],
        stackwise_blocks=[2, 2],
        stackwise_strides=[1, 2],
        block_type="basic_block",
        include_rescaling=False,
        input_shape=(32, 32, 3),
    )
    model = probe(backbone)
    before = snapshot(model)
    model.fit(*data(side=32), verbose=0)
    assert moved(before, model) == {"logits/kernel", "logits/bias"}


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda m: transfer.linear_probe(m, 0), "classes must be at least 1"),
        (lambda m: transfer.linear_probe(m, 3, pooling="mean"), "pooling must be one of"),
        (lambda m: transfer.linear_probe(m, 3, features="pol"), "no layer 'pol'"),
        (lambda m: transfer.linear_probe(keras.Sequential(), 3), "must be a built Keras model"),
        (lambda m: transfer.unfreeze(m), "was not made by linear_probe"),
        (lambda m: transfer.fine_tune(transfer.linear_probe(m, 3), *data()), "compile .* first"),
        (lambda m: transfer.regime(3, 5), "at least one class and one image of each"),
    ],
)
def test_bad_arguments_are_answered_with_what_to_do(call, says):
    with pytest.raises(ValueError, match=says):
        call(resnet())


def test_regime_follows_the_images_per_class_and_says_why():
    few, many = transfer.regime(100, 10), transfer.regime(100_000, 10)
    assert (few.name, many.name) == ("linear_probe", "fine_tune")
    assert few.reason.startswith("10 images per class are too few")
    assert many.images_per_class == 10_000
