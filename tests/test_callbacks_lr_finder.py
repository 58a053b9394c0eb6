import math

import keras
import numpy as np
import pytest

from kcnn.callbacks import LRFinder, Snapshot
from kcnn.callbacks.learning_rate import _lr_finder as lr_finder
from kcnn.callbacks.learning_rate._range_judge import judge_range
from kcnn.callbacks.learning_rate._usual_rate import usual_rate

LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def data(n=320):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 4, n)
    x = rng.normal(size=(n, 12)).astype("float32")
    x[:, :4] += 3 * np.eye(4, dtype="float32")[y]
    return x, y


def model_with(optimizer="sgd", **compiled):
    model = keras.Sequential(
        [keras.Input((12,)), keras.layers.Dense(16, activation="relu"), keras.layers.Dense(4)]
    )
    model.compile(optimizer, LOSS, **compiled)
    if keras.config.backend() == "torch":  # a first fit draws before any callback hears
        model.fit(*(part[:32] for part in data()), verbose=0)
    return model


def swept(model, *callbacks, source=None, epochs=10, **options):
    finder = LRFinder(**{"iterations": 30, "sink": None, **options})
    x, y = source if source is not None else (*data(),)
    model.fit(x, y, epochs=epochs, verbose=0, shuffle=False, callbacks=[*callbacks, finder])
    return finder


def test_it_takes_each_batch_at_its_own_rate_from_a_state_that_moves():
    """Against a plain loop: SGD by hand, rate after rate, on the same batches."""
    model, twin = model_with(keras.optimizers.SGD(1.0)), model_with(keras.optimizers.SGD(1.0))
    twin.set_weights(model.get_weights())
    finder = swept(model, min_lr=1e-4, max_lr=1.0, iterations=10)
    x, y = data()
    expected = []
    for i, rate in enumerate(np.geomspace(1e-4, 1.0, 10)):
        twin.optimizer.learning_rate = rate
        rows = slice(32 * i, 32 * i + 32)
        expected.append(twin.train_on_batch(x[rows], y[rows]))
        twin.reset_metrics()
    expected = np.array([float(np.ravel(e)[0]) for e in expected])
    np.testing.assert_allclose(finder.result.rates, np.geomspace(1e-4, 1.0, 10))
    np.testing.assert_allclose(finder.result.losses, expected, rtol=1e-4)


def test_it_stops_the_fit_and_leaves_the_model_alone():
    model = model_with("adam")
    batches, epochs = [], []

    def look(*_, **__):
        if keras.config.backend() == "jax":
            model.jax_state_sync()
        batches.append(model.get_weights())

    counter = keras.callbacks.LambdaCallback(
        on_train_batch_end=look,
        on_epoch_end=lambda *_, **__: epochs.append(1),
    )
    before, weights = Snapshot(model), model.get_weights()
    finder = swept(model, counter)
    assert len(batches) == len(finder.result.losses) <= 30
    assert len(epochs) == math.ceil(len(batches) / 10)
    assert before.same() == []
    for seen in batches:  # hidden: other callbacks never see a swept weight
        assert all(np.array_equal(a, b) for a, b in zip(seen, weights, strict=True))
    assert not model.stop_training


def test_the_next_fit_trains_as_if_nothing_had_been():
    losses = []
    for sweep in (True, False):
        keras.utils.set_random_seed(1)
        model = model_with(keras.optimizers.Adam(1e-2))
        if sweep:
            swept(model)
        x, y = data()
        losses.append(model.fit(x, y, epochs=3, shuffle=False, verbose=0).history["loss"])
    assert losses[0] == losses[1]


@pytest.mark.parametrize("where", ["on_train_batch_begin", "on_train_batch_end", "on_epoch_end"])
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_callback_that_raises_leaves_no_trace_and_no_sweep_behind(where, error):
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 100)
    model = model_with(keras.optimizers.Adam(schedule))
    before = Snapshot(model)
    calls = []

    def fail(*_, **__):
        calls.append(1)
        if len(calls) == 3:
            raise error

    with pytest.raises(error):
        swept(model, keras.callbacks.LambdaCallback(**{where: fail}), iterations=60)
    assert before.same() == []
    assert model.optimizer._learning_rate is schedule
    x, y = data()
    model.fit(x, y, verbose=0)
    assert set(before.same()) > {model.layers[0].kernel.path}


def test_short_data_are_repeated_and_it_is_said():
    finder = swept(model_with(), source=tuple(part[:96] for part in data()), epochs=1)
    assert len(finder.result.losses) == 30
    assert any("shown again" in f.seen for f in finder.result.findings)
    enough = swept(model_with(), epochs=3)
    assert not any("shown again" in f.seen for f in enough.result.findings)


def test_a_model_without_weights_is_built_on_the_way():
    model = keras.Sequential([keras.layers.Dense(8, activation="relu"), keras.layers.Dense(4)])
    model.compile(keras.optimizers.Adam(), LOSS)
    finder = swept(model)
    assert len(finder.result.losses) >= 15
    assert int(model.optimizer.iterations) == 0


