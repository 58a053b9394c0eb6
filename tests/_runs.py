"""Made-up run folders in the form that the recipe writes: what the report is tested on."""

import json

import numpy as np

NAMES = [f"digit {i}" for i in range(10)]


def finding(severity, seen, expected, advice="", cause=None, where=None):
    return {
        "check": "check",
        "severity": severity,
        "seen": seen,
        "expected": expected,
        "advice": advice,
        "cause": cause,
        "where": where,
        "evidence": {"gain": {"float": "nan"}},
    }


def step(number, name, title, result, *findings):
    worst = max((f["severity"] for f in findings), key=["ok", "note", "warning", "failure"].index)
    return {
        "number": number,
        "name": name,
        "title": title,
        "status": "ok" if worst == "note" else worst,
        "seconds": 3.21 * number,
        "findings": list(findings),
        "result": result,
    }


def _sweep(rng):
    def decay(speed, noise, floor=0.0):
        t = np.arange(100)
        return (2.3 - floor) * np.exp(-speed * t) + floor + noise * rng.normal(size=100)

    diverged = [float(v) for v in 2.3 * np.exp(np.linspace(0, 9, 30))] + [None] * 70
    rows = [
        (0.1, diverged, "diverged", "NaN after 30 iterations"),
        (0.01, decay(0.035, 0.08, 0.15), "clear and stable", "falls from 2.31 to 0.22"),
        (0.001, decay(0.012, 0.06, 0.3), "slow", "falls from 2.30 to 0.89"),
        (0.0001, decay(0.0016, 0.05), "slow", "falls from 2.31 to 1.97"),
        (0.00001, decay(0.0002, 0.05), "no progress", "falls from 2.30 to 2.26"),
    ]
    return [
        {
            "lr": lr,
            "losses": [v if v is None else float(v) for v in losses],
            "verdict": verdict,
            "reason": reason,
        }
        for lr, losses, verdict, reason in rows
    ]


def _trials(rng, count=8):
    trials = []
    for i in range(count):
        lr = float(0.01 * 5 ** rng.uniform(-1, 1))
        lost = i == 3
        trials.append(
            {
                "number": i,
                "lr": lr,
                "weight_decay": float(10 ** rng.uniform(-5, -3)),
                "batch_size": int(rng.choice([32, 64, 128])),
                "width": float(rng.choice([1.0, 2.0])),
                "train_loss": None if lost else float(0.2 + rng.random() / 4),
                "val_loss": None if lost else float(0.25 + rng.random() / 3),
                "val_accuracy": None if lost else float(0.86 + rng.random() / 10),
                "seconds": float(4 + rng.random()),
                "state": "diverged" if lost else "finished",
            }
        )
    return trials


def _history(rng, epochs, overfit, peak):
    t = np.arange(1, epochs + 1)
    loss = 1.9 * np.exp(-12 * peak * t) + 0.01 + 0.003 * rng.random(epochs)
    drift = 0.012 * np.maximum(0, t - 14) if overfit else 0
    val = 1.7 * np.exp(-11 * peak * t) + 0.06 + 0.012 * rng.random(epochs) + drift
    rate = np.minimum(t / 3, 0.5 * (1 + np.cos(np.pi * t / epochs))) * peak
    curves = {
        "loss": loss,
        "accuracy": 1 - np.clip(loss / 3, 0, 1),
        "val_loss": val,
        "val_accuracy": 1 - np.clip(val / 2.6, 0, 1),
        "learning_rate": rate,
    }
    return {key: [float(v) for v in values] for key, values in curves.items()}


def _runs(rng, epochs, overfit):
    runs = []
    for lr, decay in ((0.012, 1.3e-4), (0.021, 6.2e-5)):
        history = _history(rng, epochs, overfit, lr)
        best = int(np.argmin(history["val_loss"]))
        runs.append(
            {
                "lr": lr,
                "weight_decay": decay,
                "batch_size": 64,
                "width": 1.0,
                "epochs": epochs,
                "history": history,
                "best_epoch": best + 1,
                "val_accuracy": history["val_accuracy"][best],
                "val_loss": history["val_loss"][best],
            }
        )
    return runs


def confusion(rng, classes, errors=0.03, per_class=36):
    matrix = np.zeros((classes, classes), int)
    for i in range(classes):
        for _ in range(per_class):
            matrix[i, rng.integers(classes) if rng.random() < errors else i] += 1
    return matrix.tolist()


