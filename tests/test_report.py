"""The page's blocks: what they hold is there as text, and nothing breaks the page."""

import itertools
import re
from html.parser import HTMLParser
from pathlib import Path

import matplotlib
import numpy as np
import pytest

import kcnn.report
from kcnn.report import (
    Cell,
    Code,
    Columns,
    Definitions,
    Findings,
    Heading,
    Matrix,
    Note,
    Page,
    Picture,
    Pictures,
    Plot,
    Row,
    Section,
    Table,
    write_page,
)
from kcnn.report.axes import curve
from kcnn.report.canvas import axes
from kcnn.report.pictures import data_uri
from kcnn.report.words import duration, loss, num, percent, rate

VOID = {"meta", "link", "img", "br"}


class Parsed(HTMLParser):
    """The page as a browser takes it: attributes of each tag, visible text, balance of tags."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.open, self.text = [], [], ""
        self.feed(html)
        assert not self.open, self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data):
        if "style" not in self.open:
            self.text += data

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def line(name="line"):
    def draw(figure, colors):
        curve(axes(figure, colors, x="x", y="y"), np.arange(5.0), colors["c1"], "a line")

    return Plot(name, "A line", "A line that rises from 0 to 4 in five steps.", "Up.", draw)


FINDING = {
    "check": "c",
    "severity": "warning",
    "seen": "seen this",
    "expected": "expected that",
    "advice": "do it",
    "cause": "lr_too_high",
    "where": "learning_rate",
}


def every_block(word="word"):
    image = data_uri(np.zeros((8, 8, 1)))
    rows = (
        Row((Cell("0.1", 0.1, "c1"), word), "best"),
        Row((Cell("–", float("nan")), Cell("b"))),
    )
    return [
        Note(word),
        Note(word, strong=True),
        Heading(word),
        Code("Code", f"print({word!r})"),
        Findings([{**FINDING, "seen": word}]),
        Table("A table", ("Rate", "Word"), rows, frozenset({0}), sortable=True),
        Definitions((("Term", word),)),
        Pictures((Picture(image, word, word, image, word, pixelated=True),)),
        Matrix(
            (word, "b"), (((3, 0.75, True), (1, 0.25, False)), ((0, 0.0, False), (2, 1.0, True)))
        ),
        Columns(((line(),), (Note(word),)), wide=True),
    ]


def page_of(blocks, **changes):
    options = {
        "title": "It trained",
        "tone": "ok",
        "subject": "digits",
        "overline": ("kcnn run", "digits"),
        "facts": (("Test accuracy", "98.1%", "of 360"),),
        "advice": ("What next", "Nothing.", "step-one"),
        "path": (("One", "ok", "step-one"), ("Two", "", "")),
        "sections": [Section("step-one", "1. One", blocks, "Why", "ok", 3.0)],
        "settings": (("seed", "0"),),
        "command": "kcnn recipe --out x",
        "foot": ("Keras 3",),
    }
    return Page(**{**options, **changes})


def written(folder, blocks, **changes):
    html = write_page(page_of(blocks, **changes), folder / "report.html").read_text("utf-8")
    return html, Parsed(html)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    return written(tmp_path_factory.mktemp("page"), every_block())


def test_the_page_needs_nothing_but_itself(page):
    html, parsed = page
    assert len(parsed.all("script")) == 1
    assert not parsed.all("iframe")
    for tag, attributes in parsed.tags:
        for name in ("src", "href", "xlink:href"):
            target = attributes.get(name)
            assert target is None or target.startswith(("data:", "#")), (tag, target)
    assert not re.search(r"@import|url\((?!#)", html)
    policy = parsed.all("meta")[2]["content"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy.split("script-src")[1]


def test_ids_are_unique_and_every_reference_is_met(page):
    html, parsed = page
    ids = [attributes["id"] for _, attributes in parsed.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    wanted = set(re.findall(r'(?:href="#|url\(#)([^")]+)', html))
    wanted |= {a["aria-labelledby"] for _, a in parsed.tags if "aria-labelledby" in a}
    assert wanted <= set(ids)
    assert wanted


def test_pictures_speak_to_those_who_do_not_see_them(page):
    _, parsed = page
    assert all(image.get("alt") for image in parsed.all("img"))
    drawings = [a for a in parsed.all("svg") if a.get("aria-hidden") != "true"]
    assert [a["role"] for a in drawings] == ["img"]
    assert all(len(a["aria-label"]) > 30 for a in drawings)
    levels = [int(tag[1]) for tag, _ in parsed.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels.count(1) == 1
    assert all(b <= a + 1 for a, b in itertools.pairwise(levels))


def test_all_that_the_blocks_hold_is_text_on_the_page(page):
    _, parsed = page
    for wanted in ("word", "expected that", "lr too high", "do it", "0.1", "best", "A line", "Up."):
        assert wanted in parsed.text, wanted
    for wanted in ("98.1%", "not reached", "kcnn recipe --out x", "Keras 3", "Why", "3.0 s"):
        assert wanted in parsed.text, wanted


def test_sortable_columns_have_buttons_and_numbers(page):
    html, parsed = page
    assert len(parsed.all("button")) == 2
    values = [a["data-value"] for a in parsed.all("td") if "data-value" in a]
    assert values == ["0.1", ""]  # what is no number comes last
    assert html.count("<tr class=best>") == 1


EVIL = ('<script>alert("1")</script>', '"><img src=x onerror=alert(1)>', "a & b", "x" * 300)


@pytest.mark.parametrize("evil", EVIL)
def test_words_are_text_never_markup(tmp_path, evil):
    _, parsed = written(tmp_path, every_block(evil), title=evil, overline=(evil,), command=evil)
    assert len(parsed.all("script")) == 1
    assert all(image["src"].startswith("data:") for image in parsed.all("img"))
    assert evil in parsed.text
    assert "onerror" not in {name for _, attributes in parsed.tags for name in attributes}


def test_plots_take_their_colors_from_the_page(page):
    html, _ = page
    (drawing,) = re.findall(r'<svg role="img".*?</svg>', html, flags=re.S)
    used = set(re.findall(r"#[0-9a-f]{6}\b", drawing)) - set(
        re.findall(r'(?:href=")(#[0-9a-f]{6})', drawing)
    )
    assert not used, used  # a fixed color would not follow the dark setting
    assert "var(--c1)" in drawing
    assert "<style" not in drawing


def colors(block):
    return dict(re.findall(r"--([a-z0-9-]+): (#[0-9a-f]{6});", block))


def contrast(a, b):
    """Contrast ratio of two colors, WCAG 2.2, 'relative luminance'."""

    def luminance(color):
        parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))

    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("setting", ["light", "dark"])
def test_text_and_lines_stand_out_in_light_and_dark(setting):
    css = (Path(kcnn.report.__file__).parent / "report.css").read_text()
    light, dark = css.split("prefers-color-scheme: dark", 1)
    named = colors(light if setting == "light" else dark.split("* {")[0])
    for text in ("ink", "muted"):
        for ground in ("page", "card", "sunk", "good-tint", "warn-tint", "bad-tint", "plain-tint"):
            assert contrast(named[text], named[ground]) >= 4.5, (text, ground)
    for tone in ("good", "warn", "bad"):
        assert contrast(named[tone], named[f"{tone}-tint"]) >= 4.5, tone
        assert contrast(named[tone], named["card"]) >= 4.5, tone
    assert contrast(named["accent"], named["plain-tint"]) >= 4.5
    for name in (f"c{i}" for i in range(1, 9)):
        assert contrast(named[name], named["card"]) >= 3.0, name


@pytest.mark.parametrize("shape", [(8, 8, 1), (32, 32, 3), (400, 300, 3), (8, 8, 4), (8, 8, 2)])
def test_images_of_any_kind_become_small_uris(shape):
    noise = np.random.default_rng(0).integers(0, 256, shape)
    uri = data_uri(noise)
    assert uri.startswith("data:image/")
    assert len(uri) < 40_000


def test_drawing_leaves_matplotlib_as_it_was_and_repeats_itself(tmp_path):
    before = dict(matplotlib.rcParams)
    first, _ = written(tmp_path, every_block())
    assert dict(matplotlib.rcParams) == before
    assert written(tmp_path, every_block())[0] == first


def test_a_failed_write_keeps_the_page_before(tmp_path, monkeypatch):
    page = write_page(page_of([]), tmp_path / "report.html")
    before = page.read_bytes()
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_page(page_of([Note("new")]), tmp_path / "report.html")
    assert page.read_bytes() == before
    assert [f.name for f in tmp_path.iterdir()] == ["report.html"]


@pytest.mark.parametrize(
    ("show", "value", "text"),
    [
        (rate, 1e-5, "1e-5"),
        (rate, 0.00032, "3.2e-4"),
        (rate, 0.1, "0.1"),
        (rate, None, "–"),
        (percent, 0.98056, "98.1%"),
        (percent, 0.99999, "99.9%"),  # not all of them
        (percent, 1.0, "100%"),
        (num, 2.302585, "2.303"),
        (num, 0.00001, "1e-5"),
        (loss, 8.94e-8, "8.94e-8"),
        (num, float("inf"), "∞"),
        (num, {"float": "nan"}, "–"),
        (duration, 3661, "1 h 01 min"),
        (duration, 182.4, "3 min 02 s"),
        (duration, 0.4, "0.4 s"),
        (duration, 0.0, "under 0.1 s"),
    ],
)
def test_numbers_read_well(show, value, text):
    assert show(value) == text
