"""One self-contained HTML page, drawn from typed blocks: whoever has results says what is on it."""

from kcnn.report.blocks import (
    Block,
    Cell,
    Code,
    Columns,
    Definitions,
    Findings,
    Heading,
    Matrix,
    Note,
    Picture,
    Pictures,
    Row,
    Table,
)
from kcnn.report.canvas import Plot
from kcnn.report.page import Page, Section, write_page

__all__ = [
    "Block", "Cell", "Code", "Columns", "Definitions", "Findings", "Heading", "Matrix",
    "Note", "Page", "Picture", "Pictures", "Plot", "Row", "Section", "Table", "write_page",
]  # fmt: skip
