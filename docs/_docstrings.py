"""From the Markdown of our docstrings to the reStructuredText that autodoc reads.

Docstrings are written for `help()`: lists follow their sentence at once, tables have bars, and
`name: what it is` at the margin describes an argument.
"""

import re

__all__ = ["setup"]

ARGUMENT = re.compile(r"\*{0,2}[a-z_]\w*(, \*{0,2}[a-z_]\w*)*: \S")
SECTION = re.compile(r"(Args|Call arguments|Returns|Raises|Attributes|Yields|Notes?|Examples?):$")
CODE = re.compile(r"(`[^`]*`)")


def paragraph(lines: list[str]) -> list[str]:
    """One paragraph of a docstring, rewritten."""
    if lines[0].startswith("|"):
        return table(lines)
    margin = [line for line in lines if not line.startswith(" ")]
    if margin and all(ARGUMENT.match(line) for line in margin):
        return ["Args:", *(f"    {line}" for line in lines)]
    out: list[str] = []
    for before, line in zip(["", *lines], lines, strict=False):
        deeper = before != "" and depth(line) > depth(before)
        if is_item(line) and before and not is_item(before) and depth(before) <= depth(line):
            out.append("")  # a list begins
        elif deeper and depth(before) == 0 and not is_item(before) and not is_section(before):
            out[-1] = out[-1].removesuffix(":") + "::"  # what is indented stays as it is written
            out.append("")
        elif depth(line) == 0 < depth(before) and not is_item(line):
            out.append("")  # a list or a block ends
        out.append(line)
    return out


def table(lines: list[str]) -> list[str]:
    """A Markdown table as a list-table."""
    rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in lines]
    width = max(map(len, rows))
    out = [".. list-table::", "   :header-rows: 1", ""]
    for row in rows[:1] + rows[2:]:
        first, *others = row + [""] * (width - len(row))
        out += [f"   * - {first}", *(f"     - {cell}" for cell in others)]
    return out


def depth(line: str) -> int:
    return len(line) - len(line.lstrip())


def is_item(line: str) -> bool:
    return line.lstrip().startswith("- ")


def is_section(line: str) -> bool:
    return SECTION.match(line) is not None


def escaped(line: str) -> str:
    """Stars and trailing underscores outside of `code` as plain characters."""
    if line.lstrip().startswith(">>>"):
        return line
    parts = CODE.split(line)
    for i in range(0, len(parts), 2):
        stars = re.sub(r"\*+(?=\S)", lambda found: r"\*" * len(found.group()), parts[i])
        parts[i] = re.sub(r"(?<=\w)_(?=\W|$)", r"\\_", stars)
    return "".join(parts)


def rewrite(lines: list[str]) -> list[str]:
    """A whole docstring, rewritten."""
    out: list[str] = []
    part: list[str] = []
    for line in [*lines, ""]:
        if line.strip():
            part.append(escaped(line))
        elif part:
            out += [*paragraph(part), ""]
            part = []
    return out


def setup(app):
    def process(app, what, name, thing, options, lines):
        # napoleon takes what stands before a colon in the first line of a property for its type
        lines[:] = [""] * (what in ("property", "attribute")) + rewrite(lines)

    app.connect("autodoc-process-docstring", process, priority=400)  # before napoleon's 500
    return {"parallel_read_safe": True}
