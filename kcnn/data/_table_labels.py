"""The labels of a table's rows: one each, several with a separator, or a column for each class."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from kcnn.data._record import DataError
from kcnn.data._table_read import Table

__all__ = ["Labels", "numbered", "read_labels"]

_TRUE, _FALSE = ("1", "1.0", "true"), ("0", "0.0", "false", "")


@dataclass(frozen=True, eq=False)
class Labels:
    """The names of each row's classes; `several`: any number of them, else one."""

    rows: Sequence[tuple[str, ...]]
    several: bool
    order: Sequence[str] | None = None  # of the classes, where the table gives one


def read_labels(table: Table, columns: Sequence[str], separator: str | None) -> Labels:
    """The labels in one column, or in several of zeros and ones."""
    if len(columns) > 1:
        if separator is not None:
            raise DataError(f"{table.name}: label_separator goes with one label column only.")
        held = [[_truth(table, column, i) for i in range(len(table.places))] for column in columns]
        rows = [
            tuple(name for name, is_held in zip(columns, row, strict=True) if is_held)
            for row in zip(*held, strict=True)
        ]
        return Labels(rows, several=True, order=list(columns))
    texts = [text.strip() for text in table.columns[columns[0]]]
    if separator is not None:
        split = [tuple(dict.fromkeys(map(str.strip, text.split(separator)))) for text in texts]
        return Labels([tuple(filter(None, names)) for names in split], several=True)
    if all(re.fullmatch(r"\d+\.0+", text) for text in texts):  # as programs write whole numbers
        texts = [text.partition(".")[0] for text in texts]
    for i, text in enumerate(texts):
        if not text:
            table.cannot(i, f"no label in column {columns[0]!r}")
    return Labels([(text,) for text in texts], several=False)


def _truth(table: Table, column: str, row: int) -> bool:
    text = table.columns[column][row].strip().lower()
    if text not in _TRUE and text not in _FALSE:
        table.cannot(row, f"{text!r} in label column {column!r}, where 0 or 1 is expected")
    return text in _TRUE


def numbered(
    table: Table,
    labels: Labels,
    training: Iterable[int],
    used: Iterable[int],
    class_names: Sequence[str] | None,
) -> tuple[np.ndarray, list[str]]:
    """Labels as numbers (n,), or as zeros and ones (n, classes), and the names of the classes.

    The classes are those of the `training` rows, in the order of the alphabet or of numbers, unless
    the table or `class_names` gives them. A label of a `used` row that is no class is a DataError;
    numbers count through given names.
    """
    given = class_names if class_names is not None else labels.order
    names = _sorted({name for i in training for name in labels.rows[i]})
    if given is not None:
        names = [str(name) for name in given]
        if len(set(names)) < len(names):
            raise DataError(f"{table.name}: class_names {names} holds a name twice.")
    numbers = {name: number for number, name in enumerate(names)}
    found = {name for row in labels.rows for name in row}
    if found and not found & set(numbers) and all(map(str.isdecimal, found)):
        numbers = {str(number): number for number in range(len(names))}
    hot = np.zeros((len(labels.rows), len(names)), np.float32)
    for i in used:
        for name in labels.rows[i]:
            if name in numbers:
                hot[i, numbers[name]] = 1.0
                continue
            among = "class_names" if given is not None else "the training rows"
            table.cannot(i, f"label {name!r} is not among the {len(names)} classes of {among}")
    return (hot if labels.several else hot.argmax(axis=1).astype(np.int64)), names


def _sorted(names: set[str]) -> list[str]:
    if all(name.removeprefix("-").isdecimal() for name in names):
        return sorted(names, key=int)
    return sorted(names)
