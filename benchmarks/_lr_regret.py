"""Regret: how much worse a learning rate trains than the best of the dense grid."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["RATES", "regret", "whole_grid"]

RATES = np.geomspace(1e-5, 10.0, 25)


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


def whole_grid(entry: dict[str, Any]) -> list[float]:
    """What chance alone costs: each seed's best rate of the grid, by the other seeds' regret.

    No search is longer than one that trains every rate to its end; where its choice serves other
    initial weights badly, the task's good rates differ from seed to seed.
    """
    found = []
    for seed, run in entry["truth"].items():
        finals = [np.inf if final is None else final for final in run["final"]]
        others = {key: other for key, other in entry["truth"].items() if key != seed}
        found.append(regret({"truth": others}, float(RATES[int(np.argmin(finals))])))
    return found