def test_several_batches_share_a_rate_where_they_must():
    accumulating = model_with(keras.optimizers.SGD(0.1, gradient_accumulation_steps=3))
    result = swept(accumulating, epochs=20).result
    assert all(len(set(result.rates[i : i + 3])) == 1 for i in range(0, len(result.rates) - 2, 3))
    assert len(set(result.rates)) == 10
    if keras.config.backend() != "torch":
        result = swept(model_with(steps_per_execution=5), epochs=20).result
        assert len(set(result.rates)) == len(result.rates) == 10


def test_nothing_is_invented():
    x, y = data()
    assert swept(model_with(), source=(x * np.nan, y)).result.suggestion is None
    model = model_with()
    model.layers[-1].kernel.assign(0 * model.layers[-1].kernel)
    model.layers[0].kernel.assign(0 * model.layers[0].kernel)
    model.trainable = False
    model.layers[0].trainable = True  # a weight whose gradient is always zero
    model.compile("sgd", LOSS)
    finder = swept(model, source=(x, np.zeros_like(y)))
    assert finder.suggestion is None
    assert finder.result.findings[0].cause == "frozen_layers"
    rng = np.random.default_rng(0)
    flat = judge_range(np.geomspace(1e-7, 10, 100), 2.3 + 0.05 * rng.normal(size=100))
    assert flat.suggestion is None
    assert flat.findings[0].severity == "failure"


def test_it_ends_early_when_the_loss_breaks_out():
    finder = swept(model_with(), max_lr=1e6, iterations=100, epochs=20)
    assert len(finder.result.losses) < 100
    assert finder.suggestion is not None


def listening(told):
    """`judge_range`, whose named arguments are noted."""
    return lambda *seen, **named: told.update(named) or judge_range(*seen, **named)


@pytest.mark.parametrize(
    ("size", "accumulated", "compiled", "batch"),
    [
        (32, None, {}, 32),
        (64, None, {}, 64),
        (16, 4, {}, 64),
        (32, None, {"steps_per_execution": 2}, 32),
    ],
)
def test_the_batch_size_counts(size, accumulated, compiled, batch, monkeypatch):
    if keras.config.backend() == "torch" and compiled:
        pytest.skip("torch has no steps_per_execution")
    told = {}
    monkeypatch.setattr(lr_finder, "judge_range", listening(told))
    model = model_with(
        keras.optimizers.SGD(0.1, gradient_accumulation_steps=accumulated),
        **compiled,
    )
    finder = LRFinder(iterations=20, sink=None)
    model.fit(*data(), batch_size=size, epochs=20, verbose=0, callbacks=[finder])
    assert told["batch"] == batch
    assert told["usual"] == usual_rate(model, batch)


def test_a_training_step_that_does_not_count_leaves_the_batch_size_open(monkeypatch):
    class Own(keras.Sequential):
        def train_step(self, *args):
            logs = super().train_step(*args)
            self._loss_tracker.count.assign(0.0)
            return logs

    if keras.config.backend() != "tensorflow":
        pytest.skip("this train_step is TensorFlow's")
    told = {}
    monkeypatch.setattr(lr_finder, "judge_range", listening(told))
    model = Own([keras.Input((12,)), keras.layers.Dense(4)])
    model.compile("sgd", LOSS)
    model.fit(*data(), epochs=10, verbose=0, callbacks=[LRFinder(iterations=20, sink=None)])
    assert told["batch"] is None
    assert told["usual"] == usual_rate(model)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"min_lr": 1.0, "max_lr": 0.1}, "min_lr < max_lr"),
        ({"min_lr": 0.0}, "min_lr < max_lr"),
        ({"max_lr": math.inf}, "min_lr < max_lr"),
        ({"iterations": 9}, "10 or more"),
    ],
)
def test_bad_arguments_are_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        LRFinder(**arguments)


def test_there_is_nothing_to_plot_before_a_fit():
    with pytest.raises(ValueError, match=r"model\.fit"):
        LRFinder().plot()


def test_it_tells_how_far_the_weights_moved():
    """Against the same steps by hand."""
    model, twin = model_with(keras.optimizers.SGD(1.0)), model_with(keras.optimizers.SGD(1.0))
    twin.set_weights(model.get_weights())
    finder = swept(model, min_lr=1e-3, max_lr=1.0, iterations=10)
    x, y = data()
    before = [keras.ops.convert_to_numpy(layer.kernel).copy() for layer in twin.layers]
    for i, rate in enumerate(np.geomspace(1e-3, 1.0, 10)):
        twin.optimizer.learning_rate = rate
        twin.train_on_batch(x[32 * i : 32 * i + 32], y[32 * i : 32 * i + 32])
    after = [keras.ops.convert_to_numpy(layer.kernel) for layer in twin.layers]
    shares = [np.linalg.norm(b - a) / np.linalg.norm(a) for a, b in zip(before, after, strict=True)]
    assert finder.moved == pytest.approx(max(shares), rel=1e-4)
