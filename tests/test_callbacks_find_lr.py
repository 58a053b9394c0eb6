import json
import math

import keras
import numpy as np
import pytest

from kcnn.callbacks import Snapshot, find_lr
from kcnn.callbacks.learning_rate._halving import (
    HALF_DECADES,
    Standing,
    judge_halving,
    plan_of,
    ranked,
    score,
)

LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def data(n=640):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 4, n)
    x = rng.normal(size=(n, 12)).astype("float32")
    x[:, :4] += 2 * np.eye(4, dtype="float32")[y]
    return x, y


def model_with(optimizer, **compiled):
    model = keras.Sequential(
        [
            keras.Input((12,)),
            keras.layers.Dense(16, activation="relu"),
            keras.layers.Dropout(0.1),
            keras.layers.Dense(4),
        ]
    )
    model.compile(optimizer, LOSS, **compiled)
    return model


@pytest.fixture(scope="module")
def found():
    """One search with Adam, its model before and after, and what was told on the way."""
    model = model_with(keras.optimizers.Adam(1e-6))
    before, told = Snapshot(model), []
    result = find_lr(model, *data(), on_iteration=lambda *a: told.append(a), sink=None)
    return result, before.same(), told


def test_it_finds_a_rate_that_trains_and_leaves_the_model_as_it_was(found):
    result, changed, _ = found
    assert changed == []
    assert 1e-3 <= result.suggestion <= 0.1
    x, y = data()

    def after_two_epochs(rate):
        keras.utils.set_random_seed(0)
        model = model_with(keras.optimizers.Adam(rate))
        return model.fit(x, y, epochs=2, verbose=0).history["loss"][-1]

    ours = after_two_epochs(result.suggestion)
    assert ours < after_two_epochs(1e-4) - 0.1
    assert ours < after_two_epochs(3.0) - 0.1


def test_it_keeps_to_its_budget_and_tells_every_step(found):
    result, _, told = found
    assert result.iterations == len(told) <= 500
    for rate, losses in zip(result.rates, result.losses, strict=True):
        mine = [(step, loss) for r, step, loss in told if r == rate]
        assert [step for step, _ in mine] == list(range(len(losses)))
        assert [loss for _, loss in mine] == list(losses)
    lengths = sorted((len(losses) for losses in result.losses), reverse=True)
    assert lengths[:7] == [132, 132, 54, 54, 30, 12, 12]


def test_reason_confidence_and_json(found):
    result, _, _ = found
    assert "lowest of 13 rates" in result.reason
    assert 0 <= result.confidence <= 1
    again = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert again["suggestion"] == result.suggestion
    assert len(again["losses"]) == 13


def test_a_rate_that_goes_on_continues_where_it_stood():
    """With one rate to the end the losses are those of one plain training."""
    model = model_with(keras.optimizers.SGD(0.05, momentum=0.9))
    model.layers[1].rate = 0.0
    x, y = data()
    result = find_lr(model, x, y, rates=(1e-7, 0.05), sink=None)
    assert len(result.losses[-1]) == 132
    order = np.random.default_rng(0)
    rows = np.concatenate([order.permutation(640) for _ in range(7)])[: 132 * 32]
    model.optimizer.learning_rate = 0.05
    losses = []
    for batch in rows.reshape(132, 32):
        told = model.train_on_batch(x[batch], y[batch])
        losses.append(float(np.ravel(told)[0]))
        model.reset_metrics()
    np.testing.assert_allclose(result.losses[-1], losses, rtol=2e-3)


@pytest.mark.parametrize("iterations", [50, 120, 500, 5000])
@pytest.mark.parametrize("group", [1, 4])
def test_a_plan_costs_no_more_than_allowed(iterations, group):
    model = model_with(
        keras.optimizers.SGD(0.1, gradient_accumulation_steps=group) if group > 1 else "sgd"
    )
    for rates in (HALF_DECADES, HALF_DECADES[3:9]):
        plan = plan_of(rates, iterations, model)
        alive = (len(rates), *plan.keep[:-1])
        begins = (0, *plan.ends[:-1])
        cost = sum(
            min(n, len(rates)) * (e - b) for n, b, e in zip(alive, begins, plan.ends, strict=True)
        )
        least = sum(min(n, len(rates)) for n in alive) * group
        assert cost <= max(iterations, least)
        assert all(end % group == 0 for end in plan.ends)
        assert list(plan.ends) == sorted(set(plan.ends))


