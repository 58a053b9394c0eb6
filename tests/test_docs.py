"""The documentation says what is there: links, names, options, and code that runs."""

import importlib
import os
import pkgutil
import re
import subprocess
import sys
import zlib
from pathlib import Path

import click
import pytest

import kcnn
from kcnn_cli import main

ROOT = Path(__file__).parent.parent
PAGES = sorted(p for p in (ROOT / "docs").rglob("*.md") if p.parent.name != "causes")
TEXTS = [*PAGES, ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
ROOMS = [
    "kcnn.callbacks.causes",
    *(
        f"kcnn.{room.name}"
        for room in pkgutil.iter_modules(kcnn.__path__)
        if not room.name.startswith("_") and room.name != "cli"
    ),
]
FENCE = re.compile(r"^[ ]*```([^\n]*)\n(.*?)^[ ]*```[ ]*$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
LINK = re.compile(r"\]\(([^)\s]+)\)|\{download\}`[^`<]*<([^`>]+)>`")
NAME = re.compile(r"\bkcnn(?:\.[A-Za-z]\w*)+")
PLACE = re.compile(r"(?:kcnn|callbacks|tests|examples|benchmarks|docs)/[\w./-]*")
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")


def named(pages):
    return pytest.mark.parametrize("page", pages, ids=lambda p: str(p.relative_to(ROOT)))


def commands(page):
    """Every line of the page's code that calls the command `kcnn`, as words."""
    text = page.read_text(encoding="utf-8")
    blocks = [body for kind, body in FENCE.findall(text) if not kind.startswith("python")]
    lines = [line for body in blocks for line in body.splitlines()]
    lines += INLINE.findall(FENCE.sub("", text))
    return [line.split() for line in map(str.strip, lines) if line.startswith("kcnn ")]


def options_of(command):
    return {o for p in command.params for o in (*p.opts, *p.secondary_opts)} | {"--help"}


def exists(name):
    """Whether a dotted name leads to a module, or to something in one."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:length]))
        except ImportError:
            continue
        for part in parts[length:]:
            if not hasattr(found, part):
                return False
            found = getattr(found, part)
        return True
    return False


@named(TEXTS)
def test_every_link_has_a_target(page):
    links = ["".join(pair) for pair in LINK.findall(FENCE.sub("", page.read_text("utf-8")))]
    near = [link.partition("#")[0] for link in links if "://" not in link]
    assert [link for link in near if not (page.parent / link).exists()] == []


@named(TEXTS)
def test_every_file_that_is_named_is_there(page):
    words = INLINE.findall(FENCE.sub("", page.read_text("utf-8")))
    places = [m.group() for word in words for m in PLACE.finditer(word) if m.start() == 0]
    assert [place for place in places if not (ROOT / place).exists()] == []


@named(TEXTS)
def test_every_name_of_the_package_is_there(page):
    prose = FENCE.sub("", page.read_text(encoding="utf-8"))
    assert [name for name in NAME.findall(prose) if not exists(name)] == []


@named(TEXTS)
def test_every_command_and_its_options_are_there(page):
    wrong = []
    for _, *words in commands(page):
        while words and words[0] in options_of(main):
            words.pop(0)
        if not words:
            continue
        command = main.commands.get(words[0])
        known = options_of(command) if command else set()
        wrong += [words[0]] if command is None else []
        asked = [o for word in words for o in OPTION.findall(word)]
        wrong += [f"{words[0]} {option}" for option in asked if option not in known]
    alone = [w for w in INLINE.findall(FENCE.sub("", page.read_text("utf-8"))) if w[:2] == "--"]
    known = options_of(main).union(*(options_of(c) for c in main.commands.values()))
    wrong += [word for word in alone if not set(OPTION.findall(word)) <= known]
    assert wrong == []


def test_the_checks_find_what_is_not_there():
    assert not exists("kcnn.models.resnet51")
    assert not exists("kcnn.nowhere")
    assert "--resume" in options_of(main.commands["recipe"])
    assert "--resumes" not in options_of(main.commands["recipe"])
    assert isinstance(main, click.Group)


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_has_its_page(room):
    pages = (ROOT / "docs" / "reference").glob("*.md")
    directives = [line for page in pages for line in page.read_text("utf-8").splitlines()]
    assert f".. automodule:: {room}" in directives


def test_every_page_is_in_the_navigation():
    trees = [body for page in PAGES for kind, body in FENCE.findall(page.read_text("utf-8"))]
    listed = {Path(line).name for body in trees for line in body.split()}
    assert [p.name for p in PAGES if p.stem not in listed and p.stem != "index"] == []


def test_every_benchmark_is_on_the_page_with_its_command():
    page = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    scripts = [p for p in (ROOT / "benchmarks").glob("*.py") if p.name[0] != "_"]
    scripts += [ROOT / "benchmarks" / "doctor" / name for name in ("run.py", "verify.py")]
    paths = [str(script.relative_to(ROOT)) for script in scripts]
    names = [(path, path.removesuffix(".py").replace("/", ".")) for path in paths]
    told = INLINE.findall(page)
    missing = [
        path
        for path, module in names
        if not any(t.startswith((f"python {path}", f"python -m {module}")) for t in told)
    ]
    assert missing == []


def test_the_citation_names_this_version():
    lines = (ROOT / "CITATION.cff").read_text(encoding="utf-8").splitlines()
    assert f"version: {kcnn.__version__}" in lines


@pytest.mark.slow
@named([page for page in PAGES if "```python\n" in page.read_text(encoding="utf-8")])
def test_the_blocks_of_a_page_run_in_order(page, tmp_path):
    blocks = [body for kind, body in FENCE.findall(page.read_text("utf-8")) if kind == "python"]
    script = tmp_path / "page.py"
    script.write_text("\n".join(blocks), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=500,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "KCNN_CACHE": str(tmp_path / "cache"),
            "TF_CPP_MIN_LOG_LEVEL": "3",
        },
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]


def test_the_site_is_built_without_a_warning_and_names_everything_public(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-qW", "--keep-going", "docs", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    inventory = (tmp_path / "objects.inv").read_bytes().split(b"\n", 4)[4]
    told = {line.split(" ")[0] for line in zlib.decompress(inventory).decode().splitlines()}
    rooms = [(room, importlib.import_module(room)) for room in ROOMS]
    public = {f"{at}.{name}": getattr(room, name) for at, room in rooms for name in room.__all__}
    shown = {id(public[name]) for name in told & set(public)}  # a name of two rooms is told once
    assert sorted(name for name, thing in public.items() if id(thing) not in shown) == []
