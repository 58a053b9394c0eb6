"""Constructor arguments, checked once: who, what was received, what was expected."""

from __future__ import annotations

import difflib
import math
from collections.abc import Sequence
from typing import Any

__all__ = [
    "as_choice",
    "as_factors",
    "as_number",
    "as_padding",
    "as_range",
    "as_sides",
    "as_whole",
    "as_whole_range",
]


def _refuse(layer: Any, name: str, value: Any, expected: str) -> ValueError:
    return ValueError(f"{type(layer).__name__}: {name}={value!r}; expected {expected}.")


def _is_number(value: Any) -> bool:
    is_one = isinstance(value, int | float) and not isinstance(value, bool)
    return is_one and math.isfinite(value)


def as_choice(value: Any, known: Sequence[str], layer: Any, name: str) -> str:
    """One of `known`; else a ValueError with the nearest."""
    if value in known:
        return str(value)
    near = difflib.get_close_matches(str(value), known, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    raise _refuse(layer, name, value, f"one of {', '.join(known)}{hint}")


def as_number(
    value: Any, layer: Any, name: str, low: float = -math.inf, high: float = math.inf
) -> float:
    """A finite number within low..high."""
    if _is_number(value) and low <= value <= high:
        return float(value)
    raise _refuse(layer, name, value, f"a number within {low:g}..{high:g}")


def as_range(value: Any, layer: Any, name: str, low: float, high: float) -> tuple[float, float]:
    """A pair of numbers in order, within low..high."""
    pair = tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else ()
    if len(pair) == 2 and all(map(_is_number, pair)) and low <= pair[0] <= pair[1] <= high:
        return float(pair[0]), float(pair[1])
    raise _refuse(layer, name, value, f"(lower, upper) within {low:g}..{high:g}")


def as_factors(
    value: Any, layer: Any, name: str, low: float = -math.inf, high: float = math.inf
) -> tuple[float, float]:
    """A pair in order, or a number f that stands for (-f, f), as far as `low` lets it."""
    if _is_number(value) and value >= 0:
        value = (max(-value, low), value)
    return as_range(value, layer, name, low, high)


def as_whole(value: Any, layer: Any, name: str, low: int, high: int) -> int:
    """A whole number within low..high."""
    if _is_number(value) and value == int(value) and low <= value <= high:
        return int(value)
    raise _refuse(layer, name, value, f"a whole number within {low}..{high}")


def as_whole_range(value: Any, layer: Any, name: str, low: int, high: int) -> tuple[int, int]:
    """A pair of whole numbers in order, or one that stands for both."""
    pair = (value, value) if _is_number(value) else value
    if all(number == int(number) for number in as_range(pair, layer, name, low, high)):
        return int(pair[0]), int(pair[1])
    raise _refuse(layer, name, value, f"whole numbers within {low}..{high}")


def as_sides(value: Any, layer: Any, name: str) -> tuple[int | None, int | None]:
    """(height, width) in pixels from a number, a pair, or None for the image's own."""
    pair = (value, value) if value is None or _is_number(value) else value
    if isinstance(pair, Sequence) and not isinstance(pair, str) and len(pair) == 2:
        sides = [side if side is None else int(side) for side in pair]
        if all(s is None or (s == given and s >= 1) for s, given in zip(sides, pair, strict=True)):
            return sides[0], sides[1]
    raise _refuse(layer, name, value, "pixels, or (height, width), each at least 1, or None")


def as_padding(value: Any, layer: Any, name: str) -> tuple[int | float, int | float]:
    """(rows, columns), each pixels (int) or a share of the side (float)."""
    pair = (value, value) if _is_number(value) else value
    two = isinstance(pair, Sequence) and not isinstance(pair, str) and len(pair) == 2
    if two and all(_is_number(side) and side >= 0 for side in pair):
        return pair[0], pair[1]
    raise _refuse(layer, name, value, "pixels (int) or a share of the side (float), or two")
