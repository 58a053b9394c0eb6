"""Made-up run folders in the form that the recipe writes: what the page is tested on."""

from dataclasses import asdict

import numpy as np

from kcnn.recipe.files import write_json
from kcnn.recipe.steps import STEPS
from kcnn.recipe.steps.curves import Curves
from kcnn.recipe.steps.initial_loss import InitialLoss
from kcnn.recipe.steps.learning_rates import LearningRates, Rate
from kcnn.recipe.steps.refine import LongRun, Refined
from kcnn.recipe.steps.search import Searched, Trial
from kcnn.recipe.steps.small_sample import SmallSample

NAMES = [f"digit {i}" for i in range(10)]
ADVICE = "More data or stronger augmentation would help most; then more weight decay."


def finding(severity, seen, expected="something", advice=""):
    return {
        "check": "check",
        "severity": severity,
        "seen": seen,
        "expected": expected,
        "advice": advice,
        "cause": None,
        "where": None,
        "evidence": {"gain": {"float": "nan"}},
    }


def _rates(rng):
    falling = 2.3 * np.exp(-0.035 * np.arange(100)) + 0.08 * rng.normal(size=100)
    diverged = [float(v) for v in 2.3 * np.exp(np.linspace(0, 9, 30))] + [None] * 70
    level = 2.3 + 0.05 * rng.normal(size=100)
    curves = (
        Rate(0.1, tuple(diverged), "diverged", "NaN after 30 iterations"),
        Rate(0.01, tuple(map(float, falling)), "clear and stable", "falls from 2.31 to 0.22"),
        Rate(0.001, tuple(map(float, level)), "no progress", "level at 2.30"),
    )
    return LearningRates(1e-4, 100, curves, 0.01, 0.01)


def _search(rng, count):
    trials = []
    for i in range(count):
        lost = i == 3
        hp = {
            "learning_rate": float(0.01 * 5 ** rng.uniform(-1, 1)),
            "weight_decay": float(10 ** rng.uniform(-5, -3)),
            "batch_size": int(rng.choice([32, 64, 128])),
            "head": str(rng.choice(["plain", "deep"])),
        }
        loss = None if lost else float(0.25 + rng.random() / 3)
        accuracy = None if lost else float(0.86 + rng.random() / 10)
        state = "diverged" if lost else "finished"
        phase = 1 if i < 5 else 2
        trials.append(Trial(i, phase, hp, 0.2, loss, accuracy, 5, 100, 4.2, state))
    best = min((t for t in trials if t.val_loss), key=lambda t: t.val_loss)
    space = {
        "learning_rate": {"low": 0.002, "high": 0.05, "log": True},
        "weight_decay": {"low": 1e-5, "high": 1e-3, "log": True},
        "batch_size": {"choices": [32, 64, 128]},
        "head": {"choices": ["plain", "deep"]},
    }
    return Searched("random", "median", tuple(trials), best.number, space, space)


def _refine(rng, epochs):
    runs = []
    for lr in (0.012, 0.021):
        t = np.arange(1, epochs + 1)
        loss = 1.9 * np.exp(-12 * lr * t) + 0.01 + 0.003 * rng.random(epochs)
        val = 1.7 * np.exp(-11 * lr * t) + 0.06 + 0.012 * np.maximum(0, t - 14)
        history = {
            "loss": loss,
            "accuracy": 1 - np.clip(loss / 3, 0, 1),
            "val_loss": val,
            "val_accuracy": 1 - np.clip(val / 2.6, 0, 1),
            "learning_rate": lr * np.minimum(t / 3, 0.5 * (1 + np.cos(np.pi * t / epochs))),
        }
        history = {key: tuple(map(float, values)) for key, values in history.items()}
        best = int(np.argmin(history["val_loss"]))
        hp = {"learning_rate": lr, "weight_decay": 1e-4, "batch_size": 64}
        scores = history["val_accuracy"][best], history["val_loss"][best]
        runs.append(LongRun(hp, epochs, 600, history, best + 1, *scores))
    return Refined(tuple(runs), 1)


