"""CSV, TSV and Parquet as columns of text, with the place of every row for messages."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from kcnn.data._manifest import shown
from kcnn.data._record import DataError

__all__ = ["SUFFIXES", "Table", "read_table"]

SUFFIXES = (".csv", ".tsv", ".parquet")


@dataclass(frozen=True, eq=False)
class Table:
    """`columns[name][i]` is the text in row i, which stands at `places[i]` of the file.

    `bad` says why some rows can't be used, where they are to be skipped.
    """

    name: str
    columns: dict[str, list[str]]
    places: Sequence[str]
    skip_bad: bool = False
    bad: dict[int, str] = field(default_factory=dict)

    def cannot(self, row: int, why: str) -> None:
        """Row `row` can't be used: a DataError, or noted in `bad`."""
        if not self.skip_bad:
            raise DataError(
                f"{self.name}, {self.places[row]}: {why}; correct or remove the row, or go on "
                "without such rows by skip_bad=True."
            )
        self.bad.setdefault(row, why)

    def column(self, option: str, asked: str | None, usual: Sequence[str]) -> str:
        """The column asked for, or the one that is called as usual; DataError without one."""
        found = self.usual(usual) if asked is None else asked
        if found in self.columns:
            return found
        lacking = f"no column {found!r}" if found else f"no column called {', '.join(usual)}"
        raise DataError(
            f"{self.name}: {lacking}; it has {', '.join(map(repr, self.columns))}: give {option}."
        )

    def usual(self, usual: Sequence[str]) -> str | None:
        """The first column of a usual name, if there is one."""
        small = {name.strip().lower(): name for name in reversed(self.columns)}
        return next((small[name] for name in usual if name in small), None)


def read_table(path: Path, *, skip_bad: bool = False) -> Table:
    """All columns of a table; DataError for a file that is none."""
    try:
        found = _parquet(path) if path.suffix.lower() == ".parquet" else _csv(path)
    except OSError as error:
        raise DataError(f"{shown(str(path))}: can't be read ({error}).") from error
    if not found.places:
        raise DataError(f"{shown(str(path))}: holds no row.")
    return replace(found, skip_bad=skip_bad)


def _csv(path: Path) -> Table:
    name = shown(str(path))
    # Names of files need not be UTF-8: bytes that are not go through unchanged.
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        first = file.readline()
        if "\0" in first:
            raise DataError(f"{name}: no text in UTF-8 (UTF-16 perhaps); save it as CSV UTF-8.")
        file.seek(0)
        delimiter = "\t" if path.suffix.lower() == ".tsv" else max(",;\t", key=first.count)
        try:
            rows = list(_rows(file, delimiter, name))
        except csv.Error as error:
            raise DataError(f"{name}: no readable table ({error}).") from error
    if not rows:
        raise DataError(f"{name}: empty; expected a first line with the columns.")
    header = [column.strip() for column in rows[0][1]]
    twice = sorted({column for column in header if header.count(column) > 1})
    if twice:
        raise DataError(f"{name}: has two columns {twice[0]!r}; rename one.")
    columns = {column: [row[i] for _, row in rows[1:]] for i, column in enumerate(header)}
    return Table(name, columns, [place for place, _ in rows[1:]])


def _rows(file: Any, delimiter: str, name: str) -> Iterator[tuple[str, list[str]]]:
    reader = csv.reader(file, delimiter=delimiter, strict=True)
    width = None
    for row in reader:
        if not row:
            continue
        width = width or len(row)
        if len(row) != width:
            raise DataError(
                f"{name}, line {reader.line_num}: {len(row)} values under {width} columns; put "
                'values that hold the delimiter into "quotes".'
            )
        yield f"line {reader.line_num}", row


def _is_blob(kind: Any, pyarrow: Any) -> bool:
    types = pyarrow.types
    return types.is_binary(kind) or types.is_large_binary(kind) or types.is_nested(kind)


def _parquet(path: Path) -> Table:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise DataError(
            f"{path}: reading Parquet needs pyarrow; pip install 'kcnn[tables]', or give a CSV."
        ) from error
    try:
        schema = parquet.read_schema(path)
        plain = [field.name for field in schema if not _is_blob(field.type, pyarrow)]
        table = parquet.read_table(path, columns=plain)
        columns = {
            name: ["" if value is None else str(value) for value in table[name].to_pylist()]
            for name in table.column_names
        }
    except (pyarrow.ArrowException, ValueError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path}: no readable Parquet file ({reason:.200}).") from error
    return Table(shown(str(path)), columns, [f"row {i + 1}" for i in range(table.num_rows)])
