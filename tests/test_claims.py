"""The lessons of examples/claims: their verdicts follow the numbers, and each runs."""

import importlib.util
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "examples" / "claims"
LESSONS = sorted(FOLDER.glob("[0-9]*.py"))
QUICK = ("01",)  # seconds; the others take longer
PAGES = [(255, 255, 255), (19, 20, 22)]  # furo's light and dark backgrounds


@pytest.fixture(autouse=True)
def beside(monkeypatch):
    """The lessons import what lies beside them, as scripts do."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(FOLDER))
    yield
    for name in {"lesson", "style", "images", "faults"} - before:
        sys.modules.pop(name, None)


def module(path):
    spec = importlib.util.spec_from_file_location(f"claim_{path.stem}", path)
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def lessons():
    for path in LESSONS:
        slow = [] if path.name[:2] in QUICK else [pytest.mark.slow]
        yield pytest.param(path, id=path.stem, marks=slow)


@pytest.mark.parametrize("path", lessons())
def test_a_lesson_runs_and_ends_in_its_verdict(path, tmp_path, capsys):
    import lesson

    lesson.run(
        module(path).main, module(path).__doc__, str(path), ["--quick", "--out", str(tmp_path)]
    )
    last = capsys.readouterr().out.strip().splitlines()[-1]
    assert re.match(r"claim: (holds \(|holds only when |does not hold here, because )", last)
    record = json.loads((tmp_path / f"{path.stem}.json").read_text(encoding="utf-8"))
    assert all(part in last for part in record["holds"] + record["fails"])
    assert (tmp_path / f"{path.stem}.png").read_bytes()[:4] == b"\x89PNG"
    assert all(len(row) == len(t["columns"]) for t in record["tables"] for row in t["rows"])


@pytest.mark.parametrize(
    ("margins", "begins"),
    [
        ([[1.0, 2.0]], "holds (it is so: +1.5 points (1 to 2))"),
        ([[1.0, 2.0], [-1.0, 3.0]], "holds only when it is so: +1.5 points (1 to 2). But when"),
        ([[-1.0, 3.0]], "does not hold here, because when it is so, it fails: +1 points (-1 to 3)"),
        ([[0.0]], "does not hold here, because"),
        ([[float("nan"), 1.0]], "does not hold here, because"),
    ],
)
def test_a_claim_holds_where_it_comes_out_in_every_seed(margins, begins):
    from lesson import Point, verdict

    points = [Point("it is so", m, " points", "it fails") for m in margins]
    assert verdict(points).startswith(begins)


def luminance(color):
    channels = np.asarray(color) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def test_the_colors_read_on_a_white_page_and_on_a_dark_one():
    """Contrast as WCAG 2.2 counts it: 3 for lines and shapes, 4 for text."""
    from style import COLORS

    for name, color in COLORS.items():
        if name == "grid":
            continue
        own = luminance([int(color[i : i + 2], 16) for i in (1, 3, 5)])
        for page in map(luminance, PAGES):
            contrast = (max(own, page) + 0.05) / (min(own, page) + 0.05)
            assert contrast >= (4.0 if name in ("ink", "muted") else 3.0), (name, contrast)


def test_the_pages_show_every_lesson_as_it_was_kept():
    pages = module(FOLDER / "__main__.py")
    found = pages.records()
    assert {record["name"] for record in found} == {path.stem for path in LESSONS}
    assert not any(record["quick"] or record["seeds"] < 3 for record in found)
    for name, text in (
        ("claims", pages.claims_page(found)),
        ("gallery", pages.gallery_page(found)),
    ):
        assert (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8") == text
    for record in found:
        assert (ROOT / "docs" / "claims" / f"{record['name']}.png").stat().st_size < 60_000
