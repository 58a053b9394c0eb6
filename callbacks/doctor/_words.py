"""How the doctor of scripts tells places and errors."""

import dataclasses
import sys
import traceback
from pathlib import Path

from kcnn.callbacks._finding import Finding
from kcnn.callbacks.doctor._diagnosis import Diagnosis

__all__ = ["after", "print_error", "short"]


def short(file: str) -> str:
    """A path as seen from the working directory, where that is inside of it."""
    try:
        return str(Path(file).relative_to(Path.cwd()))
    except ValueError:
        return file


def after(error: BaseException) -> Diagnosis:
    """What was found before `error` ended the examination, with the error itself."""
    found = getattr(error, "diagnosis", None)
    if isinstance(error, KeyboardInterrupt):
        said = ("warning", "interrupted: the rest of the run was not examined", "")
    elif found is None:
        words = "Run the script without the doctor to see the error by itself."
        said = ("warning", f"it cannot be examined: {_first_line(error)}", words)
        found = Diagnosis(unseen=(f"the fit: {_first_line(error)}",), blind=True)
    else:
        said = ("failure", f"fit raises {_first_line(error)}", "")
    finding = Finding("fit", said[0], said[1], "a fit that runs to its end", said[2], where="fit")
    found = found or Diagnosis()
    failures = [f for f in found.findings if f.severity == "failure"]
    rest = [f for f in found.findings if f.severity != "failure"]
    return dataclasses.replace(found, findings=(*failures, finding, *rest))


def _first_line(error: BaseException) -> str:
    """The line of a message that says something: TensorFlow's stands behind its call stack."""
    lines = [line for line in str(error).splitlines() if line.strip()] or [""]
    if lines[0].startswith("Graph execution error"):
        skip = ("Graph", "Detected at", "[[", "Stack trace", "File ", "<")
        told = [line for line in lines if not line.strip().startswith(skip)]
        lines = told[-1:] or lines
    return f"{type(error).__name__}: {lines[0].strip()[:200]}"


def print_error(error: Exception) -> None:
    """The traceback as the script alone would print it, without the doctor's own frames."""
    trace = traceback.TracebackException.from_exception(error)
    own = Path(__file__).parent
    kept = [f for f in trace.stack if Path(f.filename).parent != own and "runpy" not in f.filename]
    trace.stack = traceback.StackSummary.from_list(kept)
    sys.stderr.write("".join(trace.format()))
