"""Instruments for `model.fit`: each hears what training says and answers with findings."""

if __name__ != "kcnn.callbacks":
    raise ImportError(
        "This folder is the package kcnn.callbacks; importing it as "
        f"{__name__!r} would define every class twice. Use `import kcnn.callbacks`."
    )

from kcnn.callbacks._finding import Finding, print_sink
from kcnn.callbacks._snapshot import Snapshot

__all__ = ["Finding", "Snapshot", "print_sink"]
