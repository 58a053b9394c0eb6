"""What a page is made of: typed pieces that hold numbers and words, and no markup."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kcnn.report.canvas import Plot

__all__ = [
    "Block", "Cell", "Code", "Columns", "Definitions", "Findings", "Heading",
    "Matrix", "Note", "Picture", "Pictures", "Row", "Table",
]  # fmt: skip


@dataclass(frozen=True)
class Note:
    """A paragraph; small and quiet unless `strong`."""

    text: str
    strong: bool = False
    kind = "note"


@dataclass(frozen=True)
class Heading:
    """A heading within a section."""

    text: str
    kind = "heading"


@dataclass(frozen=True)
class Code:
    """A few lines to copy."""

    title: str
    text: str
    kind = "code"


@dataclass(frozen=True)
class Findings:
    """What instruments said, as `Finding.to_dict` writes it."""

    findings: Sequence[Mapping[str, Any]]
    kind = "findings"


@dataclass(frozen=True)
class Cell:
    """A cell: its text, the number it is sorted by, a swatch of a color of the page."""

    text: str
    value: float | None = None
    swatch: str = ""


@dataclass(frozen=True)
class Row:
    """Cells, strings for plain ones; the best row of a table has a word for it."""

    cells: tuple[Cell | str, ...]
    best: str = ""


@dataclass(frozen=True)
class Table:
    """Columns by name; those in `numeric` stand right. Sorted by click where `sortable`."""

    label: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    numeric: frozenset[int] = frozenset()
    sortable: bool = False
    kind = "table"

    def cell(self, value: Cell | str) -> Cell:
        """A cell as such."""
        return value if isinstance(value, Cell) else Cell(value)


@dataclass(frozen=True)
class Definitions:
    """Terms and what they are here."""

    rows: tuple[tuple[str, str], ...]
    kind = "definitions"


@dataclass(frozen=True)
class Picture:
    """An image as a data URI, with the words of those who do not see it."""

    uri: str
    alt: str
    label: str = ""
    second: str = ""
    second_alt: str = ""
    pixelated: bool = False


@dataclass(frozen=True)
class Pictures:
    """A row of small images."""

    pictures: tuple[Picture, ...]
    kind = "pictures"


@dataclass(frozen=True)
class Matrix:
    """A table of counts: rows true, columns said; a cell is (count, share of row, diagonal)."""

    names: tuple[str, ...]
    rows: tuple[tuple[tuple[int, float, bool], ...], ...]
    kind = "matrix"


@dataclass(frozen=True)
class Columns:
    """Blocks side by side where there is room; `wide`: the first column the wider one."""

    columns: tuple[tuple[Any, ...], ...]
    wide: bool = False
    kind = "columns"


Block = Note | Heading | Code | Findings | Table | Definitions | Pictures | Matrix | Columns | Plot
