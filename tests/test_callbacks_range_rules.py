import json
import math

import numpy as np
import pytest

from kcnn.callbacks import RangeResult
from kcnn.callbacks.learning_rate._range_judge import judge_range
from kcnn.callbacks.learning_rate._range_rules import centered, longest_fall, smoothed, suggestions


def curve(low=0.05, high=1.0, n=100, noise=0.01, seed=0):
    """A textbook range test: level, falling from `low`, breaking out at `high`."""
    rates = np.geomspace(1e-7, 10, n)
    fall = 1.5 / (1 + np.exp(-4 * np.log10(rates / low)))
    rise = np.expm1(np.maximum(np.log10(rates / high), 0) * 6)
    losses = 2.3 - fall + rise + noise * np.random.default_rng(seed).normal(size=n)
    return rates, losses


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


def test_the_suggestion_lies_below_the_break():
    for seed in range(10):
        for low, high in ((0.05, 1.0), (0.0005, 0.05), (0.3, 3.0)):
            result = judge_range(*curve(low, high, noise=0.05, seed=seed))
            assert low / 30 < result.suggestion < high / 4, (low, high, seed)


def test_the_suggestion_lies_between_the_usual_rate_and_the_break():
    rates = np.geomspace(1e-7, 10, 100)
    out = float(rates[rates > 1][0])
    level = 2.0 + 0.01 * np.random.default_rng(0).normal(size=100)
    losses = np.where(rates < 0.01, level, np.where(rates < out, level - 1, 6.0))
    lowered = math.exp(-0.5)  # half of the first level was learned before
    for usual in (1e-3, 3e-2, 0.3):
        result = judge_range(rates, losses, usual=usual)
        between = usual ** (2 / 3) * out ** (1 / 3)
        assert result.suggestion == pytest.approx(between * lowered, rel=0.2)
        assert "usual" in result.findings[0].seen
    assert judge_range(rates, losses, usual=1e-12).suggestion == pytest.approx(
        1e-7 ** (2 / 3) * out ** (1 / 3) * lowered, rel=0.2
    )  # the test begins at 1e-7
    high = judge_range(rates, losses, usual=100.0)
    assert high.suggestion == pytest.approx(0.8 * out / 2, rel=0.25)
    assert "half of" in high.findings[0].seen
    alone = judge_range(rates, losses)
    others = {s.name: s.lr for s in high.suggestions if s.name != "kcnn"}
    assert others == {s.name: s.lr for s in alone.suggestions if s.name != "kcnn"}


def test_without_a_usual_rate_larger_batches_get_a_larger_one():
    rates, losses = curve()
    small, middle, large, unknown = (
        judge_range(rates, losses, batch=batch).suggestion for batch in (16, 64, 256, None)
    )
    assert large / middle == pytest.approx(2)
    assert middle / small == pytest.approx(2)
    assert unknown == middle


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
        assert 0.6 < result.suggestion / (edge / 10) < 1.3
        assert [s.name for s in result.suggestions] == ["kcnn"]


def test_where_the_loss_breaks_out_is_told_in_three_ways():
    rates = np.geomspace(1e-7, 10, 100)
    level = 2.0 + 0.01 * np.random.default_rng(0).normal(size=100)
    fell = np.where(rates < 0.01, level, level - 1)  # by half, all of it at 0.01

    def suggested(losses):
        return judge_range(rates, losses).suggestion

    def below(out):  # smoothing sees a rise about two steps early
        return pytest.approx(0.8 * out / 10 * math.exp(-0.5), rel=0.25)

    up = np.where(rates > 1, 6.0, fell)
    assert suggested(up) == below(1.0)  # a jump, a rise and the fall undone, all at 1
    jumped = np.where(np.arange(100) == 70, 2.3, up)  # one batch alone, well out
    assert suggested(jumped) == below((rates[70] * 1) ** 0.25 * 1**0.5)
    wrecked = np.where(rates > 3, 1.99, up)  # dead weights come back to the first level
    assert suggested(wrecked) == suggested(up)
    undone = np.where(rates > 0.2, np.minimum(fell + 0.7, 1.8), fell)  # up, not above the start
    assert suggested(undone) == below(10**0.5 * 0.35**0.5)  # seen a little late: smoothed
    assert suggested(fell) == below(10.0)
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


def test_a_noisy_loss_that_bears_moving_weights_gives_a_guess():
    rates = np.geomspace(1e-7, 10, 100)
    level = 2.3 + 0.05 * np.random.default_rng(0).normal(size=100)
    for moved, usual, said in ((0.01, 0.04, False), (3.0, None, False), (3.0, 0.04, True)):
        result = judge_range(rates, level, usual=usual, moved=moved)
        assert (result.suggestion is not None) is said
        assert result.findings[0].severity == ("warning" if said else "failure")
    assert judge_range(rates, np.full(100, 2.3), usual=0.04, moved=3.0).suggestion is None
