import math

import keras
import numpy as np
import pytest

from kcnn.callbacks import LRSweep, Snapshot
from kcnn.callbacks.learning_rate._rates import choose, judge_rates, noise_of

LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def data(n=320):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 4, n)
    x = rng.normal(size=(n, 12)).astype("float32")
    x[:, :4] += 3 * np.eye(4, dtype="float32")[y]
    return x, y


def model_with(optimizer, **compiled):
    model = keras.Sequential(
        [
            keras.Input((12,)),
            keras.layers.Dense(16, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.1),
            keras.layers.Dense(4),
        ]
    )
    traces = []
    step = model.train_step

    def counted(*args):
        traces.append(1)
        return step(*args)

    model.train_step = counted
    model.compile(optimizer, LOSS, metrics=["accuracy"], **compiled)
    model.traces = traces
    return model


def falling(end, n=100, start=2.3, noise=0.02, seed=0):
    rng = np.random.default_rng(seed)
    trend = end + (start - end) * np.exp(-np.arange(n) / (n / 4))
    return trend + noise * rng.normal(size=n)


FLAT = 2.3 + 0.02 * np.random.default_rng(1).normal(size=100)


@pytest.mark.parametrize(
    ("curve", "verdict"),
    [
        (falling(0.3), "clear and stable"),
        (falling(0.3, noise=0.15), "clear and stable"),
        (falling(1.9), "slow"),
        (FLAT, "no progress"),
        ([2.3, 2.4, 3.0, math.nan], "diverged"),
        ([2.3, 4.0, math.inf], "diverged"),
        (FLAT + np.linspace(0, 3, 100), "diverged"),
        (falling(0.3) + np.where(np.arange(100) > 60, 1.2, 0), "unstable"),
        (falling(0.3) + np.where(np.arange(100) % 20 == 19, 4.0, 0), "unstable"),
    ],
)
def test_a_rate_is_judged_by_its_curve(curve, verdict):
    judged = judge_rates([1e-1, 1e-2], [falling(0.2), curve])
    assert judged[0].verdict == "clear and stable"
    assert judged[1].verdict == verdict, judged[1].reason


def test_noise_is_that_around_the_trend():
    assert noise_of(falling(0.3, n=4000, noise=0.2)) == pytest.approx(0.2, rel=0.1)


def test_the_pick_is_clear_and_stable_and_lowest():
    rates = (1.0, 0.1, 0.01, 0.001)
    spikes = falling(0.1) + np.where(np.arange(100) % 20 == 19, 4.0, 0)
    rate, finding = choose(judge_rates(rates, [spikes, falling(0.3), falling(0.9), FLAT]))
    assert (rate, finding.severity) == (0.1, "ok")


@pytest.mark.parametrize(
    ("curves", "cause", "severity"),
    [
        ([FLAT, FLAT], None, "failure"),
        ([[2.3, math.nan], [2.3, 5.0, math.inf]], "lr_too_high", "failure"),
        ([[math.nan], [math.nan]], "nan_inputs", "failure"),
    ],
)
def test_no_rate_is_invented(curves, cause, severity):
    rate, finding = choose(judge_rates([0.1, 0.01], curves))
    assert rate is None
    assert (finding.cause, finding.severity) == (cause, severity)


def test_rates_share_one_trace_and_leave_nothing_behind():
    optimizer = keras.optimizers.SGD(0.05, momentum=0.9)
    optimizer.weight_decay = keras.Variable(0.01, trainable=False)
    model = model_with(optimizer)
    x, y = data()
    model.fit(x[:32], y[:32], verbose=0)
    traced, function = len(model.traces), model.train_function
    before = Snapshot(model)
    heard = []
    result = LRSweep(iterations=20).run(model, x, y, on_iteration=lambda *a: heard.append(a))
    assert before.same() == []
    assert float(optimizer.weight_decay) == pytest.approx(0.01)
    assert len(model.traces) == traced
    assert model.train_function is function
    told = [loss for rate, _, loss in heard if rate == 1]
    assert [i for rate, i, _ in heard if rate == 1] == list(range(20))
    assert list(result.curves[1].losses) == told
    assert result.suggestion in (0.1, 0.01)


