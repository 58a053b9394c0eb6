import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from kcnn.callbacks import SmallSampleCheck, Snapshot, judge_small_sample
from kcnn.callbacks.state._regularization import SwitchedOff

L = keras.losses


def images(n=200, classes=5):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, 8, 8, 1)).astype("float32"), rng.integers(0, classes, n)


def regularized(loss=None, units=5, optimizer=None, dropout=0.6, **compiled):
    """A small CNN that cannot get near zero loss while its regularization works."""
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.RandomTranslation(0.3, 0.3),
            keras.layers.GaussianNoise(0.5),
            keras.layers.Conv2D(8, 3, activation="relu", kernel_regularizer="l2"),
            keras.layers.BatchNormalization(),
            keras.layers.Flatten(),
            keras.layers.Dropout(dropout),
            keras.layers.Dense(
                32, activation="relu", activity_regularizer=keras.regularizers.L2(1)
            ),
            keras.layers.Dense(units),
        ]
    )
    loss = loss or L.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = optimizer or keras.optimizers.AdamW(1e-3, weight_decay=0.5)
    model.compile(optimizer, loss, metrics=["accuracy"], **compiled)
    return model


def plain(loss=None, units=5, **compiled):
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(32, activation="relu"),
            keras.layers.Dense(units),
        ]
    )
    loss = loss or L.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-2), loss, **compiled)
    return model


def test_regularization_is_off_and_then_on_again():
    model = regularized()
    x, y = images()
    model.fit(x, y, verbose=0)
    before, function = Snapshot(model), model.train_function
    config = model.get_config()
    result = SmallSampleCheck(x, y, images=20, sink=None).run(model)
    assert result.finding.severity == "ok", result.finding
    assert result.accuracy == 1.0
    assert len(result.switched_off) == 5
    assert before.same() == []
    assert model.train_function is function
    assert model.get_config() == config
    assert model.optimizer.weight_decay == 0.5
    assert model.layers[2].kernel.regularizer is not None
    noisy = [keras.ops.convert_to_numpy(model(x[:4], training=True)) for _ in range(2)]
    assert not np.array_equal(*noisy)


def test_switched_off_layers_do_what_they_do_at_inference():
    model = regularized()
    x, _ = images(16)
    model.layers[3].momentum = 1.0  # batch statistics still move the output, not the state
    with SwitchedOff(model) as off:
        assert off.changed
        first, second = (keras.ops.convert_to_numpy(model(x, training=True)) for _ in range(2))
        assert not model.losses
    np.testing.assert_array_equal(first, second)
    assert model.losses


def test_in_fit_the_training_goes_on_as_if_it_had_not_been():
    x, y = images()
    histories = []
    for check in (True, False):
        keras.utils.set_random_seed(3)
        model = regularized()
        heard = []
        callbacks = [SmallSampleCheck(x, y, images=10, sink=heard.append)] if check else []
        history = model.fit(x, y, epochs=2, verbose=0, shuffle=False, callbacks=callbacks)
        histories.append(history.history["loss"])
        if check:
            assert [f.severity for f in heard] == ["ok"]
            assert callbacks[0].finding is heard[0]
    assert histories[0] == histories[1]


def test_a_plain_model_is_not_traced_again():
    tf = pytest.importorskip("tensorflow")
    if keras.config.backend() == "torch":
        pytest.skip("PyTorch traces nothing")
    model = plain()
    traces = []
    step = model.train_step

    def counted(*data):
        traces.append(1)
        return step(*data)

    model.train_step = counted
    model.compile(keras.optimizers.Adam(1e-2), model.loss)
    model.optimizer.weight_decay = keras.Variable(0.1, trainable=False)
    x, y = images()
    dataset = tf.data.Dataset.from_tensor_slices((x, y)).batch(16)
    model.fit(dataset, verbose=0)
    traced = len(traces)
    heard = []
    check = SmallSampleCheck(dataset, images=20, iterations=100, sink=None)
    result = check.run(model, on_iteration=lambda i, loss: heard.append(loss))
    assert result.finding.ok
    assert heard == list(result.losses)
    assert result.iterations < 100
    assert len(traces) == traced
    assert float(model.optimizer.weight_decay) == pytest.approx(0.1)


