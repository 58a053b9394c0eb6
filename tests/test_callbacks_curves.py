import json
import math

import numpy as np
import pytest

from kcnn.callbacks import read_curves
from kcnn.callbacks.curves._stats import noise_level, slope, valley

EPOCHS = np.arange(40)


def noisy(curve, noise=0.02, seed=0):
    curve = np.asarray(curve, "float64")
    return curve + noise * np.random.default_rng(seed).normal(size=curve.shape)


def falling(start=2.3, end=0.05, pace=8, n=40):
    return end + (start - end) * np.exp(-np.arange(n) / pace)


def turning(at=12, low=0.8, climb=0.015, n=40):
    """Falls to `low` at 0-based epoch `at`, then climbs linearly."""
    epoch = np.arange(n)
    return low + 1.5 * np.maximum(1 - epoch / at, 0) ** 2 + climb * np.maximum(epoch - at, 0)


def test_noise_of_a_straight_line_is_that_of_its_scatter():
    assert noise_level(noisy(np.linspace(5, 0, 2000), 0.3)) == pytest.approx(0.3, rel=0.1)
    assert noise_level(np.linspace(5, 0, 50)) == pytest.approx(0, abs=1e-12)


def test_slope_and_its_error_match_the_normal_equations():
    y = noisy(0.5 - 0.03 * EPOCHS, 0.1)
    design = np.stack([np.ones(40), EPOCHS], 1)
    beta, rest, *_ = np.linalg.lstsq(design, y, rcond=None)
    covariance = np.linalg.inv(design.T @ design) * rest[0] / 38
    fit, error = slope(y)
    assert fit == pytest.approx(beta[1])
    assert error == pytest.approx(math.sqrt(covariance[1, 1]))


@pytest.mark.parametrize("at", [3, 10, 25, 35])
def test_the_valley_of_a_clean_curve_is_its_minimum(at):
    assert valley(turning(at)).index == at


def test_the_valley_fit_is_the_best_of_all_splits():
    """Against brute force: isotonic regression on both sides of every split."""
    from sklearn.isotonic import IsotonicRegression

    y = noisy(turning(14, n=30), 0.1, seed=3)
    x = np.arange(30)

    def error(part, increasing):
        if not len(part):
            return 0.0
        fit = IsotonicRegression(increasing=increasing).fit_transform(x[: len(part)], part)
        return float(((fit - part) ** 2).sum())

    brute = min(error(y[: i + 1], False) + error(y[i + 1 :], True) for i in range(30))
    from kcnn.callbacks.curves._stats import _isotonic

    falls, rises = _isotonic(-y)[1], _isotonic(-y[::-1])[1][::-1]
    ours = min(falls[i] + (rises[i + 1] if i < 29 else 0.0) for i in range(30))
    assert ours == pytest.approx(brute)


@pytest.mark.parametrize("at", [6, 15, 25])
@pytest.mark.parametrize("noise", [0.005, 0.03])
def test_the_onset_of_overfitting_is_found(at, noise):
    reading = read_curves({"loss": noisy(falling(), 0.01), "val_loss": noisy(turning(at), noise)})
    assert reading.verdict == "overfitting"
    assert abs(reading.onset_epoch - (at + 1)) <= 4
    assert reading.confidence > 0.9
    assert str(reading.onset_epoch) in reading.advice
    assert "augmentation" in reading.advice


@pytest.mark.parametrize("seed", range(20))
def test_noise_alone_is_no_overfitting(seed):
    """A curve that levels off: about half of all such curves end above their minimum."""
    history = {
        "loss": noisy(falling(), 0.01, seed),
        "val_loss": noisy(falling(end=0.3), 0.05, seed + 100),
    }
    reading = read_curves(history)
    assert reading.verdict == "healthy", reading.findings
    assert reading.onset_epoch is None


