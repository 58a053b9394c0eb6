"""Run a user's script unchanged and examine every `fit` in it."""

import contextlib
import dataclasses
import functools
import inspect
import runpy
import sys
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import keras

from kcnn.callbacks._finding import Finding
from kcnn.callbacks.doctor._diagnosis import Diagnosis
from kcnn.callbacks.doctor._examine import examine
from kcnn.callbacks.doctor._registry import Selection
from kcnn.callbacks.doctor._run import OwnFit
from kcnn.callbacks.doctor._words import after, print_error, short
from kcnn.callbacks.doctor.program.graph import flat_layers

__all__ = ["Visit", "examine_script"]


@dataclasses.dataclass(frozen=True)
class Visit:
    """One `fit` of the script: where it stands, what was found, and lines for the findings."""

    file: str
    line: int
    diagnosis: Diagnosis
    places: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        found = self.diagnosis.to_dict()
        for finding, place in zip(found["findings"], self.places, strict=True):
            finding["place"] = place
        return {"file": self.file, "line": self.line, **found}


def examine_script(
    path: str | Path,
    arguments: list[str] | None = None,
    *,
    fast: bool = False,
    budget_s: float | None = None,
    heard: Callable[[Visit], Any] = lambda visit: None,
    begun: Callable[[str], Any] = lambda place: None,
    **options: Any,
) -> tuple[list[Visit], int]:
    """Run `path` as `__main__`; every `fit` is done as written, and examined.

    Args:
        arguments: What the script finds in `sys.argv[1:]`.
        fast: Do not train where the set-up alone proves a failure, and end each `fit` of the
            script after its first batch when a failure was found.
        budget_s: Seconds for each examination.
        heard: Called with each visit as soon as it is over.
        begun: Called with the place of each `fit` before it is examined.
        **options: For `examine`: `select`, `ignore`, `parameters`.

    Returns:
        The visits and the exit code of the script (1 after an exception, whose traceback
        goes to standard error; 130 after an interrupt).

    Raises:
        FileNotFoundError: when there is no such script.
        ValueError: for an unknown check or parameter.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(2, "No such script", str(path))
    Selection(**options)  # refuses unknown checks before the script runs
    given = {"fast": fast, "budget_s": budget_s, **options}
    watch = _Watch(str(path.resolve()), heard, begun, given)
    before = sys.argv, list(sys.path)
    sys.argv = [str(path), *(arguments or [])]
    sys.path.insert(0, str(path.resolve().parent))
    code = 0
    try:
        with watch.patched():
            runpy.run_path(str(path.resolve()), run_name="__main__")
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except KeyboardInterrupt:
        code = 130
    except Exception as error:
        print_error(error)
        code = 1
    finally:
        sys.argv, sys.path[:] = before[0], before[1]
    return watch.visits, code


@dataclasses.dataclass
class _Watch:
    script: str
    heard: Callable[[Visit], Any]
    begun: Callable[[str], Any]
    options: dict[str, Any]
    visits: list[Visit] = dataclasses.field(default_factory=list)
    lines: Any = dataclasses.field(default_factory=weakref.WeakKeyDictionary)
    busy: bool = False

    @contextlib.contextmanager
    def patched(self) -> Iterator[None]:
        """`fit` and `compile` of models, and the birth of layers, watched."""
        watch = self
        fit, compile_, new = keras.Model.fit, keras.Model.compile, keras.layers.Layer.__new__

        @functools.wraps(fit)
        def watched_fit(model, *args, **kwargs):
            return watch.fit(fit, model, args, kwargs)

        @functools.wraps(compile_)
        def watched_compile(model, *args, **kwargs):
            if not watch.busy:
                watch.lines[model] = watch.here()
            return compile_(model, *args, **kwargs)

        @functools.wraps(new)
        def watched_new(cls, *args, **kwargs):  # not __init__, whose arguments Keras reads
            layer = new(cls, *args, **kwargs)
            if not watch.busy and not issubclass(cls, keras.Model):
                watch.lines[layer] = watch.here()
            return layer

        # Replaced where they are defined: Keras compares a model's `compile` with that of its own
        # base class, and loads a model uncompiled where they differ.
        places = [
            (_owner(keras.Model, "fit"), "fit", watched_fit, fit),
            (_owner(keras.Model, "compile"), "compile", watched_compile, compile_),
            (keras.layers.Layer, "__new__", staticmethod(watched_new), staticmethod(new)),
        ]
        for owner, name, watched, _ in places:
            setattr(owner, name, watched)
        try:
            yield
        finally:
            for owner, name, _, own in places:
                setattr(owner, name, own)

    def here(self) -> tuple[str, int] | None:
        """File and line of the nearest frame in the script or beside it."""
        frame: FrameType | None = sys._getframe(2)
        while frame is not None:
            name = frame.f_code.co_filename
            beside = name.startswith(str(Path(self.script).parent)) and "site-packages" not in name
            if name == self.script or beside:
                return name, frame.f_lineno
            frame = frame.f_back
        return None

    def fit(self, original, model, args, kwargs):
        if self.busy:
            return original(model, *args, **kwargs)
        given = inspect.signature(original).bind(model, *args, **kwargs).arguments
        given.pop("self", None)
        place = self.here() or (self.script, 0)
        self.begun(f"{short(place[0])}:{place[1]}")
        own = OwnFit(original, model, given)
        stopped = None
        self.busy = True
        try:
            diagnosis = examine(
                model, runner=own, **self.options,
                **{name: value for name, value in given.items() if name != "callbacks"},
            )  # fmt: skip
        except (Exception, KeyboardInterrupt) as error:
            diagnosis = after(error)
            stopped = error if isinstance(error, KeyboardInterrupt) else None
        finally:
            self.busy = False
        places = tuple(self.place(model, finding, place) for finding in diagnosis.findings)
        visit = Visit(place[0], place[1], diagnosis, places)
        self.visits.append(visit)
        self.heard(visit)
        if stopped is not None:
            raise stopped
        return own.result(stop=self.options["fast"] and not diagnosis.healthy)

    def place(self, model: Any, finding: Finding, fit: tuple[str, int]) -> str:
        where = finding.where or ""
        named = [layer for layer in flat_layers(model) if layer.name == where]
        source = model if where.startswith("compile") else named[-1] if named else None
        file, line = fit if source is None else self.lines.get(source) or fit
        return f"{short(file)}:{line}"


def _owner(kind: type, name: str) -> type:
    """The class that defines the method `name` of `kind`."""
    return next(base for base in kind.__mro__ if name in base.__dict__)
