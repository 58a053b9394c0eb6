"""Run every lesson and write the pages of docs/: the claims with their verdicts, and the gallery.

`python examples/claims` runs all of them; with `--page` it only writes the pages from what is kept.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
DOCS = HERE.parent.parent / "docs"
RECORDS = DOCS / "claims"
LESSONS = sorted(HERE.glob("[0-9]*.py"))

CLAIMS = """# Claims of the course

Thirteen things that a course on training convolutional networks says, each as a lesson that you can
run offline. The verdict is computed from the numbers: a claim *holds* where it comes out in every
seed; behind it stands the margin and, in brackets, the least and the most over the seeds.
`make claims` runs all of them and writes this page. This shows one in seconds:

```
python examples/claims/01_four_norms.py --quick
```

| | claim | verdict | figure |
| --- | --- | --- | --- |
"""

GALLERY = """# Gallery

The figures of the [claims](claims.md). Each is drawn by the script below it.
"""


def records() -> list[dict[str, Any]]:
    """What the lessons left, in their order."""
    return [json.loads(file.read_text("utf-8")) for file in sorted(RECORDS.glob("*.json"))]


def word(record: dict[str, Any]) -> str:
    """The verdict in a few words."""
    good, bad = len(record["holds"]), len(record["fails"])
    if not bad:
        return "holds"
    return f"holds in part ({good} of {good + bad})" if good else "does not hold here"


def told(record: dict[str, Any]) -> str:
    """The verdict with its numbers, as lists."""
    text = f"**Claim: {word(record)}**\n\n" + "".join(f"- {part}\n" for part in record["holds"])
    if record["holds"] and record["fails"]:
        text += "\nbut\n\n"
    return text + "".join(f"- {part}\n" for part in record["fails"]) + "\n"


def table(found: dict[str, Any]) -> str:
    """A table of a lesson as Markdown."""
    columns, rows = found["columns"], found["rows"]
    lines = [
        [c.replace("|", r"\|") for c in row] for row in (columns, ["---"] * len(columns), *rows)
    ]
    return f"{found['title']}:\n\n" + "".join(f"| {' | '.join(row)} |\n" for row in lines) + "\n"


def claims_page(found: list[dict[str, Any]]) -> str:
    """The table of claims, then each with its figure, its whole verdict and its numbers."""
    page = CLAIMS
    for record in found:
        number, name = record["name"].split("_", 1)
        title = name.replace("_", " ").capitalize()
        anchor = f"#{number}-{name}".replace("_", "-")
        thumbnail = f"[![{record['caption']}](claims/{record['name']}.png)]({anchor})"
        page += f"| {number} | [{title}]({anchor}): {record['claim']} "
        page += f"| {word(record)} | {thumbnail} |\n"
    for record in found:
        number, name = record["name"].split("_", 1)
        page += f"\n## {number} {name.replace('_', ' ')}\n\n{record['claim']}\n\n"
        page += told(record)
        page += f"![{record['caption']}](claims/{record['name']}.png)\n\n{record['caption']}\n\n"
        page += "".join(table(each) for each in record["tables"])
        notes = " ".join(record["notes"])
        page += f"{record['seeds']} seeds. {notes} ".rstrip() + "\n\n"
        page += f"```\npython examples/claims/{record['name']}.py\n```\n"
    return page


def gallery_page(found: list[dict[str, Any]]) -> str:
    """Every figure with its caption."""
    page = GALLERY
    for record in found:
        page += f"\n![{record['caption']}](claims/{record['name']}.png)\n\n"
        page += f"{record['caption']} (`examples/claims/{record['name']}.py`)\n"
    return page


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--page", action="store_true", help="run nothing")
    arguments = parser.parse_args()
    for lesson in [] if arguments.page else LESSONS:
        subprocess.run([sys.executable, str(lesson), "--out", str(RECORDS)], check=True)
    found = records()
    (DOCS / "claims.md").write_text(claims_page(found), encoding="utf-8")
    (DOCS / "gallery.md").write_text(gallery_page(found), encoding="utf-8")
    print(f"{len(found)} claims: {DOCS / 'claims.md'}")


if __name__ == "__main__":
    main()
