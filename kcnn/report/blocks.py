"""What a page is made of: typed pieces that hold numbers and words, and no markup."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kcnn.report.canvas import Plot

__all__ = [
    "Block", "Cell", "Code", "Columns", "Definitions", "Findings", "Heading",
    "Matrix", "Note", "Picture", "Pictures", "Row", "Table", "plots_in",
]  # fmt: skip


@dataclass(frozen=True)
class Note:
    """A paragraph; small and quiet unless `strong`.

    >>> Note("Measured once.", strong=True).kind
    'note'
    """

    text: str
    strong: bool = False
    kind = "note"


@dataclass(frozen=True)
class Heading:
    """A heading within a section.

    >>> Heading("Trials").text
    'Trials'
    """

    text: str
    kind = "heading"


@dataclass(frozen=True)
class Code:
    """A few lines to copy.

    >>> Code("In Keras", "model.predict(images)").kind
    'code'
    """

    title: str
    text: str
    kind = "code"


@dataclass(frozen=True)
class Findings:
    """What instruments said, as `Finding.to_dict` writes it.

    >>> len(Findings([{"check": "loss", "severity": "ok", "seen": "2.3"}]).findings)
    1
    """

    findings: Sequence[Mapping[str, Any]]
    kind = "findings"


@dataclass(frozen=True)
class Cell:
    """A cell: its text, the number it is sorted by, a swatch of a color of the page.

    >>> Cell("3 min", 180.0).value
    180.0
    """

    text: str
    value: float | None = None
    swatch: str = ""


@dataclass(frozen=True)
class Row:
    """Cells, strings for plain ones; the best row of a table has a word for it.

    >>> Row(("resnet20", Cell("91%", 0.91)), best="best").best
    'best'
    """

    cells: tuple[Cell | str, ...]
    best: str = ""


@dataclass(frozen=True)
class Table:
    """Columns by name; those in `numeric` stand right. Sorted by click where `sortable`.

    >>> table = Table("Models", ("Name", "Right"), (Row(("a", "91%")),), frozenset({1}))
    >>> table.columns
    ('Name', 'Right')
    """

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
    """Terms and what they are here.

    >>> Definitions((("Images", "1,294"),)).rows[0][1]
    '1,294'
    """

    rows: tuple[tuple[str, str], ...]
    kind = "definitions"


@dataclass(frozen=True)
class Picture:
    """An image as a data URI, with the words of those who do not see it.

    >>> Picture("data:image/png;base64,", "a seven", label="7").label
    '7'
    """

    uri: str
    alt: str
    label: str = ""
    second: str = ""
    second_alt: str = ""
    pixelated: bool = False


@dataclass(frozen=True)
class Pictures:
    """A row of small images.

    >>> len(Pictures((Picture("data:,", "a seven"),)).pictures)
    1
    """

    pictures: tuple[Picture, ...]
    kind = "pictures"


@dataclass(frozen=True)
class Matrix:
    """A table of counts: rows true, columns said; a cell is (count, share of row, diagonal).

    >>> Matrix(("cat", "dog"), (((9, 0.9, True), (1, 0.1, False)),)).names
    ('cat', 'dog')
    """

    names: tuple[str, ...]
    rows: tuple[tuple[tuple[int, float, bool], ...], ...]
    kind = "matrix"


@dataclass(frozen=True)
class Columns:
    """Blocks side by side where there is room; `wide`: the first column the wider one.

    >>> Columns(((Note("left"),), (Note("right"),))).wide
    False
    """

    columns: tuple[tuple[Any, ...], ...]
    wide: bool = False
    kind = "columns"


Block = Note | Heading | Code | Findings | Table | Definitions | Pictures | Matrix | Columns | Plot


def plots_in(blocks: Sequence[Any]) -> list[Plot]:
    """The plots among these blocks, also within columns, in order."""
    found: list[Plot] = []
    for block in blocks:
        if isinstance(block, Plot):
            found.append(block)
        elif isinstance(block, Columns):
            for column in block.columns:
                found += plots_in(column)
    return found
