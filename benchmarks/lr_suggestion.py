"""How good are suggested learning rates? Ours and the published methods, by regret.

Truth: every task trained at 25 rates x 3 seeds. Regret of a rate: 0 = the best rate's final
loss, 1 = no better than untrained (interpolated over log rate; divergence is 1). Dead: regret
above 0.9. Each method suggests for 3 other seeds. Half of the tasks tuned our rules, the other
half is reported as unseen.

    python -m benchmarks.lr_suggestion truth    # resumable; --seconds 240 does a part of it
    python -m benchmarks.lr_suggestion measure  # likewise
    python -m benchmarks.lr_suggestion table    # prints and writes lr_suggestion.md

Fashion-MNIST's four files are taken from $KCNN_MANUAL_DIR; tasks on it are left out without.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import numpy as np

HERE = Path(__file__).parent
STORE = HERE / "lr_suggestion.json"
RATES = np.geomspace(1e-5, 10.0, 25)
SEEDS, OTHER_SEEDS = (0, 1, 2), (100, 101, 102)
LONGER = 4
DEFAULTS = {"sgd": 1e-2, "plain_sgd": 1e-2, "adam": 1e-3, "adamw": 1e-3}
OURS = ("kcnn find_lr", "kcnn LRFinder", "kcnn LRSweep")


def load() -> dict[str, Any]:
    return json.loads(STORE.read_text()) if STORE.exists() else {}


def save(store: dict[str, Any]) -> None:
    STORE.write_text(json.dumps(store, indent=None, separators=(",", ":")) + "\n")


def tasks():
    from benchmarks._lr_tasks import TASKS

    fashion = "KCNN_MANUAL_DIR" in os.environ
    return [t for t in TASKS if fashion or not t.name.startswith("fashion")]


def truth(seconds: float) -> bool:
    """Fill in final losses; True when all are there."""
    import keras

    from benchmarks._lr_truth import Trainer, tail_loss

    begun, store = time.time(), load()
    for seed in SEEDS:
        for task in tasks():
            entry = store.setdefault(task.name, {"tune": task.tune, "truth": {}})
            if str(seed) in entry["truth"]:
                continue
            if time.time() - begun > seconds:
                return False
            trainer = Trainer(task, seed)
            curves = [trainer.losses(rate, task.steps) for rate in RATES]
            entry["truth"][str(seed)] = {
                "final": [_number(tail_loss(curve)) for curve in curves],
                "untrained": _number(np.median([curve[0] for curve in curves])),
            }
            save(store)
            print(f"{task.name} {seed} {time.time() - begun:.0f} s", flush=True)
            keras.backend.clear_session()
    return True


def measure(seconds: float, only: str | None = None) -> bool:
    """Fill in every method's suggestions; True when all are there."""
    import keras

    from benchmarks._lr_methods import METHODS
    from benchmarks._lr_truth import Trainer

    begun, store = time.time(), load()
    for seed in OTHER_SEEDS:
        for task in tasks():
            told = store[task.name].setdefault("suggested", {}).setdefault(str(seed), {})
            if only is None and "kcnn find_lr" in told:
                continue
            if time.time() - begun > seconds:
                return False
            if only is None:
                trainer = Trainer(task, seed)
                for name, (method, low, high) in METHODS.items():
                    rates = np.geomspace(low, high, 100)
                    told[name] = method(rates, trainer.losses(rates, 100).astype("float64"))
            told.update(_ours(task, seed))
            told["defaults"] = DEFAULTS[task.optimizer.__name__]
            save(store)
            print(f"{task.name} {seed} {time.time() - begun:.0f} s {told}", flush=True)
            keras.backend.clear_session()
    return True


def _ours(task, seed: int) -> dict[str, float | None]:
    from kcnn.callbacks import LRFinder, LRSweep, find_lr

    x, y = task.data()
    model = task.model(seed)
    found = find_lr(model, x, y, batch_size=task.batch_size, seed=seed, sink=None)
    finder = LRFinder(sink=None)
    keras_seed = np.random.default_rng(seed).permutation(len(x))
    model.fit(
        x[keras_seed],
        y[keras_seed],
        batch_size=task.batch_size,
        epochs=100,
        verbose=0,
        callbacks=[finder],
    )
    swept = LRSweep(weight_decay=None, seed=seed).run(model, x, y, batch_size=task.batch_size)
    rates = {"kcnn find_lr": found.suggestion, "kcnn LRFinder": finder.suggestion}
    return rates | {"kcnn LRSweep": swept.suggestion}


def _number(value: float) -> float | None:
    return round(float(value), 6) if np.isfinite(value) else None


def regret(entry: dict[str, Any], rate: float | None, key: str = "truth") -> float:
    """0 at the best rate of the grid, 1 at the untrained loss, at divergence and without a rate."""
    if rate is None or not np.isfinite(rate) or rate <= 0:
        return 1.0
    finals = np.array([run["final"] for run in entry[key].values()], "float64")
    start = float(np.mean([run["untrained"] for run in entry[key].values()]))
    finals = np.minimum(np.where(np.isfinite(finals), finals, start), start).mean(0)
    best = float(finals.min())
    value = np.interp(np.log(rate), np.log(RATES), (finals - best) / (start - best))
    outside = rate > RATES[-1] * 1.01
    return 1.0 if outside else float(np.clip(value, 0, 1))


def table() -> str:
    """The regrets of all methods on the tuned and on the unseen tasks."""
    store = load()
    names: list[str] = []
    for entry in store.values():
        for told in entry.get("suggested", {}).values():
            names += [name for name in told if name not in names]
    parts = []
    for tune, title in ((False, "Unseen tasks"), (True, "Tasks used for tuning")):
        entries = {n: e for n, e in store.items() if e["tune"] is tune and "suggested" in e}
        lines = [
            f"### {title} ({len(entries)} tasks x {len(OTHER_SEEDS)} seeds)",
            "",
            "| method | median | mean | worst | dead |",
            "|---|---|---|---|---|",
        ]
        for name in sorted(names, key=lambda n: (n not in OURS, names.index(n))):
            values = [
                regret(entry, told.get(name))
                for entry in entries.values()
                for told in entry["suggested"].values()
            ]
            if values:
                lines.append(
                    f"| {name} | {np.median(values):.3f} | {np.mean(values):.3f} | "
                    f"{max(values):.3f} | {sum(v > 0.9 for v in values)} |"
                )
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["truth", "measure", "ours", "table"])
    parser.add_argument("--seconds", type=float, default=1e9, help="stop after about so long")
    given = parser.parse_args()
    if given.what == "table":
        text = table()
        print(text)
        (HERE / "lr_suggestion.md").write_text(text)
        return 0
    if given.what == "truth":
        return 0 if truth(given.seconds) else 3
    only = "ours" if given.what == "ours" else None
    return 0 if measure(given.seconds, only) else 3


if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parent))
    sys.exit(main())
