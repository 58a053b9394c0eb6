"""What our own finders suggest on a task, each run as a user would."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from benchmarks._lr_tasks import Task
from kcnn.callbacks import LRFinder, LRSweep, find_lr
from kcnn.callbacks.learning_rate import judge_range, usual_rate

__all__ = ["OURS", "judged", "suggested"]

OURS = ("kcnn find_lr", "kcnn LRFinder", "kcnn LRSweep")
DEFAULTS = {"adam": 1e-3, "adamw": 1e-3}  # the others, all SGD: 1e-2


def suggested(
    task: Task, seed: int, known: dict[str, Any], kept: dict[str, list[float | None]]
) -> dict[str, Any]:
    """Suggestions of the methods that `known` lacks, beside those it has.

    The losses of the range test go into `kept`, for `judged` to say what the present rule
    makes of them.
    """
    told = {"fixed defaults": DEFAULTS.get(task.optimizer.__name__, 1e-2)} | known
    missing = [name for name in OURS if name not in told]
    if not missing:
        return told
    x, y = task.data()
    model = task.model(seed)
    if "kcnn find_lr" in missing:
        found = find_lr(model, x, y, batch_size=task.batch_size, seed=seed, sink=None)
        told["kcnn find_lr"] = found.suggestion
        told["find_lr iterations"] = found.iterations
    if "kcnn LRFinder" in missing:
        finder = LRFinder(sink=None)
        order = np.random.default_rng(seed).permutation(len(x))
        fitted = {"batch_size": task.batch_size, "epochs": 100, "verbose": 0}
        model.fit(x[order], y[order], callbacks=[finder], **fitted)
        assert finder.result is not None
        kept["kcnn LRFinder"] = [_short(loss) for loss in finder.result.losses]
        kept["kcnn LRFinder moved"] = [_short(finder.moved)]
        told["kcnn LRFinder"] = judged(task, kept)
    if "kcnn LRSweep" in missing:
        swept = LRSweep(weight_decay=None, seed=seed, sink=None)
        told["kcnn LRSweep"] = swept.run(model, x, y, batch_size=task.batch_size).suggestion
    return told


def judged(task: Task, kept: dict[str, list[float | None]]) -> float | None:
    """What `LRFinder` suggests from the losses of its default test."""
    losses = [math.nan if loss is None else loss for loss in kept["kcnn LRFinder"]]
    rates = np.geomspace(1e-7, 10.0, 100)[: len(losses)].tolist()
    usual = _usual(task)
    moved = kept.get("kcnn LRFinder moved", [0.0])[0] or 0.0
    found = judge_range(rates, losses, usual=usual, batch=task.batch_size, moved=moved)
    return found.suggestion


@functools.cache
def _usual(task: Task) -> float | None:
    return usual_rate(task.model(0), task.batch_size)


def _short(loss: float) -> float | None:
    return float(f"{loss:.6g}") if math.isfinite(loss) else None
