"""A table of images: CSV, TSV or Parquet with a column of paths and one of labels."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kcnn.data._files import Listed, find_files
from kcnn.data._folder import PARTS
from kcnn.data._manifest import shown
from kcnn.data._record import DataError
from kcnn.data._source import LoadOptions, SourceData, as_path, register_source
from kcnn.data._table_read import SUFFIXES, Table, read_table

__all__ = ["load_table"]

# What columns are usually called, in small letters.
_PATH = ("path", "file", "filename", "file_name", "filepath", "file_path", "image", "image_path")
_LABEL = ("label", "class", "target", "category", "labels")
_SPLIT = ("split", "subset", "partition")
_NAMED = 3  # rows that a note names
_TRUE, _FALSE = ("1", "1.0", "true"), ("0", "0.0", "false", "")


def load_table(source: Any, options: LoadOptions) -> SourceData:
    """See `kcnn.data.load`."""
    path = Path(source).expanduser()
    root = path.parent if options.root is None else Path(options.root).expanduser()
    if not root.is_dir():
        raise DataError(f"{shown(str(path))}: root={shown(str(root))!r} is no folder.")
    table = read_table(path, skip_bad=options.skip_bad)
    paths = _paths(table, table.column("path_column", options.path_column, _PATH), root)
    labels = _read_labels(table, _label_columns(table, options), options.label_separator)
    parts = _parts(table, options.split_column)
    groups = None
    if options.group is not None:
        column = table.column("group", options.group, ())
        groups = np.array(
            [text.encode("utf-8", "surrogateescape") for text in table.columns[column]]
        )
    rows = [
        (labels.rows[i], parts[i], None if groups is None else groups[i]) for i in range(len(paths))
    ]
    _refuse_doubles(table, paths, rows)
    used = [i for i in range(len(paths)) if i not in table.bad]
    training = [i for i in used if parts[i] == "train"]
    if not training:
        raise DataError(f"{table.name}: no row of the training part.")
    numbers, class_names = _numbered(table, labels, training, used, options.class_names)
    used = [i for i in used if i not in table.bad]
    notes = _left_out(table)
    listed = {}
    for part in dict.fromkeys(parts[i] for i in used):
        chosen = np.array([i for i in used if parts[i] == part], int)
        listed[part] = Listed(
            np.array([paths[i] for i in chosen], bytes),
            numbers[chosen],
            None if groups is None else groups[chosen],
        )
    return find_files(
        os.fsencode(root),
        listed,
        class_names,
        options,
        name=shown(path.name),
        key=os.fsencode(path),
        notes=notes,
    )


def _paths(table: Table, column: str, root: Path) -> list[bytes]:
    """As the table has them; those of Windows too, unless a file really is called so."""
    for i, text in enumerate(table.columns[column]):
        if not text or "\0" in text:
            table.cannot(i, f"no path in column {column!r}")
    texts = [
        text.replace("\\", "/") if "\\" in text and not (root / text).exists() else text
        for text in table.columns[column]
    ]
    return [os.path.normpath(text.encode("utf-8", "surrogateescape")) for text in texts]


def _label_columns(table: Table, options: LoadOptions) -> Sequence[str]:
    asked = options.label_column
    if asked is None or isinstance(asked, str):
        return [table.column("label_column", asked, _LABEL)]
    if not asked:
        raise DataError(f"{table.name}: label_column is an empty list.")
    return [table.column("label_column", column, ()) for column in asked]


@dataclass(frozen=True, eq=False)
class _Labels:
    """The names of each row's classes; `several`: any number of them, else one."""

    rows: Sequence[tuple[str, ...]]
    several: bool
    order: Sequence[str] | None = None  # of the classes, where the table gives one


def _read_labels(table: Table, columns: Sequence[str], separator: str | None) -> _Labels:
    """The labels in one column, or in several of zeros and ones."""
    if len(columns) > 1:
        if separator is not None:
            raise DataError(f"{table.name}: label_separator goes with one label column only.")
        held = [[_truth(table, column, i) for i in range(len(table.places))] for column in columns]
        rows = [
            tuple(name for name, is_held in zip(columns, row, strict=True) if is_held)
            for row in zip(*held, strict=True)
        ]
        return _Labels(rows, several=True, order=list(columns))
    texts = [text.strip() for text in table.columns[columns[0]]]
    if separator is not None:
        split = [tuple(dict.fromkeys(map(str.strip, text.split(separator)))) for text in texts]
        return _Labels([tuple(filter(None, names)) for names in split], several=True)
    if all(re.fullmatch(r"\d+\.0+", text) for text in texts):  # as programs write whole numbers
        texts = [text.partition(".")[0] for text in texts]
    for i, text in enumerate(texts):
        if not text:
            table.cannot(i, f"no label in column {columns[0]!r}")
    return _Labels([(text,) for text in texts], several=False)


def _truth(table: Table, column: str, row: int) -> bool:
    text = table.columns[column][row].strip().lower()
    if text not in _TRUE and text not in _FALSE:
        table.cannot(row, f"{text!r} in label column {column!r}, where 0 or 1 is expected")
    return text in _TRUE


def _numbered(
    table: Table,
    labels: _Labels,
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


def _parts(table: Table, asked: str | None) -> list[str]:
    """ "train", "val" or "test" for each row."""
    column = table.usual(_SPLIT) if asked is None else table.column("split_column", asked, ())
    if column is None:
        return ["train"] * len(table.places)
    parts = [PARTS.get(text.strip().lower(), "") for text in table.columns[column]]
    for i, part in enumerate(parts):
        if not part:
            text = table.columns[column][i]
            table.cannot(i, f"{text!r} in column {column!r}, where train, val or test is expected")
    return parts


def _refuse_doubles(table: Table, paths: list[bytes], rows: list[tuple[Any, ...]]) -> None:
    """Rows that name a file a second time; where they say something else, none of them counts."""
    first: dict[bytes, int] = {}
    for i, path in enumerate(paths):
        before = first.setdefault(path, i)
        if before == i or i in table.bad:
            continue
        same = rows[before] == rows[i]
        how = "alike" if same else "but with another label, split or group"
        table.cannot(i, f"{shown(path)} stands at {table.places[before]} already, {how}")
        if not same:
            table.cannot(before, f"contradicted at {table.places[i]}")


def _left_out(table: Table) -> list[str]:
    if not table.bad:
        return []
    named = [f"{table.places[i]}: {table.bad[i]}" for i in sorted(table.bad)[:_NAMED]]
    more = "; ..." if len(table.bad) > _NAMED else ""
    return [f"{len(table.bad)} rows can't be used and are left out: {'; '.join(named)}{more}"]


def _matches(source: Any) -> bool:
    path = as_path(source)
    return path is not None and path.suffix.lower() in SUFFIXES and path.is_file()


register_source("table", matches=_matches, load=load_table)
