"""Numbers as a reader wants them, and the headline of a run."""

import math
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kcnn.report._load import STEPS, Run, number, records

NOTHING = "–"
_WORST = {"ok": 0, "note": 0, "warning": 1, "failure": 2}


def num(value: Any, digits: int = 4) -> str:
    """Four significant digits: 0.08142, 2.303, 1.2e+09."""
    x = number(value)
    if math.isnan(x):
        return NOTHING
    if math.isinf(x):
        return "∞" if x > 0 else "-∞"
    return f"{x:.0f}" if x == round(x) and abs(x) < 1e6 else f"{x:.{digits}g}"


def loss(value: Any) -> str:
    """Three significant digits, zeros too, for columns: 0.100, 1.18, 0.0893."""
    x = number(value)
    return f"{x:#.3g}".rstrip(".") if math.isfinite(x) else num(x)


def count(value: Any) -> str:
    """60,000."""
    x = number(value)
    return f"{x:,.0f}" if math.isfinite(x) else NOTHING


def rate(value: Any) -> str:
    """A learning rate or weight decay: 0.1, 0.037, 1e-5, 3.2e-4; never 1e-05."""
    x = number(value)
    if not math.isfinite(x):
        return NOTHING
    if x == 0 or abs(x) >= 1e-3:
        return f"{x:.3g}"
    mantissa, exponent = f"{x:.1e}".split("e")
    return f"{mantissa.removesuffix('.0')}e{int(exponent)}"


def percent(value: Any) -> str:
    """98.1%; 100% only for all of them."""
    x = number(value)
    if not math.isfinite(x):
        return NOTHING
    if x in (0.0, 1.0):
        return f"{x:.0%}"
    return f"{min(max(100 * x, 0.1), 99.9) if 0 < x < 1 else 100 * x:.1f}%"


def duration(value: Any) -> str:
    """41 s, 3 min 02 s, 1 h 04 min."""
    x = number(value)
    if not math.isfinite(x):
        return NOTHING
    if x < 0.1:
        return "under 0.1 s"
    if x < 9.95:
        return f"{x:.1f} s"
    whole = round(x)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def moment(value: Any) -> str:
    """An ISO time to the minute; other text as it is."""
    if not isinstance(value, str):
        return NOTHING
    try:
        then = datetime.fromisoformat(value.replace("Z", "+00:00"))
    except ValueError:
        return value
    return f"{then:%Y-%m-%d %H:%M} {then.tzname() or ''}".strip()


def shape(value: Any) -> str:
    """8 x 8 x 1 with real crosses."""
    return " × ".join(num(v) for v in value) if isinstance(value, list) else NOTHING


def share(value: Any, *others: Any) -> float:
    """The part of the largest of these, 0 to 1, for the length of a bar."""
    x, most = number(value), max(number(v) for v in (value, *others))
    return min(max(x / most, 0.0), 1.0) if math.isfinite(x) and 0 < most < math.inf else 0.0


def listed(value: Any) -> list[Any]:
    """The list itself; an empty one for anything else."""
    return value if isinstance(value, list) else []


def status_of(step: dict[str, Any]) -> str:
    """ok, warning, failure; what the step says, or else its worst finding; "" if unknown."""
    status = str(step.get("status"))
    if status in _WORST:
        return "ok" if status == "note" else status
    found = [str(f.get("severity")) for f in records(step.get("findings"))]
    return max((s for s in found if s in _WORST), key=_WORST.__getitem__, default="")


@dataclass(frozen=True)
class Headline:
    """What the page says first.

    Attributes:
        tone: "ok", "warning", "failure" or "unfinished".
        title: did it train?
        advice: the one thing to change; "" if there is none.
        step: the number of the step that gives the advice, or None.
    """

    tone: str
    title: str
    advice: str
    step: int | None


def headline(run: Run) -> Headline:
    """The verdict of a run, from its status and findings.

    The advice is that of the first failure, else of the curves if they are not healthy, else
    of the first warning: causes come before symptoms.
    """
    advice, step = _advice(run)
    by_tone = {
        tone: [s for s in run.steps if status_of(s) == tone] for tone in ("failure", "warning")
    }
    status = run.get("status", default="interrupted")
    last = len(run.steps)
    if status in ("interrupted", "running"):
        word = "Interrupted" if status == "interrupted" else "Still running"
        done = f"{last} of {len(STEPS)} steps done" if last else "no step done yet"
        return Headline(
            "failure" if by_tone["failure"] else "unfinished", f"{word}: {done}", advice, step
        )
    if by_tone["failure"]:
        where = f"step {_number(by_tone['failure'][0])} failed"
        title = f"It did not train: {where}" if status == "stopped" else f"Trained, but {where}"
        return Headline("failure", title, advice, step)
    if status == "stopped":
        return Headline("failure", f"It stopped after step {last}", advice, step)
    warned = len(by_tone["warning"])
    if warned:
        things = "one warning" if warned == 1 else f"{warned} warnings"
        return Headline("warning", f"It trained, with {things}", advice, step)
    return Headline("ok", "It trained", advice, step)


def _advice(run: Run) -> tuple[str, int | None]:
    curves = run.step("curves")
    reading = str(run.result("curves", "advice", default=""))
    for tone in ("failure", "warning"):
        if tone == "warning" and reading and status_of(curves) == "warning":
            return reading, _number(curves)
        for step in run.steps:
            for finding in records(step.get("findings")):
                if finding.get("severity") == tone and finding.get("advice"):
                    return str(finding["advice"]), _number(step)
    return (reading, _number(curves)) if reading else ("", None)


def _number(step: dict[str, Any]) -> int | None:
    names = [name for name, _ in STEPS]
    name = step.get("name")
    return names.index(name) + 1 if name in names else None
