"""Class names: one line each, one for every output."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["checked_names"]


def checked_names(class_names: Sequence[str] | None, classes: int) -> list[str]:
    """The names as a list, numbers where there are none; ValueError if they don't fit."""
    if class_names is None:
        return [str(number) for number in range(classes)]
    if isinstance(class_names, str):
        raise ValueError(
            f"export: class_names={class_names!r} is one string; pass a list of names."
        )
    names = list(class_names)
    for name in names:
        if not isinstance(name, str) or not name.strip() or len(name.splitlines()) != 1:
            raise ValueError(
                f"export: class name {name!r} must be a non-empty string of one line (the asset "
                "class_names.txt holds one name a line)."
            )
    if len(names) != classes:
        raise ValueError(
            f"export: the model tells {classes} classes apart, but {len(names)} class names were "
            "given; pass one name per output, in their order (two for a single unit)."
        )
    return names
