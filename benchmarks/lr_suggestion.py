"""How good are suggested learning rates? Ours and the published methods, by regret.

Truth: every task trained at 25 rates x 3 seeds. Regret of a rate: 0 = the best rate's final
loss, 1 = no better than untrained (interpolated over log rate; divergence is 1). Dead: regret
above 0.9. Each method suggests for 3 other seeds (1 on most of the tasks drawn for tuning). Most
of the tasks tuned our rules, the others are reported as unseen.

    python -m benchmarks.lr_suggestion truth    # resumable; --seconds 240 does a part of it
    python -m benchmarks.lr_suggestion measure  # likewise; --again "kcnn find_lr" anew
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
sys.path.insert(0, str(Path(__file__).parents[1]))  # run as a file, too

import numpy as np

from benchmarks._lr_regret import RATES, regret, whole_grid

HERE = Path(__file__).parent
STORE, CURVES = HERE / "lr_suggestion.json", HERE / "lr_curves.json"
SEEDS, OTHER_SEEDS = (0, 1, 2), (100, 101, 102)
LONGER, LONG_SEEDS = 4, (0,)
GRID = "whole grid, one seed"
HEAD = f"""# Suggested learning rates

Written by `python -m benchmarks.lr_suggestion table`. Regret of a suggestion: 0 = final loss of
the best of {len(RATES)} rates ({RATES[0]:g} to {RATES[-1]:g}, mean of {len(SEEDS)} seeds), 1 = no
better than untrained or diverged. Dead: regret above 0.9, or no suggestion. "4x": regret after
trainings {LONGER} times as long, against the best of all rates there ({len(LONG_SEEDS)} seed), on
the tasks where that was measured. "{GRID}": the grid's
{len(RATES)} whole trainings with one seed as if they were a search; their lowest final loss, judged
by the other seeds.
Iterations: training steps taken, at most. Our rules were tuned on the second table's
tasks alone: some chosen, some drawn by lot. The first table's were drawn by lot and measured when
that was done; only that a noisy loss which bears far-moving weights gives `LRFinder` a guess was
added when half of them had been seen (one run of that half had no suggestion)."""


def load(path: Path = STORE) -> dict[str, Any]:
    return json.loads(path.read_text()) if path.exists() else {}


def save(store: dict[str, Any], path: Path = STORE) -> None:
    path.write_text(json.dumps(store, indent=None, separators=(",", ":")) + "\n")


def tasks():
    from benchmarks._lr_drawn import drawn_tasks
    from benchmarks._lr_tasks import TASKS

    fashion = "KCNN_MANUAL_DIR" in os.environ
    return [t for t in (*TASKS, *drawn_tasks()) if fashion or "fashion" not in t.name]


def truth(seconds: float) -> bool:
    """Fill in final losses; True when all are there."""
    import keras

    from benchmarks._lr_truth import Trainer, tail_loss

    begun, store = time.time(), load()
    wanted = [("truth", seed, 1) for seed in SEEDS] + [("longer", s, LONGER) for s in LONG_SEEDS]
    for key, seed, times in wanted:
        for task in tasks():
            entry = store.setdefault(task.name, {})
            entry["tune"] = task.tune
            if key == "longer" and not task.whole:
                continue
            if str(seed) in entry.setdefault(key, {}):
                continue
            if time.time() - begun > seconds:
                return False
            trainer = Trainer(task, seed)
            curves = [trainer.losses(rate, times * task.steps) for rate in RATES]
            entry[key][str(seed)] = {
                "final": [_number(tail_loss(curve)) for curve in curves],
                "untrained": _number(np.median([curve[0] for curve in curves])),
            }
            save(store)
            print(f"{key} {task.name} {seed} {time.time() - begun:.0f} s", flush=True)
            keras.backend.clear_session()
    return True


def measure(seconds: float) -> bool:
    """Fill in the range tests of the published methods and our suggestions; True when done."""
    import keras

    from benchmarks._lr_ours import OURS, suggested

    begun, store, curves = time.time(), load(), load(CURVES)
    for seed in OTHER_SEEDS:
        for task in tasks():
            told = store[task.name].setdefault("suggested", {})
            if seed != OTHER_SEEDS[0] and not task.whole:
                continue
            if set(OURS) <= set(told.get(str(seed), {})):
                continue
            if time.time() - begun > seconds:
                return False
            kept = curves.setdefault(task.name, {})
            if str(seed) not in kept:
                kept[str(seed)] = _range_tests(task, seed)
            told[str(seed)] = suggested(task, seed, told.get(str(seed), {}), kept[str(seed)])
            save(curves, CURVES)
            save(store)
            print(f"{task.name} {seed} {time.time() - begun:.0f} s", flush=True)
            keras.backend.clear_session()
    return True


def _range_tests(task, seed: int) -> dict[str, list[float | None]]:
    """Batch losses of a range test over each range that a published method asks for."""
    from benchmarks._lr_methods import METHODS
    from benchmarks._lr_truth import Trainer

    trainer = Trainer(task, seed)
    ranges = sorted({(low, high) for _, low, high in METHODS.values()})
    measured = {r: trainer.losses(np.geomspace(*r, 100), 100) for r in ranges}
    return {f"{low:g} {high:g}": [_short(v) for v in c] for (low, high), c in measured.items()}


def published(curves: dict[str, list[float | None]]) -> dict[str, float | None]:
    """What each published method suggests from these range tests."""
    from benchmarks._lr_methods import METHODS

    found = {}
    for name, (method, low, high) in METHODS.items():
        losses = [np.nan if loss is None else loss for loss in curves[f"{low:g} {high:g}"]]
        found[name] = method(np.geomspace(low, high, 100), np.asarray(losses))
    return found


def forget(method: str) -> None:
    """Take a method's suggestions out of the store."""
    store = load()
    for entry in store.values():
        for told in entry.get("suggested", {}).values():
            told.pop(method, None)
    save(store)


