"""Step 5: longer trainings around the best trial, with warmup and cosine decay."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from kcnn.callbacks import Finding
from kcnn.recipe.checkpoint import Checkpoint
from kcnn.recipe.schedule import WarmupCosine
from kcnn.recipe.training import BestWeights, Settings, is_better
from kcnn.recipe.work import StepOutcome, Work

__all__ = ["run"]

WARMUP_SHARE = 0.05  # of all updates
SPREAD = 2.0  # later runs draw rate and decay within this factor of the best trial's


def run(work: Work) -> StepOutcome:
    """Train the best settings longer, then neighbours of them; keep the best epoch of all.

    Each epoch ends with a checkpoint in `state/`, so an interrupted run goes on where it was.
    `work.model` holds the best weights afterwards.
    """
    runs = []
    for index, settings in enumerate(_candidates(work)):
        saved = Checkpoint.load_done(work.state, index)
        runs.append(saved or _train(work, index, settings))
    scored = [r for r in runs if r["best_epoch"] is not None]
    best: dict[str, Any] | None = None
    for row in scored:
        if is_better(row, best, images=len(work.dataset.val)):
            best = row
    result = {"runs": runs, "best": runs.index(best) if best else None}
    if best:
        work.model = best_model(work, runs.index(best), best)
    return StepOutcome((judge_refinement(best, work),), result)


def best_model(work: Work, index: int, row: dict[str, Any]) -> keras.Model:
    """The model of a refined run with its best weights."""
    model = work.bench.fresh(width=row["width"], lr=row["lr"], weight_decay=row["weight_decay"])
    model.set_weights(Checkpoint.load_best(work.state, index))
    return model


def _candidates(work: Work) -> list[Settings]:
    search = work.results["coarse_search"]
    best = next(t for t in search["trials"] if t["number"] == search["best"])
    keys = ("lr", "weight_decay", "batch_size", "width")
    first = Settings(**{k: best[k] for k in keys})
    rng = np.random.default_rng(work.config.seed)
    others = [
        Settings(
            lr=first.lr * SPREAD ** rng.uniform(-1, 1),
            weight_decay=first.weight_decay * SPREAD ** rng.uniform(-1, 1),
            batch_size=first.batch_size,
            width=first.width,
        )
        for _ in range(work.budget.refine_runs - 1)
    ]
    return [first, *others]


def _train(work: Work, index: int, settings: Settings) -> dict[str, Any]:
    updates = work.updates_per_epoch(settings.batch_size)
    epochs = work.budget.epochs_refine(updates)
    total = epochs * updates
    warmup = max(1, round(WARMUP_SHARE * total))
    model = work.bench.fresh(
        width=settings.width, lr=settings.lr, weight_decay=settings.weight_decay
    )
    keeper = BestWeights(len(work.dataset.val), last=epochs)
    checkpoint = Checkpoint(work.state, index, keeper)
    start = checkpoint.restore(model)
    title = f"refining, run {index + 1} of {work.budget.refine_runs}, {epochs} epochs"
    with work.display.progress(title, epochs) as bar:
        bar.show(start)
        model.fit(
            work.train_data(settings.batch_size, purpose=f"refine {index} from {start}"),
            epochs=epochs,
            initial_epoch=start,
            validation_data=work.plain_data("val"),
            shuffle=False,  # the pipeline shuffles
            verbose=0,
            callbacks=[
                WarmupCosine(settings.lr, total=total, warmup=warmup, start=start * updates),
                keras.callbacks.TerminateOnNaN(),
                keeper,
                checkpoint,
                bar.per_epoch(),
            ],
        )
    logs = keeper.logs or {}
    row = {
        **settings.to_dict(),
        "epochs": epochs,
        "history": checkpoint.history,
        "best_epoch": keeper.epoch,
        "val_accuracy": logs.get("val_accuracy"),
        "val_loss": logs.get("val_loss"),
    }
    checkpoint.done(row)
    return row


def judge_refinement(best: dict[str, Any] | None, work: Work) -> Finding:
    """Ok when the longer training beats the coarse one."""
    search = work.results["coarse_search"]
    coarse = next(t for t in search["trials"] if t["number"] == search["best"])
    expected = (
        f"better than the coarse search: loss < {coarse['val_loss']:.3f} or accuracy > "
        f"{coarse['val_accuracy']:.1%}"
    )
    if best is None:
        return Finding(
            "refinement",
            "failure",
            seen="every longer training diverged",
            expected=expected,
            advice="Lower the learning rate or lengthen the warmup.",
            cause="lr_too_high",
            where="learning_rate",
        )
    seen = (
        f"validation accuracy {best['val_accuracy']:.1%}, loss {best['val_loss']:.3f} in epoch "
        f"{best['best_epoch']} of {best['epochs']} at rate {best['lr']:.2g}"
    )
    better = best["val_loss"] < coarse["val_loss"] or best["val_accuracy"] > coarse["val_accuracy"]
    return Finding(
        "refinement",
        "ok" if better else "warning",
        seen=seen,
        expected=expected,
        advice=""
        if better
        else "Longer training did not help: look at the curves for overfitting first.",
        evidence={
            "val_accuracy": best["val_accuracy"],
            "val_loss": best["val_loss"],
            "gain": best["val_accuracy"] - coarse["val_accuracy"],
        },
    )
