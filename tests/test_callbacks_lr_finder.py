import json
import math

import keras
import numpy as np
import pytest

from kcnn.callbacks import LRFinder, RangeResult, Snapshot
from kcnn.callbacks._optimizer import typical_best
from kcnn.callbacks._range_judge import judge_range
from kcnn.callbacks._range_rules import centered, longest_fall, smoothed, suggestions

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


def curve(low=0.05, high=1.0, n=100, noise=0.01, seed=0):
    """A textbook range test: level, falling from `low`, breaking out at `high`."""
    rates = np.geomspace(1e-7, 10, n)
    fall = 1.5 / (1 + np.exp(-4 * np.log10(rates / low)))
    rise = np.expm1(np.maximum(np.log10(rates / high), 0) * 6)
    losses = 2.3 - fall + rise + noise * np.random.default_rng(seed).normal(size=n)
    return rates, losses


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


def test_named_rules_on_a_textbook_curve():
    rates, losses = curve()
    rules = {s.name: s for s in judge_range(rates, losses).suggestions}
    assert set(rules) == {"steepest", "minimum/10", "valley", "kcnn"}
    assert all(rule.reason for rule in rules.values())
    low = rates[np.argmin(smoothed(losses))]
    assert rules["minimum/10"].lr == pytest.approx(low / 10)
    assert 0.005 < rules["steepest"].lr < 0.5
    start, end = longest_fall(smoothed(losses))
    assert rules["valley"].lr == pytest.approx(rates[(start + end) // 2])


def test_the_suggestion_lies_on_the_fall_below_the_break():
    for seed in range(10):
        for low, high in ((0.05, 1.0), (0.0005, 0.05), (0.3, 3.0)):
            result = judge_range(*curve(low, high, noise=0.05, seed=seed))
            assert low / 10 < result.suggestion < 1.5 * high, (low, high, seed)


def test_the_suggestion_is_drawn_towards_the_rate_usual_with_the_optimizer():
    sgd, adam = keras.optimizers.SGD(0.01, momentum=0.9), keras.optimizers.AdamW(1.0)
    assert typical_best(keras.optimizers.LossScaleOptimizer(sgd)) == pytest.approx(0.1)
    assert typical_best(keras.optimizers.SGD(0.01)) == 1.0
    assert 1e-3 < typical_best(adam) < 1e-1
    assert typical_best(keras.optimizers.Lion(1e-3)) is None
    alone = judge_range(*curve())
    for usual in (1e-3, 1e-1, 100.0):
        drawn = judge_range(*curve(), usual=usual)
        near, far = sorted((alone.suggestion, min(usual, 10.0)))  # the test ends at 10
        assert near < drawn.suggestion < far
        assert "usual" in drawn.findings[0].seen
    others = {s.name: s.lr for s in drawn.suggestions if s.name != "kcnn"}
    assert others == {s.name: s.lr for s in alone.suggestions if s.name != "kcnn"}


def test_a_level_loss_that_breaks_out_gives_a_guess_and_says_so():
    rates = np.geomspace(1e-7, 10, 100)
    rng = np.random.default_rng(0)
    level = 2.3 + 0.01 * rng.normal(size=100)
    out = np.where(rates > 1, 4.0, level)
    for losses, edge in (
        (out, 1.0),  # up for good
        ([*level[:80], math.nan], rates[79]),
        (level + np.where(rates > 1, 0.05, 0) * (-1) ** np.arange(100), 10.0),  # restless
    ):
        result = judge_range(rates[: len(losses)], losses)
        assert result.findings[0].severity == "warning"
        assert 0.6 < result.suggestion / (edge / 16) < 1.3
        assert [s.name for s in result.suggestions] == ["kcnn"]


def test_the_suggestion_lies_below_the_breaks_and_the_fall():
    rates = np.geomspace(1e-7, 10, 100)
    level = 2.0 + 0.01 * np.random.default_rng(0).normal(size=100)
    fell = np.where(rates < 0.01, level, level - 1)  # all of the fall at 0.01

    def between(out, fall=0.01):
        return pytest.approx(out**0.7 * fall**0.3 / 6, rel=0.2)

    def suggested(losses):
        return judge_range(rates, losses).suggestion

    up = np.where(rates > 1, 6.0, fell)
    assert suggested(up) == between(1.0)  # a jump, a rise and the fall undone, all at 1
    jumped = np.where(np.arange(100) == 70, 2.3, up)  # one batch alone, well out
    assert suggested(jumped) == between((rates[70] * 1) ** 0.25 * 1**0.5)
    wrecked = np.where(rates > 3, 1.99, up)  # dead weights come back to the first level
    assert suggested(wrecked) == suggested(up)
    undone = np.where(rates > 0.2, np.minimum(fell + 0.7, 1.8), fell)  # up, not above the start
    assert suggested(undone) == between(10**0.5 * 0.35**0.5)  # seen a little late: smoothed
    assert suggested(fell) == between(10.0)
    assert "the last rate" in judge_range(rates, fell).findings[0].seen


def test_centered_smoothing_has_no_lag():
    line = np.linspace(0, 5, 50)
    np.testing.assert_allclose(centered(line)[6:-6], line[6:-6])
    spike = centered(np.eye(1, 50, 20)[0])
    assert np.argmax(spike) == 20
    np.testing.assert_allclose(spike[14:20], spike[26:20:-1])


def test_the_longest_fall_is_the_longest_by_brute_force():
    rng = np.random.default_rng(0)
    for _ in range(20):
        values = rng.normal(size=9)
        start, end = longest_fall(values)

        def depth(i, values=values):
            return 1 + max((depth(j) for j in range(i) if values[j] > values[i]), default=0)

        assert depth(end) == max(depth(i) for i in range(9))
        assert values[start] >= values[end]


def test_smoothing_starts_without_bias():
    np.testing.assert_allclose(smoothed(np.full(20, 3.0)), 3.0)
    assert suggestions(np.geomspace(1e-3, 1, 9), np.ones(9)) == ()


def test_a_result_survives_json():
    rates, losses = curve()
    result = judge_range(rates, [*losses[:-1], math.inf], repeated=True)
    again = RangeResult.from_dict(json.loads(json.dumps(result.to_dict(), allow_nan=False)))
    assert again.suggestions == result.suggestions
    assert again.findings == result.findings
    assert again.rates == result.rates
    assert again.losses[:-1] == result.losses[:-1]
    assert math.isnan(again.losses[-1])


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
