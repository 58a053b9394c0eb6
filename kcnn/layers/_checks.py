"""Checks of arguments whose messages say what was expected and what comes near."""

import difflib
from collections.abc import Iterable, Sequence
from typing import Any

__all__ = ["nearest", "one_of"]


def nearest(word: object, words: Iterable[object]) -> str:
    """' Did you mean 'x'?', or nothing when no word comes close."""
    word = str(word).lower()
    close = difflib.get_close_matches(word, [str(w) for w in words], 5, 0.5)
    if not close:
        return ""

    def likeness(other: str) -> tuple[float, int]:
        match = difflib.SequenceMatcher(None, other, word)
        return match.ratio(), match.get_matching_blocks()[0].size

    return f" Did you mean {max(close, key=likeness)!r}?"


def one_of(who: str, argument: str, value: Any, allowed: Sequence[Any]) -> None:
    """Raise ValueError, naming the nearest, unless `value` is one of `allowed`."""
    if value not in allowed:
        raise ValueError(
            f"{who}: {argument} must be one of {', '.join(map(repr, allowed))}. "
            f"Received: {value!r}.{nearest(value, [a for a in allowed if a])}"
        )