@pytest.mark.parametrize(
    ("history", "verdict", "cause"),
    [
        ({"loss": [2.3, 1.0, math.nan]}, "unstable", "lr_too_high"),
        ({"loss": [2.3, 1.0, 0.5], "val_loss": [2.3, math.inf, 1.0]}, "unstable", "lr_too_high"),
        ({"loss": 2.3 + 0.2 * EPOCHS}, "unstable", "lr_too_high"),
        ({"loss": np.where(EPOCHS % 9 == 8, 2.2, falling())}, "unstable", "lr_too_high"),
        ({"loss": noisy(falling(end=1.0), 0.4)}, "unstable", "lr_too_high"),
        ({"loss": [9.0, *noisy(np.full(30, 2.31), 0.01)]}, "unstable", "lr_too_high"),
        ({"loss": np.where(EPOCHS < 9, falling(), 1.5)}, "unstable", "lr_too_high"),
        (
            {
                "loss": [9.0, 4.0, 2.6, 2.4, *noisy(np.full(30, 2.31), 0.01)],
                "accuracy": noisy(np.full(34, 0.1), 0.005),
            },
            "unstable",
            "lr_too_high",
        ),
        ({"loss": noisy(np.full(30, 2.31), 0.0005)}, "underfitting", "insufficient_capacity"),
        ({"loss": noisy(2.3 - 0.03 * EPOCHS)}, "underfitting", "too_few_epochs"),
        ({"loss": noisy(falling(end=1.9, pace=2), 0.01)}, "underfitting", "insufficient_capacity"),
        ({"loss": noisy(falling(), 0.005)}, "healthy", None),
    ],
)
def test_other_shapes(history, verdict, cause):
    reading = read_curves(history)
    assert reading.verdict == verdict, reading.findings
    assert reading.findings[0].cause == cause
    assert reading.findings[0].check == verdict
    assert reading.advice


def test_validation_better_than_training_is_explained():
    history = {"loss": noisy(falling(end=0.6)), "val_loss": noisy(falling(end=0.3))}
    notes = [f for f in read_curves(history).findings if f.check == "validation_better"]
    assert len(notes) == 1
    assert "dropout" in notes[0].advice


def gap_history(val_end, val_accuracy, val_loss=None):
    """Training loss to 0.05 and accuracy to 0.99; validation level at the given ends."""
    return {
        "loss": falling(),
        "val_loss": falling(end=val_end, pace=4) if val_loss is None else val_loss,
        "accuracy": 1 - falling(0.9, 0.01),
        "val_accuracy": 1 - falling(0.9, 1 - val_accuracy, pace=4),
    }


def test_a_wide_gap_in_accuracy_is_overfitting():
    history = gap_history(0.9, 0.7)
    reading = read_curves(history)
    assert (reading.verdict, reading.onset_epoch) == ("overfitting", None)
    assert reading.findings[0].check == "generalization_gap"
    assert reading.gap == pytest.approx(np.mean(history["val_loss"][-4:] - history["loss"][-4:]))
    assert "augmentation" in reading.advice
    assert "stop at" not in reading.advice


def test_a_wide_gap_in_loss_alone_is_told_but_no_verdict():
    reading = read_curves(gap_history(0.6, 0.95))
    assert reading.verdict == "healthy"
    assert "stay together" not in reading.findings[0].seen
    assert [f.severity for f in reading.findings if f.check == "generalization_gap"] == ["note"]
    assert "augmentation" in reading.advice


def test_a_gap_is_no_overfitting_while_validation_still_improves():
    reading = read_curves(gap_history(None, 0.8, val_loss=np.linspace(2.3, 0.6, 40)))
    assert reading.verdict == "underfitting"
    assert any(f.check == "generalization_gap" for f in reading.findings)


@pytest.mark.parametrize(("val_accuracy", "verdict"), [(0.8, "overfitting"), (0.95, "healthy")])
def test_a_validation_that_lags_behind_a_finished_training_is_no_underfitting(
    val_accuracy, verdict
):
    """As under BatchNorm with few steps an epoch: the running statistics arrive late."""
    late = np.linspace(1.9, 0.6, 40)
    history = gap_history(None, val_accuracy, val_loss=late)
    history["loss"] = falling(end=0.0005, pace=1.5)
    reading = read_curves(history)
    assert reading.verdict == verdict
    assert "BatchNorm" in next(f.advice for f in reading.findings if f.check == "validation_lags")
    assert not {"underfitting", "plateau"} & {f.check for f in reading.findings}
    history["loss"] = falling(end=0.5, pace=20)
    assert read_curves(history).verdict == "underfitting"


def test_a_gap_where_training_itself_fails_is_underfitting():
    history = gap_history(2.0, 0.2) | {
        "loss": falling(end=1.7, pace=2),
        "accuracy": 1 - falling(0.9, 0.65),
    }
    assert read_curves(history).verdict == "underfitting"