def results(rng, epochs, trials, overfit):
    """By step a result and its findings."""
    refined = _refine(rng, epochs)
    run = refined.runs[1]
    falling = tuple(float(v) for v in 2.4 * np.exp(-0.045 * np.arange(200)) + 0.002)
    verdict = "overfitting" if overfit else "healthy"
    curves = Curves(verdict, 15 if overfit else None, "", run.history, run.best_epoch)
    read = (
        finding("warning", "validation loss rises from epoch 15", "it falls", ADVICE)
        if overfit
        else finding("ok", "both losses fall and level off", "a small, steady gap")
    )
    return {
        "initial_loss": (InitialLoss(2.35, 2.303, 4), finding("ok", "initial loss 2.350")),
        "small_sample": (SmallSample(48, falling, 1.0, 200, 0.01), finding("ok", "2.4 to 0.002")),
        "learning_rates": (_rates(rng), finding("ok", "1e-2 falls clearly and stably")),
        "search": (_search(rng, trials), finding("ok", f"best of {trials} trials: loss 0.27")),
        "refine": (refined, finding("ok", "validation accuracy 97.2 % in epoch 15 of 30")),
        "curves": (curves, read),
    }


def scores_of(rng, classes, errors=0.03, per_class=36):
    """What `evaluate` writes, of random mistakes."""
    matrix = np.zeros((classes, classes), int)
    said = np.where(
        rng.random((classes, per_class)) < errors,
        rng.integers(classes, size=(classes, per_class)),
        np.arange(classes)[:, None],
    )
    for i, row in enumerate(said):
        np.add.at(matrix[i], row, 1)
    wrong = [(i, j, matrix[i, j]) for i, j in np.argwhere(matrix) if i != j]
    wrong.sort(key=lambda pair: -pair[2])
    scores = {
        "images": int(matrix.sum()),
        "loss": 0.081,
        "accuracy": float(np.trace(matrix) / matrix.sum()),
        "per_class": [[per_class, int(n)] for n in np.diag(matrix)],
        "confused": [[int(i), int(j), int(n)] for i, j, n in wrong[:30]],
    }
    if classes <= 50:
        scores["confusion"] = matrix.tolist()
    return scores


def record(*, seed=0, names=NAMES, epochs=30, overfit=True, errors=0.03, trials=8, steps=6):
    """A finished run, or the first `steps` of an interrupted one; `overfit`: the last warns."""
    rng = np.random.default_rng(seed)
    kept = []
    for number, step in enumerate(STEPS[:steps], 1):
        result, said = results(rng, epochs, trials, overfit)[step.name]
        kept.append(
            {
                "number": number,
                "name": step.name,
                "title": step.title,
                "status": said["severity"],
                "seconds": 3.21 * number,
                "findings": [said],
                "schema": step.schema,
                "result": asdict(result),
            }
        )
    found = {
        "versions": {"kcnn": "0.1.0", "keras": "3.15.1", "tensorflow": "2.21.0"},
        "started": "2025-11-23T11:40:12+00:00",
        "seconds": 182.4,
        "status": "finished" if steps == 6 else "interrupted",
        "command": "kcnn recipe --data digits --out runs/digits",
        "config": {"budget": "standard", "seed": 0, "augment": "auto"},
        "chosen": ["batch size 64 by data size"],
        "augmented_by": "crop",
        "model": {"source": "resnet20", "name": "resnet20"},
        "data": {
            "name": "digits",
            "fingerprint": "086a346093da419f",
            "classes": len(names),
            "class_names": list(names),
            "image_shape": [8, 8, 1],
            "multi_label": False,
            "train": 1257,
            "val": 180,
            "test": 360,
            "mean": [77.86],
            "std": [95.93],
            "notes": ["scaled from 0..16 to 0..255"],
        },
        "steps": kept,
    }
    if steps == 6:
        found["test"] = scores_of(rng, len(names), errors)
    return found


def write(folder, data, images=None):
    """A run folder with these contents."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "result.json", data)
    if images is not None:
        np.savez_compressed(folder / "samples.npz", **images)
    return folder


def images(shape=(8, 8, 1), count=12, classes=10, seed=0):
    """Noise in the place of images."""
    rng = np.random.default_rng(seed)
    before = rng.integers(0, 256, (count, *shape)).astype(np.uint8)
    labels = np.arange(count) % classes
    worst = {"worst": before, "worst_true": labels, "worst_said": (labels + 1) % classes}
    return {
        "before": before,
        "after": before[:, ::-1],
        "labels": labels,
        **worst,
        "worst_share": rng.random(count),
    }