def test_other_rates_are_tried_when_the_first_does_not_get_there():
    model = plain()
    model.optimizer.learning_rate = 1e-4
    x, y = images()
    result = SmallSampleCheck(x, y, images=20, iterations=150, sink=None).run(model)
    assert result.finding.ok
    assert result.learning_rate == pytest.approx(1e-3)
    stuck = SmallSampleCheck(x, y, images=20, iterations=20, rates=[1e-6], sink=None).run(model)
    assert not stuck.finding.ok


@pytest.mark.parametrize(
    ("loss", "units", "labels"),
    [
        (L.CategoricalCrossentropy(from_logits=True, label_smoothing=0.2), 5, "one_hot"),
        (L.BinaryCrossentropy(from_logits=True), 1, "binary"),
        ("mse", 1, "regression"),
    ],
)
def test_losses_of_other_kinds(loss, units, labels):
    x, y = images()
    y = {
        "one_hot": keras.utils.to_categorical(y, 5),
        "binary": (y[:, None] % 2).astype("float32"),
        "regression": np.random.default_rng(0).normal(size=(200, 1)).astype("float32"),
    }[labels]
    result = SmallSampleCheck(x, y, images=20, sink=None).run(plain(loss, units))
    assert result.finding.ok, result.finding
    assert result.accuracy == (None if labels == "regression" else 1.0)


def test_the_floor_of_label_smoothing_is_reached_and_no_more():
    from kcnn.callbacks.sanity._accuracy import least_loss

    for loss in (
        L.CategoricalCrossentropy(label_smoothing=0.3),
        L.BinaryCrossentropy(label_smoothing=0.3),
    ):
        target = np.array([[1.0, 0, 0, 0, 0]] if "Cat" in type(loss).__name__ else [[1.0]], "f")
        smoothed = target * 0.7 + 0.3 / (5 if target.shape[1] > 1 else 2)
        model = plain(loss, target.shape[1])
        assert least_loss(model) == pytest.approx(float(loss(target, smoothed)), rel=1e-4)


def test_a_model_that_cannot_learn_is_found_out():
    model = plain()
    for layer in model.layers:
        layer.trainable = False
    model.layers[-1].trainable = True
    model.layers[-2].kernel.assign(0 * model.layers[-2].kernel)  # dead: only a bias is left
    model.compile(keras.optimizers.Adam(1e-2), model.loss)
    x, y = images()
    result = SmallSampleCheck(x, y, images=20, iterations=40, sink=None).run(model)
    assert result.finding.severity == "failure"


@pytest.mark.parametrize(
    ("losses", "accuracy", "severity", "cause"),
    [
        ([2.3, 1.0, 0.01], 1.0, "ok", None),
        ([2.3, 1.0, 0.01], 0.3, "failure", "loss_activation_mismatch"),
        ([2.3, 2.29, 2.28], 0.2, "failure", None),
        ([2.3, 1.5, 0.9], 0.8, "warning", "insufficient_capacity"),
        ([2.3, 9.0, math.nan], 0.1, "failure", "lr_too_high"),
        ([math.nan], 0.1, "failure", "nan_inputs"),
    ],
)
def test_judging(losses, accuracy, severity, cause):
    finding = judge_small_sample(losses, accuracy=accuracy, images=20)
    assert (finding.severity, finding.cause) == (severity, cause)


def test_the_sample_holds_every_class():
    x, y = images(300, 5)
    y[:280] = 0  # rare classes stand at the end
    check = SmallSampleCheck(x, y, images=10, sink=None)
    assert set(check.batch[1]) == set(y)


def test_a_shuffled_pipeline_shows_one_sample_and_is_judged_on_it():
    x, y = images()
    data = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(200).batch(16)
    check = SmallSampleCheck(data, images=20)
    for _ in range(2):
        shown, _ = next(iter(check.feed.dataset))
        np.testing.assert_array_equal(shown, check.batch[0])


def test_bad_arguments_are_refused():
    x, y = images()
    with pytest.raises(ValueError, match="10 to 100"):
        SmallSampleCheck(x, y, images=5)
    with pytest.raises(ValueError, match="same number of rows"):
        SmallSampleCheck(x, y[:5])
    for given in ("photos/", 5):
        with pytest.raises(ValueError, match=r"arrays, a tf\.data\.Dataset.* received"):
            SmallSampleCheck(given)