def test_without_accuracy_a_very_wide_gap_in_loss_is_overfitting():
    wide = {"loss": falling(), "val_loss": falling(end=1.2, pace=4)}
    assert read_curves(wide).verdict == "overfitting"
    assert read_curves(wide | {"val_loss": falling(end=0.1)}).verdict == "healthy"


def test_accuracies_alone_show_a_gap():
    history = gap_history(0.9, 0.7)
    del history["val_loss"]
    assert read_curves(history).verdict == "overfitting"


def test_a_rise_is_overfitting_also_where_the_last_epochs_dip():
    """Few rows: training loss near zero, a noisy validation loss up by a quarter since epoch 5."""
    val_loss = noisy(turning(at=4, low=0.4, climb=0.003), 0.03, seed=1)
    val_loss[-2:] = 0.455
    reading = read_curves({"loss": falling(end=0.01, pace=3), "val_loss": val_loss})
    assert reading.verdict == "overfitting"
    assert reading.onset_epoch is not None
    assert 2 <= reading.onset_epoch <= 9


def test_without_validation_it_says_so():
    reading = read_curves({"loss": falling()})
    assert "both" not in reading.findings[0].seen
    assert "validation data" in reading.advice


def test_few_epochs_are_not_judged():
    for epochs in (1, 2):
        reading = read_curves({"loss": [2.0, 1.0][:epochs], "val_loss": [2.0, 2.5][:epochs]})
        assert (reading.verdict, reading.onset_epoch) == ("healthy", None)
        assert reading.confidence == 0.0


def test_a_reading_is_json():
    reading = read_curves({"loss": [2.0, 1.0, math.nan], "val_loss": [2.0, 2.1, 2.2]})
    json.dumps(reading.to_dict(), allow_nan=True)
    assert reading.to_dict()["verdict"] == "unstable"


def test_what_fit_returns_is_read_too():
    class History:
        history = {"loss": noisy(falling()), "val_loss": noisy(turning(10))}  # noqa: RUF012

    assert read_curves(History()).verdict == "overfitting"


def test_a_restless_level_loss_is_no_instability_while_the_accuracy_rises():
    history = {
        "loss": noisy(np.linspace(1.01, 1, 30), 0.002),
        "accuracy": np.linspace(0.3, 0.6, 30),
    }
    assert read_curves(history).verdict != "unstable"


def test_bad_histories_are_refused():
    with pytest.raises(ValueError, match="what `fit` returns"):
        read_curves([1.0, 2.0])
    with pytest.raises(ValueError, match="'loss'"):
        read_curves({"val_loss": [1.0]})
    with pytest.raises(ValueError, match="'val_loss' has 1"):
        read_curves({"loss": [1.0, 2.0], "val_loss": [1.0]})


def test_a_run_that_turned_is_not_told_to_train_longer():
    """A steep fall of the validation loss, then a sure rise: its trend as a whole still falls."""
    fall = np.concatenate([np.full(30, 1.6), np.linspace(1.6, 0.1, 20), np.linspace(0.1, 0.2, 8)])
    loss = np.concatenate([falling(end=0.02, pace=3)[:30], np.linspace(0.02, 0.006, 28)])
    checks = {f.check for f in read_curves({"loss": loss, "val_loss": fall}).findings}
    assert "overfitting" in checks
    assert "validation_lags" not in checks


@pytest.mark.parametrize(("below", "told"), [(0.0007, False), (0.2, True)])
def test_validation_is_better_only_beyond_the_noise(below, told):
    loss = np.array([2.3, 0.4, 0.05, 0.003, 0.002, 0.001]) + (0 if told is False else 0.3)
    said = read_curves({"loss": loss, "val_loss": loss - below})
    assert any(one.check == "validation_better" for one in said.findings) == told


def test_validation_that_is_better_in_some_epochs_and_worse_in_others_is_not_better():
    loss = np.linspace(2.0, 1.0, 9)
    swings = np.array([0.3, -0.3, 0.3, -0.3, 0.3, -0.3, 0.35, -0.1, 0.35])
    said = read_curves({"loss": loss, "val_loss": loss - swings})
    assert not any(one.check == "validation_better" for one in said.findings)
