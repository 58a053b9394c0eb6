"""Step 4: a coarse search over rate, weight decay, batch size and model size."""

from __future__ import annotations

import math
import time
from typing import Any

import keras
import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from kcnn.callbacks import Finding
from kcnn.recipe.training import Settings, last_scores
from kcnn.recipe.work import StepOutcome, Work

__all__ = ["run"]

RATE_FACTOR = 5.0  # rates searched from suggestion / 5 to suggestion * 5
DECAYS = (1e-5, 1e-3)
BATCH_FACTORS = (0.5, 1, 2)
PARAMETERS = 4  # of a trial: rate, weight decay, batch size, width


def run(work: Work) -> StepOutcome:
    """Train briefly with each of the drawn settings and rank them by validation loss.

    The first trial is the rate of step 3 with weight decay 1e-4, so the search can only
    improve on it. Finished trials are in `state/search.log`: a resumed run does not repeat them.
    """
    suggestion = work.results["learning_rates"]["suggestion"]
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = _open_study(work, suggestion)
    count = work.budget.trials
    with work.display.progress(f"coarse search, {count} trials", count) as bar:
        bar.show(_finished(study))
        while (number := _finished(study)) < count:
            _seed_sampler(study, work, number, suggestion)
            trial = study.ask()
            settings = _suggest(trial, work, suggestion)
            row = _train(work, number, settings, bar)
            for key, value in row.items():
                trial.set_user_attr(key, value)
            study.tell(trial, *_verdict(row))
            bar.show(number + 1, _note(study))
    return _outcome(work, study)


def _open_study(work: Work, suggestion: float) -> optuna.Study:
    backend = JournalFileBackend(str(work.state / "search.log"))
    study = optuna.create_study(
        storage=JournalStorage(backend),
        study_name="coarse",
        direction="minimize",
        load_if_exists=True,
    )
    for stale in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        study.tell(stale.number, state=TrialState.FAIL)  # cut off by an interrupt
        if len(stale.params) == PARAMETERS:
            study.enqueue_trial(stale.params)
    if not _ended(study) and not study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
        study.enqueue_trial(
            {"lr": suggestion, "weight_decay": 1e-4, "batch_size": work.batch_size, "width": 1.0}
        )
    return study


def _space(work: Work, suggestion: float) -> dict[str, list[Any]]:
    largest = max(2, len(work.dataset.train))
    sizes = sorted({min(largest, max(2, int(work.batch_size * f))) for f in BATCH_FACTORS})
    return {
        "lr": [suggestion / RATE_FACTOR**0.5, suggestion, suggestion * RATE_FACTOR**0.5],
        "weight_decay": [1e-5, 1e-4, 1e-3],
        "batch_size": sizes,
        "width": list(work.budget.widths),
    }


def _seed_sampler(study: optuna.Study, work: Work, number: int, suggestion: float) -> None:
    # Seeded by the trial's number, so that a resumed search draws what it would have drawn.
    seed = work.config.seed * 1009 + number
    if work.config.search == "grid":
        study.sampler = optuna.samplers.GridSampler(_space(work, suggestion), seed=work.config.seed)
    else:
        study.sampler = optuna.samplers.RandomSampler(seed=seed)


def _suggest(trial: optuna.Trial, work: Work, suggestion: float) -> Settings:
    space = _space(work, suggestion)
    if work.config.search == "grid":
        lr = trial.suggest_categorical("lr", space["lr"])
        decay = trial.suggest_categorical("weight_decay", space["weight_decay"])
    else:
        lr = trial.suggest_float("lr", suggestion / RATE_FACTOR, suggestion * RATE_FACTOR, log=True)
        decay = trial.suggest_float("weight_decay", *DECAYS, log=True)
    return Settings(
        lr=lr,
        weight_decay=decay,
        batch_size=trial.suggest_categorical("batch_size", space["batch_size"]),
        width=trial.suggest_categorical("width", space["width"]),
    )


def _train(work: Work, number: int, settings: Settings, bar) -> dict[str, Any]:
    model = work.bench.fresh(
        width=settings.width, lr=settings.lr, weight_decay=settings.weight_decay
    )
    epochs = work.budget.epochs_coarse(work.updates_per_epoch(settings.batch_size))
    started = time.monotonic()
    history = model.fit(
        work.train_data(settings.batch_size, purpose=f"search {number}"),
        epochs=epochs,
        validation_data=work.plain_data("val"),
        shuffle=False,  # the pipeline shuffles
        verbose=0,
        callbacks=[keras.callbacks.TerminateOnNaN(), bar.pulse(epochs)],
    ).history
    row = last_scores(history)
    return {**row, "epochs": epochs, "seconds": round(time.monotonic() - started, 2)}


def _verdict(row: dict[str, Any]) -> tuple[float | None, TrialState]:
    loss = row["val_loss"]
    if loss is None or not math.isfinite(loss) or not math.isfinite(row["train_loss"]):
        return None, TrialState.PRUNED  # diverged: counted, never best
    return loss, TrialState.COMPLETE


def _ended(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))


def _finished(study: optuna.Study) -> int:
    return len(_ended(study))


def _note(study: optuna.Study) -> str:
    if not study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
        return "all diverged so far"
    return f"best validation loss {study.best_value:.3f}"


def _outcome(work: Work, study: optuna.Study) -> StepOutcome:
    trials = [
        {
            "number": t.number,
            **t.params,
            **t.user_attrs,
            "state": "finished" if t.state == TrialState.COMPLETE else "diverged",
        }
        for t in _ended(study)
    ]
    finished = [t for t in trials if t["state"] == "finished"]
    best = min(finished, key=lambda t: t["val_loss"]) if finished else None
    result = {
        "sampler": work.config.search,
        "epochs": max(t["epochs"] for t in trials),
        "trials": trials,
        "best": best["number"] if best else None,
    }
    return StepOutcome((judge_search(trials, best, work.dataset.classes),), result)


def judge_search(
    trials: list[dict[str, Any]], best: dict[str, Any] | None, classes: int
) -> Finding:
    """Fails when every trial diverged; warns when the best is hardly better than guessing."""
    chance = math.log(classes)
    expected = f"a validation loss well below log({classes}) = {chance:.3f}"
    if best is None:
        return Finding(
            "coarse search",
            "failure",
            seen=f"all {len(trials)} trials diverged",
            expected=expected,
            advice="Lower the learning rate by 10 and look at the data for outliers.",
            cause="lr_too_high",
            where="learning_rate",
        )
    seen = (
        f"best of {len(trials)} trials: validation loss {best['val_loss']:.3f}, accuracy "
        f"{best['val_accuracy']:.1%} at rate {best['lr']:.2g}, weight decay "
        f"{best['weight_decay']:.2g}, batch {best['batch_size']}, width {best['width']:g}"
    )
    evidence = {"val_loss": best["val_loss"], "val_accuracy": best["val_accuracy"]}
    if best["val_loss"] < 0.95 * chance:
        return Finding("coarse search", "ok", seen=seen, expected=expected, evidence=evidence)
    return Finding(
        "coarse search",
        "warning",
        seen=seen,
        expected=expected,
        advice="Training longer may help (--budget standard or thorough); if the loss stays "
        "there, look at labels and validation images side by side.",
        cause="too_few_epochs",
        where="epochs",
        evidence=evidence,
    )
