"""The folder in which kcnn keeps what it would otherwise have to find out again."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["cache_folder"]


def cache_folder() -> Path:
    """`KCNN_CACHE`, else `kcnn` in the user's cache folder; it may be deleted at any time."""
    given = os.environ.get("KCNN_CACHE")
    if given:
        return Path(given).expanduser()
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "kcnn"
