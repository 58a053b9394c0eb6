"""Trials made only where the single changes mended nothing."""

from __future__ import annotations

import time
from typing import Any

from kcnn.callbacks.doctor._plan import Change
from kcnn.callbacks.doctor._setting import Setting
from kcnn.callbacks.doctor._suspect import Suspect
from kcnn.callbacks.doctor._weigh import better, gain
from kcnn.callbacks.doctor.program.rates import customary_rate, learning_rate
from kcnn.callbacks.state import innermost

__all__ = ["both_scales", "other_optimizer"]

PLAIN = ("SGD", "Adadelta", "Adagrad", "Ftrl")


def both_scales(trial: Any) -> None:
    """Inputs and targets scaled together, where neither alone helps."""
    causes = ("unnormalized_inputs", "unnormalized_targets")
    odd = {c.suspect.cause: c for c, _ in trial.tried if c.suspect.cause in causes}
    if len(odd) < 2 or time.perf_counter() + trial.setup > trial.until:
        return
    outs = [out for change, out in trial.tried if change.suspect.cause in causes]
    if any(better(out, trial.base) and out.score > 0.5 for out in outs):
        return
    setting = Setting(scale_x=True, scale_y=True)
    out = trial.shop.try_out(setting, steps=trial.length, until=trial.until)
    if out is not None:
        trial.tried += [(Change(change.suspect, setting), out) for change in odd.values()]


def other_optimizer(trial: Any) -> None:
    """A run that learned nothing under a plain optimizer: does Adam learn in its place?"""
    inner = innermost(trial.verdict.model.optimizer)[-1]
    kind = type(inner).__name__
    best = max([trial.base.score, *(out.score for _, out in trial.tried)])
    if kind not in PLAIN or trial.base.score >= 0.5 or best >= 0.6:
        return
    tried = {change.suspect.cause for change, _ in trial.tried}
    lost = trial.final.train < 0.15
    if any(
        s.weight >= 0.7 and (lost or s.cause not in tried) for s in trial.verdict.facts.suspects
    ):
        return  # Adam gets over many a fault that is the cause all the same
    left = trial.until - time.perf_counter() - trial.setup
    trainer = trial.shop.trainer(Setting())
    if left < 1.0 or trainer is None:
        return
    spare = int(0.6 * left / max(trainer.step_seconds, 1e-6))
    steps = min(max(trial.steps, min(4 * trial.steps, 3000)), max(spare, 1))
    setting = Setting(optimizer="adam", rate=3e-3)
    out = trial.shop.try_out(setting, steps=steps, until=trial.until)
    if out is None or gain(out, trial.base)[0] < 0.3 or out.score < 0.5:
        return
    rate = learning_rate(trial.verdict.model.optimizer)
    low = rate <= 2 * customary_rate(inner)
    suspect = Suspect(
        "lr_too_low" if low else "lr_too_high", 0.5,
        f"{kind} at learning rate {rate:g} leaves the network where it started, Adam does not",
        "an optimizer and a rate under which the loss falls",
        "Use keras.optimizers.Adam(0.001), or another learning rate of "
        f"{kind}.", "compile(optimizer=...)", False, "learning_rate",
        {"learning_rate": rate, "steps": steps},
    )  # fmt: skip
    trial.tried.append((Change(suspect, setting), out))
