"""One self-contained HTML page from typed blocks."""

import base64
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import jinja2
from markupsafe import Markup

from kcnn.report import words
from kcnn.report.blocks import Block
from kcnn.report.canvas import to_svg

__all__ = ["Page", "Section", "write_page"]

_FILTERS = {"duration": words.duration, "svg": to_svg}


@dataclass(frozen=True)
class Section:
    """A card of the page. `status` is a verdict, or "" for none."""

    id: str
    title: str
    blocks: Sequence[Block]
    purpose: str = ""
    status: str = ""
    seconds: float | None = None
    long: bool = False


@dataclass(frozen=True)
class Page:
    """All of a page.

    Attributes:
        title: the verdict in words; `tone` is "ok", "warning", "failure" or "unfinished".
        subject: what the browser's tab says besides.
        overline: above the title, parts of one line.
        facts: (name, value, small print); the first one is the most important.
        advice: (heading, words, id of the section it comes from or "").
        path: (title, status, id or "" where there is no such section), the steps in order.
        sections: cards in order.
        settings: how it was made, at the foot of the page.
        foot: the last lines.
    """

    title: str
    tone: str
    subject: str
    overline: Sequence[str]
    facts: Sequence[tuple[str, str, str]]
    advice: tuple[str, str, str]
    path: Sequence[tuple[str, str, str]]
    sections: Sequence[Section]
    settings: Sequence[tuple[str, str]] = ()
    command: str = ""
    foot: Sequence[str] = field(default_factory=tuple)


def write_page(page: Page, file: str | Path) -> Path:
    """Write the page to `file`.

    The page needs no network and no other file and follows the reader's light or dark setting.
    An earlier one is replaced in one move: a full disk leaves it as it was.

    >>> from kcnn.report import Note, Page, Section
    >>> sections = [Section("a", "Data", [Note("1,294 images")])]
    >>> page = Page("It trained", "ok", "digits", [], [], ("Next", "Nothing.", ""), [], sections)
    >>> write_page(page, "report.html").name
    'report.html'
    """
    file = Path(file)
    _write(file, _render(page))
    return file


def _render(page: Page) -> str:
    here = Path(__file__).parent
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(here),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(_FILTERS)
    script = (here / "report.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(f"\n{script}\n".encode()).digest()).decode("ascii")
    return environment.get_template("report.html").render(
        page=page,
        css=Markup((here / "report.css").read_text(encoding="utf-8")),
        script=Markup(script),
        script_hash=f"sha256-{digest}",
    )


def _write(file: Path, text: str) -> None:
    """All of the file or, on a full disk, the one before."""
    partial = file.with_name(f".{file.name}.{os.getpid()}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, file)
    finally:
        partial.unlink(missing_ok=True)
