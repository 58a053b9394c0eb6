"""Numbers as a reader wants them."""

import math
from datetime import datetime
from typing import Any

NOTHING = "–"
__all__ = [
    "count", "duration", "loss", "moment", "num", "number", "percent", "rate", "setting", "shape",
]  # fmt: skip


def number(value: Any) -> float:
    """A float; NaN for None, text, or what is no number."""
    if isinstance(value, dict):  # a finding's evidence names what JSON has no word for
        value = value.get("float")
    try:
        return float(value) if not isinstance(value, bool) else math.nan
    except (TypeError, ValueError, OverflowError):
        return math.nan


def num(value: Any, digits: int = 4) -> str:
    """Four significant digits: 0.08142, 2.303, 1.2e9."""
    x = number(value)
    if math.isnan(x):
        return NOTHING
    if math.isinf(x):
        return "∞" if x > 0 else "-∞"
    return f"{x:.0f}" if x == round(x) and abs(x) < 1e6 else _exponent(f"{x:.{digits}g}")


def loss(value: Any) -> str:
    """Three significant digits, zeros too, for columns: 0.100, 1.18, 0.0893."""
    x = number(value)
    return _exponent(f"{x:#.3g}".rstrip(".")) if math.isfinite(x) else num(x)


def count(value: Any) -> str:
    """60,000."""
    x = number(value)
    return f"{x:,.0f}" if math.isfinite(x) else NOTHING


def rate(value: Any) -> str:
    """A learning rate or weight decay: 0.1, 0.037, 1e-5, 3.2e-4; never 1e-05."""
    x = number(value)
    if not math.isfinite(x):
        return NOTHING
    return _exponent(f"{x:.3g}" if x == 0 or abs(x) >= 1e-3 else f"{x:.1e}")


def _exponent(text: str) -> str:
    """1e-5 for 1.0e-05."""
    mantissa, e, exponent = text.partition("e")
    return f"{mantissa.removesuffix('.0')}e{int(exponent)}" if e else text


def setting(value: Any) -> str:
    """A hyperparameter: floats as rates, – for None."""
    if value is None:
        return NOTHING
    return rate(value) if isinstance(value, float) else str(value)


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
    return " × ".join(num(v) for v in value) if isinstance(value, (list, tuple)) else NOTHING