def test_all_rates_start_alike_and_see_the_same_batches():
    model = model_with(keras.optimizers.SGD(0.1))
    result = LRSweep((0.05, 0.05, 1e-8), iterations=12).run(model, *data())
    first, second, still = (curve.losses for curve in result.curves)
    assert first == second
    assert first[0] == still[0]
    assert first[-1] < still[-1]


def test_losses_are_those_of_single_batches():
    model = model_with(keras.optimizers.SGD(0.1))
    model.layers[2].rate = 0.0
    x, y = data(320)
    result = LRSweep((1e-12,), iterations=10).run(model, x, y)
    order = np.random.default_rng(0).permutation(320)
    expected = [
        float(LOSS(y[rows], model(x[rows], training=True))) for rows in order.reshape(10, 32)
    ]
    np.testing.assert_allclose(result.curves[0].losses, expected, rtol=1e-4)


def test_weight_decay_as_a_number_is_set_and_put_back():
    model = model_with(keras.optimizers.AdamW(1e-3, weight_decay=0.004))
    x, y = data()
    model.fit(x, y, verbose=0)
    function, names = model.train_function, [v.path for v in model.optimizer.variables]
    before = Snapshot(model)
    strong = LRSweep((1e-2,), iterations=30, weight_decay=30.0).run(model, x, y)
    weak = LRSweep((1e-2,), iterations=30, weight_decay=0.0).run(model, x, y)
    assert strong.curves[0].losses[-1] > weak.curves[0].losses[-1] + 0.1
    assert model.optimizer.weight_decay == 0.004
    assert model.train_function is function
    assert [v.path for v in model.optimizer.variables] == names
    assert before.same() == []


def test_a_schedule_is_stepped_over_and_put_back():
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 100)
    model = model_with(keras.optimizers.SGD(schedule))
    result = LRSweep((1e-1, 1e-6), iterations=20).run(model, *data())
    assert result.curves[0].losses[-1] < result.curves[1].losses[-1] - 0.1
    assert model.optimizer._learning_rate is schedule
    assert model.train_function is None


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_error_in_the_middle_leaves_no_trace(error):
    model = model_with(keras.optimizers.Adam(1e-3))
    x, y = data()
    model.fit(x, y, verbose=0)
    before = Snapshot(model)

    def fail(rate, iteration, loss):
        if (rate, iteration) == (1, 5):
            raise error

    with pytest.raises(error):
        LRSweep(iterations=10).run(model, x, y, on_iteration=fail)
    assert before.same() == []
    assert not model.stop_training


def test_nan_inputs_give_no_suggestion():
    x, y = data()
    x[:] = np.nan
    result = LRSweep(iterations=10).run(model_with("sgd"), x, y)
    assert result.suggestion is None
    assert result.findings[0].cause == "nan_inputs"
    assert [len(curve.losses) for curve in result.curves] == [1] * 5


def test_datasets_generators_and_short_data():
    tf = pytest.importorskip("tensorflow")
    x, y = data(96)
    dataset = tf.data.Dataset.from_tensor_slices((x, y.astype("int64"))).batch(32)
    model = model_with("sgd")

    def batches():
        for start in (0, 32, 64):
            yield x[start : start + 32], y[start : start + 32]

    results = [LRSweep((0.1,), iterations=12).run(model, source) for source in (dataset, batches())]
    for result in results:
        assert len(result.curves[0].losses) == 12
        assert any("repeated" in finding.seen for finding in result.findings)
    np.testing.assert_allclose(results[0].curves[0].losses, results[1].curves[0].losses, rtol=1e-5)


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="positive"):
        LRSweep((0.1, 0.0))
    with pytest.raises(ValueError, match="10 or more"):
        LRSweep(iterations=5)
    x, y = data()
    with pytest.raises(ValueError, match="not compiled"):
        LRSweep().run(keras.Sequential([keras.layers.Dense(4)]), x, y)
    with pytest.raises(ValueError, match="same number of rows"):
        LRSweep().run(model_with("sgd"), x, y[:10])
