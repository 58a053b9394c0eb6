"""`python docs/cause_pages.py FOLDER` writes a page for each cause, and the path to them."""

import sys
from pathlib import Path

from kcnn.callbacks.causes import CAUSES, overview

__all__ = ["write_pages"]


def write_pages(folder: Path) -> None:
    """README.md and one LABEL.md for each cause."""
    folder.mkdir(parents=True, exist_ok=True)
    path = overview()
    for cause in CAUSES.values():
        path = path.replace(f"`{cause.label}`", f"[`{cause.label}`]({cause.label}.md)")
        (folder / f"{cause.label}.md").write_text(cause.markdown(), encoding="utf-8")
    (folder / "README.md").write_text(path, encoding="utf-8")


if __name__ == "__main__":
    write_pages(Path(sys.argv[1]))
