"""From trials to names: what mended the program, and whether it does so again."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

from kcnn.callbacks.doctor._plan import Change
from kcnn.callbacks.doctor._setting import Outcome, Setting
from kcnn.callbacks.doctor._suspect import Suspect
from kcnn.callbacks.doctor._weigh import convincing, gain, numbers
from kcnn.callbacks.doctor.program.rates import learning_rate
from kcnn.callbacks.state import innermost

__all__ = ["conclude", "fall_back"]

# causes that keep the network from learning its training rows
UNDERFIT = {"lr_too_low", "too_few_epochs", "insufficient_capacity"}


def conclude(trial: Any) -> None:
    """Name what mended the program; short trials are first repeated at full length."""
    short = trial.length < trial.steps
    rows = sorted((weighed(trial, *item) for item in trial.tried), key=lambda row: -row["rank"])
    if short:
        for row in [row for row in rows if row["passed"] and row["full"]][:2]:
            if time.perf_counter() < trial.until:
                setting = row["change"].setting
                out = trial.shop.try_out(setting, steps=trial.steps, until=trial.until)
                row.update(weighed(trial, row["change"], out or row["out"], whole=True))
        rows.sort(key=lambda row: -row["rank"])
    trial.verdict.numbers["trials"] = [
        {
            "cause": row["change"].suspect.cause,
            "weight": row["change"].weight,
            "gain": row["gain"],
            "ratio": row["ratio"],
            "passed": bool(row["passed"]),
            **numbers(row["out"]),
        }
        for row in rows
    ]
    for row in rows:
        suspect, after = row["change"].suspect, row["out"].score
        if not row["passed"] or suspect.cause in trial.verdict.spent:
            continue
        if trial.verdict.named and suspect.weight < 0.6:
            continue
        reached = trial.base.score if trial.shop.held_out else trial.final.score
        if short and after < reached + 0.02 and not row["change"].setting.balance:
            continue  # better than the run was at this length, but not than all of it
        if not again(trial, row):
            continue
        trial.verdict.name(
            _as_tried(trial, row["change"]), confirmed_by_trial=True, gain=row["gain"],
            before=trial.base.score, after=after, trial_steps=row["out"].steps,
            run_steps=trial.steps, tried=row["change"].setting.words(_rate(trial)),
        )  # fmt: skip
        if len(trial.verdict.named) >= 2:
            break


def _as_tried(trial: Any, change: Change) -> Suspect:
    """The suspect with the advice that its trial followed: the very rate that was tried."""
    setting = change.setting
    if setting.rate == 1.0 or setting.optimizer:
        return change.suspect
    kind = type(innermost(trial.verdict.model.optimizer)[-1]).__name__
    advice = f"Set learning_rate={setting.rate * _rate(trial):.2g} in {kind}(...)."
    return dataclasses.replace(change.suspect, advice=advice)


def _rate(trial: Any) -> float:
    return learning_rate(trial.verdict.model.optimizer)


def again(trial: Any, row: dict[str, Any]) -> bool:
    """A small gain must come again with other seeds."""
    if row["gain"] >= 0.15 or not row["full"] or row["change"].setting.balance:
        return True
    if time.perf_counter() + trial.setup > trial.until:
        return row["change"].weight >= 0.8
    if not hasattr(trial, "second"):
        trial.second = trial.shop.try_out(Setting(), steps=trial.length, seed=11, until=trial.until)
    setting = row["change"].setting
    out = trial.shop.try_out(setting, steps=trial.length, seed=11, until=trial.until)
    if out is None or trial.second is None:
        return True
    d, ratio = gain(out, trial.second)
    d, ratio = 0.5 * (d + row["gain"]), 0.5 * (ratio + row["ratio"])
    return convincing(d, ratio, row["change"].weight, trial.base.score)


def weighed(trial: Any, change: Change, out: Outcome, *, whole: bool = False) -> dict[str, Any]:
    """One trial against the program as it is."""
    longer = change.suspect.cause == "too_few_epochs"
    base, before = trial.base, trial.base.score
    if not trial.shop.held_out:  # else the run itself has learned the rows that judge
        base = trial.final if whole or longer else base
        before = max(base.score, trial.final.score)
    d, ratio = gain(out, base)
    if change.suspect.cause in UNDERFIT:
        d = min(d, max(out.train, 0.0) - max(base.train, 0.0) + 0.05)
    passed = convincing(d, ratio, change.weight, before)
    if change.setting.balance:
        d = max(d, 0.7 * (out.balanced - base.balanced))
        ratio = max(ratio, (1.02 - base.balanced) / max(1.02 - out.balanced, 0.02))
        passed = base.balanced < 0.55 and convincing(d, ratio, change.weight, 0.0)
    return {
        "rank": d * (0.25 + change.weight), "passed": passed, "change": change,
        "out": out, "gain": d, "ratio": ratio, "full": not longer,
    }  # fmt: skip


def fall_back(trial: Any) -> None:
    """The program does badly and no trial mended it: the strongest suspicion is named.

    A suspicion that a trial spoke against counts only where nothing is learned at all, or
    where it is odd in itself (weight 0.88).
    """
    tried = {change.suspect.cause for change, _ in trial.tried}
    lost = trial.final.train < 0.15
    others = [
        s
        for s in trial.verdict.facts.suspects
        if s.weight >= (0.45 if lost else 0.7)
        and (lost or s.cause not in tried or s.weight >= 0.88)
    ]
    helped = [(gain(out, trial.base)[0], change.suspect) for change, out in trial.tried]
    helped = sorted((h for h in helped if h[0] > 0.08 and lost), key=lambda h: -h[0])
    chosen = others[0] if others else helped[0][1] if helped else None
    if chosen is not None:
        trial.verdict.name(chosen, confirmed_by_trial=False)