def record(*, seed=0, names=NAMES, epochs=30, overfit=True, errors=0.03, trials=8):
    """A finished run; `overfit` makes the last step warn."""
    rng = np.random.default_rng(seed)
    classes = len(names)
    guess = float(np.log(classes))
    matrix = confusion(rng, classes, errors)
    right = float(np.trace(matrix) / np.sum(matrix))
    falling = [float(v) for v in 2.4 * np.exp(-0.045 * np.arange(200)) + 0.002]
    tried = _trials(rng, trials)
    ended = [t for t in tried if t["val_loss"] is not None]
    advice = "More data or stronger augmentation would help most; then more weight decay."
    reading = (
        finding("warning", "validation loss rises from epoch 15", "it falls", advice, "overfitting")
        if overfit
        else finding("ok", "both losses fall and level off", "a small, steady gap")
    )
    return {
        "kcnn": "0.1.0",
        "versions": {"python": "3.11.7", "keras": "3.15.1", "tensorflow": "2.21.0"},
        "started": "2025-11-23T11:40:12+00:00",
        "seconds": 182.4,
        "status": "finished",
        "config": {
            "data": "digits",
            "model": "resnet20",
            "norm": "batch",
            "seed": 0,
            "budget": "standard",
            "optimizer": "sgd",
            "augment": "auto",
            "image_size": None,
        },
        "data": {
            "name": "digits",
            "classes": classes,
            "class_names": list(names),
            "image_shape": [8, 8, 1],
            "train": 1257,
            "val": 180,
            "test": 360,
            "mean": [77.86],
            "std": [95.93],
            "notes": ["scaled from 0..16 to 0..255"],
        },
        "steps": [
            step(
                1,
                "initial_loss",
                "Initial loss",
                {"loss": guess * 1.02, "expected": guess, "batches": 4},
                finding("ok", f"initial loss {guess * 1.02:.3f}", f"log({classes}) = {guess:.3f}"),
            ),
            step(
                2,
                "small_sample",
                "Overfit a small sample",
                {"images": 48, "losses": falling, "accuracy": 1.0, "iterations": 200},
                finding("ok", "loss falls from 2.4 to 0.0023", "close to zero"),
            ),
            step(
                3,
                "learning_rates",
                "Find a working learning rate",
                {
                    "weight_decay": 1e-4,
                    "iterations": 100,
                    "curves": _sweep(rng),
                    "suggestion": 0.01,
                },
                finding("ok", "1e-2 falls clearly and stably", "one rate that does"),
                finding("note", "1e-1 diverges, which brackets the pick", "a rate that is too big"),
            ),
            step(
                4,
                "coarse_search",
                "Coarse search",
                {
                    "sampler": "random",
                    "epochs": 5,
                    "trials": tried,
                    "best": min(ended, key=lambda t: t["val_loss"])["number"],
                },
                finding("ok", f"best of {trials} trials: validation loss 0.27", "below log(10)"),
            ),
            step(
                5,
                "refine",
                "Refine and train longer",
                {"runs": _runs(rng, epochs, overfit), "best": 1},
                finding("ok", "validation accuracy 97.2 % in epoch 15 of 30", "better than coarse"),
            ),
            step(
                6,
                "curves",
                "Read the curves",
                {
                    "verdict": "overfitting" if overfit else "healthy",
                    "onset_epoch": 15 if overfit else None,
                    "advice": advice if overfit else "",
                },
                reading,
            ),
        ],
        "test": {
            "images": int(np.sum(matrix)),
            "loss": 0.081,
            "accuracy": right,
            "confusion": matrix,
        },
        "artifacts": {
            "model": "model.keras",
            "saved_model": "saved_model/1",
            "report": "report.html",
        },
    }


def write(folder, data, samples=None):
    """A run folder with these contents."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "result.json").write_text(json.dumps(data), encoding="utf-8")
    if samples is not None:
        np.savez_compressed(folder / "samples.npz", **samples)
    return folder


def samples(shape=(8, 8, 1), count=12, classes=10, seed=0):
    """Noise in the place of images."""
    rng = np.random.default_rng(seed)
    before = rng.integers(0, 256, (count, *shape)).astype(np.uint8)
    return {"before": before, "after": before[:, ::-1], "labels": np.arange(count) % classes}
