"""What every lesson shares: its arguments, its seeds, its table, its verdict and where they go.

A lesson is a function `main(lesson)`. It says what it measured with `table`, draws into `figure()`
and ends with `conclude`, which prints the verdict and writes NAME.png and NAME.json.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from style import new_figure, save

__all__ = ["Lesson", "Point", "mean_and_spread", "run"]

SEEDS = 3  # the least from which a spread can be told


@dataclass(frozen=True)
class Point:
    """One thing that a claim says, and by how much it came out in each seed.

    Attributes:
        when: where it was looked at; completes "holds only when ...".
        margins: one number per seed, above zero where it came out as claimed.
        unit: of the margins, as " points".
        instead: what is so where it does not hold; follows "but when `when`, ...".
        words: the margin in words, where a number alone would not tell it.
    """

    when: str
    margins: Sequence[float]
    unit: str = ""
    instead: str = "it does not come out so in every seed"
    words: str = ""

    @property
    def holds(self) -> bool:
        """Whether it came out in every seed."""
        return all(margin > 0 for margin in self.margins)

    def told(self) -> str:
        """The margin and its spread."""
        if self.words:
            return self.words
        low, high = min(self.margins), max(self.margins)
        spread = f" ({low:.3g} to {high:.3g})" if len(self.margins) > 1 else ""
        return f"{np.mean(self.margins):+.3g}{self.unit}{spread}"

    def sentence(self) -> str:
        """What came out, with its margin."""
        where = self.when if self.holds else f"when {self.when}, {self.instead}"
        return f"{where}: {self.told()}"


def verdict(points: Sequence[Point]) -> str:
    """One line, from the numbers alone."""
    good = "; ".join(point.sentence() for point in points if point.holds)
    bad = "; ".join(point.sentence() for point in points if not point.holds)
    if not bad:
        return f"holds ({good})"
    return f"holds only when {good}. But {bad}" if good else f"does not hold here, because {bad}"


class Lesson:
    """One run of a lesson.

    Attributes:
        quick: whether it is only to be seen to work.
        seeds: the seeds to repeat everything with.
    """

    def __init__(self, name: str, claim: str, arguments: argparse.Namespace):
        self.name, self.claim = name, claim
        self.quick: bool = arguments.quick
        self.seeds = range(1 if arguments.quick else arguments.seeds)
        self.out: Path = arguments.out
        self._began = time.monotonic()
        self._tables: list[dict[str, Any]] = []
        self._notes: list[str] = []

    def of(self, full: Any, quick: Any) -> Any:
        """`full`, or `quick` in a quick run."""
        return quick if self.quick else full

    def say(self, text: str) -> None:
        """A sentence on how it was measured, for the page, too."""
        print(text, flush=True)
        self._notes.append(text)

    def table(self, title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Print a table; numbers as they are given, text or float."""
        cells = [[c if isinstance(c, str) else f"{c:.3g}" for c in row] for row in rows]
        widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
        print(f"\n{title}")
        for row in [list(columns), *cells]:
            first, *others = zip(row, widths, strict=True)
            print("  ".join([first[0].ljust(first[1]), *(c.rjust(w) for c, w in others)]))
        print(flush=True)
        self._tables.append({"title": title, "columns": list(columns), "rows": cells})

    def compare(
        self, title: str, corner: str, columns: Iterable[str], rows: Iterable[tuple[str, str, Any]]
    ) -> None:
        """A table of means and spreads: rows of a name, a format and the numbers by column."""
        self.table(
            title,
            (corner, *columns),
            [
                (name, *(mean_and_spread(cell, form) for cell in cells))
                for name, form, cells in rows
            ],
        )

    def figure(self, width: float = 7.2, height: float = 3.4) -> Any:
        """An empty figure in the lessons' style, inches."""
        return new_figure(width, height)

    def conclude(self, points: Sequence[Point], figure: Any, caption: str) -> str:
        """Print the verdict; write the figure and, for the page of claims, the record."""
        said = verdict(points)
        self.out.mkdir(parents=True, exist_ok=True)
        save(figure, self.out / f"{self.name}.png")
        record = {
            "name": self.name,
            "claim": self.claim,
            "holds": [point.sentence() for point in points if point.holds],
            "fails": [point.sentence() for point in points if not point.holds],
            "caption": caption,
            "notes": self._notes,
            "tables": self._tables,
            "seeds": len(self.seeds),
            "quick": self.quick,
            "seconds": round(time.monotonic() - self._began),
        }
        text = json.dumps(record, indent=1, ensure_ascii=False)
        (self.out / f"{self.name}.json").write_text(text + "\n", encoding="utf-8")
        print(f"figure: {self.out / f'{self.name}.png'}")
        print(f"claim: {said}")
        return said


def mean_and_spread(values: Iterable[float], form: str = ".1f") -> str:
    """'87.3 ± 1.2': the mean over the seeds, and half of what lies between least and most."""
    numbers = np.asarray(list(values), float)
    if not len(numbers):
        return "-"
    half = (numbers.max() - numbers.min()) / 2
    return f"{numbers.mean():{form}}" + (f" ± {half:{form}}" if len(numbers) > 1 else "")


def run(main: Callable[[Lesson], Any], doc: str, file: str, argv: Sequence[str] | None = None):
    """Read the arguments and give the lesson; the first paragraph of `doc` is its claim."""
    claim, _, _ = doc.partition("\n\n")
    parser = argparse.ArgumentParser(description=claim)
    parser.add_argument("--quick", action="store_true", help="one seed, and as little as shows it")
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"repetitions ({SEEDS})")
    parser.add_argument("--out", type=Path, default=Path("runs/claims"), help="folder for results")
    print(f"{claim}\n")
    return main(Lesson(Path(file).stem, " ".join(claim.split()), parser.parse_args(argv)))