def _number(value: float) -> float | None:
    return round(float(value), 6) if np.isfinite(value) else None


def _short(value: float) -> float | None:
    return float(f"{value:.5g}") if np.isfinite(value) else None


def table() -> str:
    """The regrets of all methods on the unseen and on the tuned tasks."""
    from benchmarks._lr_ours import OURS, judged

    known = {task.name: task for task in tasks()}
    store, curves = load(), load(CURVES)
    for task, entry in store.items():
        for seed, told in entry.get("suggested", {}).items():
            told.update(published(curves[task][seed]))
            told["kcnn LRFinder"] = judged(known[task], curves[task][seed])
    names: list[str] = []
    for entry in store.values():
        for told in entry.get("suggested", {}).values():
            names += [n for n in told if n not in (*names, "find_lr iterations")]
    names.sort(key=lambda n: OURS.index(n) if n in OURS else len(OURS))
    parts = [HEAD]
    for tune, title in ((False, "Unseen tasks"), (True, "Tasks used for tuning")):
        entries = {n: e for n, e in store.items() if e["tune"] is tune and "suggested" in e}
        runs = sum(len(entry["suggested"]) for entry in entries.values())
        rows = [(name, *_regrets(entries, name), runs) for name in names]
        chance = [value for entry in entries.values() for value in whole_grid(entry)]
        parts.append(
            "\n".join(
                [
                    f"## {title} ({len(entries)} tasks, {runs} runs)",
                    "",
                    "| method | iterations | median | mean | worst | dead | 4x mean | 4x worst |",
                    "|---|---|---|---|---|---|---|---|",
                    *(_row(*row, _iterations(entries, row[0])) for row in rows if row[1]),
                    _row(GRID, chance, [], 0, f"{len(RATES)} trainings"),
                ]
            )
        )
    return "\n\n".join(parts) + "\n"


def _regrets(entries: dict[str, Any], name: str) -> tuple[list[float], list[float]]:
    told = [(e, t[name]) for e in entries.values() for t in e["suggested"].values() if name in t]
    short = [regret(entry, rate) for entry, rate in told]
    return short, [regret(entry, rate, "longer") for entry, rate in told if entry.get("longer")]


def _iterations(entries: dict[str, Any], name: str) -> int:
    told = [t for e in entries.values() for t in e["suggested"].values()]
    steps = {
        "kcnn find_lr": max((t.get("find_lr iterations", 0) for t in told), default=0),
        "kcnn LRSweep": 500,
    }
    return steps.get(name, 0 if name == "fixed defaults" else 100)


def _row(name: str, values: list[float], longer: list[float], runs: int, steps: object) -> str:
    name += f" ({len(values)} runs)" if len(values) < runs else ""
    dead = sum(value > 0.9 for value in values)
    late = f"{np.mean(longer):.3f} | {max(longer):.3f}" if longer else "- | -"
    return (
        f"| {name} | {steps} | {np.median(values):.3f} | {np.mean(values):.3f} | "
        f"{max(values):.3f} | {dead} | {late} |"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["truth", "measure", "table"])
    parser.add_argument("--seconds", type=float, default=1e9, help="stop after about so long")
    parser.add_argument("--again", metavar="METHOD", help="measure this one anew")
    given = parser.parse_args()
    if given.again:
        forget(given.again)
    if given.what == "table":
        text = table()
        print(text)
        (HERE / "lr_suggestion.md").write_text(text)
        return 0
    done = truth(given.seconds) if given.what == "truth" else measure(given.seconds)
    return 0 if done else 3


if __name__ == "__main__":
    sys.exit(main())