def test_nothing_is_invented():
    x, y = data()
    nan = find_lr(model_with("sgd"), x * np.nan, y, iterations=60, sink=None)
    assert (nan.suggestion, nan.findings[0].cause) == (None, "nan_inputs")
    assert nan.confidence == 0
    assert not any("repeated" in finding.seen for finding in nan.findings)  # one step each
    flat = [Standing(rate, [1.4] * 122, None) for rate in HALF_DECADES]
    stuck = judge_halving(flat, repeated=False)
    assert (stuck.suggestion, stuck.findings[0].cause) == (None, "frozen_layers")
    rng = np.random.default_rng(0)
    noisy = [Standing(rate, list(1.4 + 0.1 * rng.normal(size=122)), None) for rate in HALF_DECADES]
    assert judge_halving(noisy, repeated=False).suggestion is None


def test_on_a_plateau_the_largest_of_equal_rates_goes_on():
    level = [Standing(rate, [2.30 + 0.001 * i] * 12, None) for i, rate in enumerate(HALF_DECADES)]
    level[-1].losses[-5:] = [9.0] * 5
    assert ranked(level, 2.3)[:3] == [level[0], level[11], level[10]]  # the best, the largest
    level[4].losses[-5:] = [1.9] * 5  # one has left it: the losses decide
    assert [s.rate for s in ranked(level, 2.3)[:2]] == [HALF_DECADES[4], HALF_DECADES[0]]


def test_close_rates_are_averaged_and_a_clear_winner_stands():
    def ladder_with(*ends):
        last = [Standing(r, [2.0] * 90 + [end] * 45, None) for r, end in ends]
        return judge_halving([Standing(1e-4, [2.0] * 12, None), *last], repeated=False)

    clear = ladder_with((0.01, 1.5), (0.1, 0.5), (1.0, 1.2))
    assert clear.suggestion == pytest.approx(0.1, rel=0.01)
    assert "mean" not in clear.reason
    close = ladder_with((0.01, 0.5), (0.1, 0.5), (1.0, 1.2))
    assert close.suggestion == pytest.approx(10**-1.5, rel=0.01)
    assert "mean" in close.reason
    behind = 0.5 + 1.5 * 0.05  # by 0.05 of the 1.5 learned: weighs 1/e
    leaning = ladder_with((0.01, 0.5), (0.1, behind), (1.0, 1.2))
    share = math.exp(-1) / (1 + math.exp(-1))
    assert leaning.suggestion == pytest.approx(10 ** (-2 + share), rel=0.01)


def test_with_nothing_learned_the_rate_is_called_a_guess():
    batches = 0.1 * np.random.default_rng(0).normal(size=132)
    stuck = [
        Standing(rate, list(2.3 + batches - 1e-5 * i * np.arange(132)), None)
        for i, rate in enumerate(HALF_DECADES)
    ]
    guess = judge_halving(stuck, repeated=False)
    assert guess.suggestion == HALF_DECADES[-1]
    assert (guess.findings[0].severity, guess.confidence) == ("warning", 0.1)


def test_the_end_of_the_ladder_is_pointed_out():
    falls = [
        Standing(r, list(2 - i * np.linspace(0, 0.1, 122)), None)
        for i, r in enumerate(HALF_DECADES)
    ]
    result = judge_halving(falls, repeated=False)
    assert HALF_DECADES[-2] < result.suggestion <= HALF_DECADES[-1]
    assert result.findings[0].severity == "warning"
    assert "beyond" in result.findings[0].advice
    assert result.confidence <= 0.5


def test_the_score_is_the_tail_and_infinite_after_divergence():
    assert score([9.0] * 30 + [1.0] * 15) == pytest.approx(1.0)
    assert score([1.0, math.nan]) == math.inf
    assert score([]) == math.inf


def test_a_schedule_is_put_back_and_short_data_are_told():
    schedule = keras.optimizers.schedules.CosineDecay(1e-9, 10)
    model = model_with(keras.optimizers.Adam(schedule))
    result = find_lr(model, *data(64), iterations=150, sink=None)
    assert result.suggestion > 1e-4
    assert model.optimizer._learning_rate is schedule
    assert any("repeated" in finding.seen for finding in result.findings)


def test_bad_arguments_are_refused():
    x, y = data(64)
    model = model_with("sgd")
    with pytest.raises(ValueError, match="rising"):
        find_lr(model, x, y, rates=(0.1, 0.01))
    with pytest.raises(ValueError, match="50 or more"):
        find_lr(model, x, y, iterations=20)
    with pytest.raises(ValueError, match="not compiled"):
        find_lr(keras.Sequential([keras.layers.Dense(4)]), x, y)
