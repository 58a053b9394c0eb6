"""The table of programs: what each one is, which fault it carries, which half it stands in."""

import dataclasses
import functools
import zlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from kcnn.callbacks.causes import CAUSES

HALVES = ("tune", "held-out")
PARTS = (*HALVES, "sealed", "fourth", "fifth")


class Case(NamedTuple):
    """A program ready to run: `model.fit(x, y, **fit)`; `test` is clean data to judge it by."""

    model: Any
    x: Any
    y: Any
    fit: dict[str, Any]
    test: tuple[Any, Any]


@dataclasses.dataclass(frozen=True)
class Program:
    """One user's program. `main` is empty for a healthy one.

    `main`: the labels that are right as the first one named; `also`: labels
    that are true of it too. `score(model, case, history)` is higher for a
    better program: the mended (or healthy) one reaches `good`, the faulty one
    stays at or under `bad`.
    """

    name: str
    half: str
    kind: str
    main: tuple[str, ...]
    also: tuple[str, ...]
    score: Callable[..., float]
    good: float
    bad: float
    needs: str | None
    complaint: str
    make: Callable[[bool], Case]

    @property
    def variants(self) -> tuple[str, ...]:
        return ("faulty", "mended") if self.main else ("healthy",)

    def build(self, faulty: bool = False) -> Case:
        """The program from a fixed seed, so every build is the same program."""
        import keras

        keras.config.set_dtype_policy("float32")
        keras.utils.set_random_seed(zlib.crc32(self.name.encode()) % 10_000)
        return self.make(faulty)


_PROGRAMS: dict[str, Program] = {}


def program(
    *main: str,
    kind: str,
    score: Callable[..., float],
    good: float,
    bad: float | None = None,
    also: tuple[str, ...] = (),
    needs: str | None = None,
) -> Callable[[Callable[[bool], Case]], Callable[[bool], Case]]:
    """Register a program; its half is the folder it stands in, its complaint the docstring."""
    for label in (*main, *also):
        if label not in CAUSES:
            raise ValueError(f"program: unknown label {label!r}; expected one of {list(CAUSES)}")

    def register(make: Callable[[bool], Case]) -> Callable[[bool], Case]:
        name = make.__name__
        if name in _PROGRAMS:
            raise ValueError(f"program: {name!r} is registered twice; rename one")
        half = make.__module__.split(".")[-2].replace("_", "-")
        _PROGRAMS[name] = Program(
            name=name,
            half=half,
            kind=kind,
            main=main,
            also=also,
            score=score,
            good=good,
            bad=good - 0.1 if bad is None else bad,
            needs=needs,
            complaint=(make.__doc__ or "").strip().splitlines()[0] if make.__doc__ else "",
            make=make,
        )
        return make

    return register


def healthy(
    *, kind: str, score: Callable[..., float], good: float, needs: str | None = None
) -> Callable[[Callable[[], Case]], Callable[[], Case]]:
    """Register a program without a fault."""

    def register(make: Callable[[], Case]) -> Callable[[], Case]:
        @functools.wraps(make)
        def build(faulty: bool) -> Case:
            return make()

        program(kind=kind, score=score, good=good, needs=needs)(build)
        return make

    return register


def programs(half: str = "all", only: str = "") -> Iterator[Program]:
    """The registered programs of a half whose name or labels contain `only`."""
    from benchmarks.doctor import (  # noqa: F401  (importing them registers them)
        fifth,
        fourth,
        held_out,
        sealed,
        tune,
    )

    for one in _PROGRAMS.values():
        if half in ("all", one.half) and only in " ".join((one.name, *one.main)):
            yield one
