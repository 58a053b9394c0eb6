"""Trainings of the curve benchmark drawn by lot: nobody chose them to suit a rule."""

from __future__ import annotations

import numpy as np

from benchmarks._curve_runs import Run

__all__ = ["drawn_runs"]

COUNT = 10  # of each state


def drawn_runs() -> list[tuple[Run, int]]:
    """Ten trainings of each state, the same at every call, and their seeds."""
    states = (overfitting, healthy, underfitting, unstable)
    found = []
    for place, state in enumerate(states):
        rng = np.random.default_rng([2025, place])
        found += [(state(rng), 100 + number) for number in range(COUNT)]
    return found


def one(rng, *choices):
    return choices[int(rng.integers(len(choices)))]


def rate_of(rng, low: float, high: float) -> float:
    return float(f"{low * (high / low) ** rng.random():.2g}")


def overfitting(rng) -> Run:
    """Few rows and up to 40 % wrong labels, a big model, many epochs."""
    data = one(rng, "fashion", "digits", "clusters")
    model = one(rng, "cnn", "mlp256") if data != "clusters" else one(rng, "mlp128", "mlp256")
    rows = one(rng, 100, 200, 400, 800)
    wrong = one(rng, 0.0, 0.2, 0.4) if data == "fashion" else one(rng, 0.2, 0.3, 0.4)
    kind = one(rng, "adam", "sgd")
    rate = rate_of(rng, 1e-3, 4e-3) if kind == "adam" else rate_of(rng, 0.02, 0.06)
    return Run("overfitting", data, rows, model, rate, one(rng, 30, 50, 80), kind, wrong=wrong)


def healthy(rng) -> Run:
    """Many rows, a model that suits them, a rate that decays to zero."""
    data, model, rows = one(
        rng,
        ("fashion", "cnn", 6000),
        ("fashion", "mlp32drop", 7000),
        ("digits", "cnn", 1200),
        ("clusters", "mlp32", 6000),
        ("clusters", "mlp32drop", 7000),
        ("spirals", "mlp128", 7000),
        ("textures", "cnn", 6000),
    )
    rate, batch = rate_of(rng, 1.5e-3, 5e-3), one(rng, 32, 64)
    return Run("healthy", data, rows, model, rate, one(rng, 12, 16, 24), batch=batch, decay=True)


def underfitting(rng) -> Run:
    """A rate far too low, too few epochs, too small a model or too strong a penalty."""
    cause = one(rng, "rate", "epochs", "model", "penalty")
    data = one(rng, "fashion", "digits")
    rows = 3000 if data == "fashion" else 1000
    if cause == "rate":
        return Run("underfitting", data, rows, "mlp128", rate_of(rng, 5e-6, 3e-5), 20)
    if cause == "epochs":
        return Run("underfitting", data, rows, "cnn", rate_of(rng, 1e-4, 3e-4), one(rng, 4, 5, 6))
    if cause == "model":
        return Run("underfitting", data, rows, one(rng, "mlp1", "mlp2"), 3e-3, one(rng, 20, 30))
    strong = one(rng, 0.3, 0.6, 1.0)
    return Run("underfitting", data, rows, "mlp64", 2e-3, one(rng, 15, 25), penalty=strong)


def unstable(rng) -> Run:
    """A rate 30 times the best one and more."""
    data, model = one(
        rng, ("fashion", "cnn"), ("fashion", "mlp128"), ("digits", "mlp128"), ("clusters", "mlp128")
    )
    kind = one(rng, "adam", "sgd")
    rate = rate_of(rng, 0.1, 0.5) if kind == "adam" else rate_of(rng, 1.0, 3.0)
    rows = 1000 if data == "digits" else 3000
    return Run("unstable", data, rows, model, rate, one(rng, 15, 25), kind)
