"""The report of made-up runs: what is on record is there, and nothing breaks the page."""

import copy
import itertools
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from _runs import NAMES, confusion, finding, record, samples, write
from PIL import Image

import kcnn.report
from kcnn.report import write_report
from kcnn.report._load import load_run
from kcnn.report._words import duration, headline, num, percent, rate

VOID = {"meta", "link", "img", "br"}


class Page(HTMLParser):
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


def report(folder, data, arrays=None, **options):
    html = write_report(write(folder, data, arrays), plots=False, **options).read_text("utf-8")
    return html, Page(html)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return report(tmp_path_factory.mktemp("run"), record(), samples())


def test_the_page_needs_nothing_but_itself(finished):
    html, page = finished
    assert not page.all("script")
    assert not page.all("iframe")
    for tag, attributes in page.tags:
        for name in ("src", "href", "xlink:href"):
            target = attributes.get(name)
            assert target is None or target.startswith(("data:", "#")), (tag, target)
    assert not re.search(r"@import|url\((?!#)", html)
    policy = page.all("meta")[2]["content"]
    assert policy.startswith("default-src 'none'")


def test_ids_are_unique_and_every_reference_is_met(finished):
    html, page = finished
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    wanted = set(re.findall(r'(?:href="#|url\(#)([^")]+)', html))
    wanted |= {a["aria-labelledby"] for _, a in page.tags if "aria-labelledby" in a}
    assert wanted <= set(ids)
    assert len(wanted) > 20


def test_pictures_speak_to_those_who_do_not_see_them(finished):
    _, page = finished
    assert all(image.get("alt") for image in page.all("img"))
    drawings = [a for a in page.all("svg") if a.get("aria-hidden") != "true"]
    assert len(drawings) == 6
    assert all(a["role"] == "img" and len(a["aria-label"]) > 30 for a in drawings)
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b <= a + 1 for a, b in itertools.pairwise(levels))


def test_the_page_says_what_the_record_holds(finished):
    html, page = finished
    data = record()
    text = " ".join(page.text.split())
    assert "It trained, with one warning" in text
    assert percent(data["test"]["accuracy"]) in text
    for step in data["steps"]:
        assert step["title"] in text
        for said in step["findings"]:
            assert said["seen"] in text
            assert said["expected"] in text
    for row in data["steps"][2]["result"]["curves"]:
        assert row["verdict"] in text
        assert row["reason"] in text
    assert data["steps"][5]["result"]["advice"] in text
    assert "log(10) = 2.303" in html  # the line of guessing
    assert "overfitting from 15" in html  # the onset line
    for wanted in ("Keras 3.15.1", "TensorFlow 2.21.0", "3 min 02 s", "2025-11-23 11:40 UTC"):
        assert wanted in text


def test_the_pick_and_the_best_are_marked_once_each(finished):
    html, _ = finished
    rows = re.findall(r"<tr class=best>(.*?)</tr>", html)
    assert len(rows) == 3  # rate, trial, longer run
    assert ">0.01 <" in re.sub(r"<span class=.swatch.*?</span>", ">", rows[0])
    trials = record()["steps"][3]["result"]
    best = next(t for t in trials["trials"] if t["number"] == trials["best"])
    assert rows[1].startswith(f"<td>{best['number']} ")
    assert rate(best["lr"]) in rows[1]
    assert rows[2].startswith("<td>2 ")


def test_plots_take_their_colors_from_the_page(finished):
    html, _ = finished
    drawings = re.findall(r'<svg role="img".*?</svg>', html, flags=re.S)
    assert len(drawings) == 6
    for drawing in drawings:
        used = set(re.findall(r"#[0-9a-f]{6}\b", drawing)) - set(
            re.findall(r'(?:href=")(#[0-9a-f]{6})', drawing)
        )
        assert not used, used  # a fixed color would not follow the dark setting
        assert "var(--" in drawing
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
    for line in (f"c{i}" for i in range(1, 9)):
        assert contrast(named[line], named["card"]) >= 3.0, line


EVIL = ['<script>alert("1")</script>', '"><img src=x onerror=alert(1)>', "a & b", "x" * 300]


def test_class_names_and_findings_are_text_never_markup(tmp_path):
    data = record(names=EVIL)
    data["steps"][0]["findings"] = [finding("warning", EVIL[0], EVIL[1], EVIL[0])]
    data["config"]["model"] = EVIL[1]
    _, page = report(tmp_path, data, samples(classes=4))
    assert not page.all("script")
    assert all(image["src"].startswith("data:") for image in page.all("img"))
    assert EVIL[0] in page.text
    assert EVIL[1] in page.text
    assert "onerror" not in {name for _, attributes in page.tags for name in attributes}


def cut(data, steps, status):
    data = copy.deepcopy(data)
    data["steps"] = data["steps"][:steps]
    data["status"] = status
    if steps < 6:
        del data["test"], data["artifacts"]
    return data


@pytest.mark.parametrize("steps", range(7))
def test_an_interrupted_run_shows_what_it_has(tmp_path, steps):
    _, page = report(tmp_path, cut(record(), steps, "interrupted"))
    done = f"{steps} of 6 steps done" if steps else "no step done yet"
    assert f"Interrupted: {done}" in page.text
    assert page.text.count("not reached") == 6 - steps


@pytest.mark.parametrize(
    "data", [{}, {"status": "running"}, {"steps": None, "data": [], "test": 3, "config": "x"}]
)
def test_a_record_of_nothing_is_still_a_page(tmp_path, data):
    _, page = report(tmp_path, data)
    assert "not measured" in page.text


ODD = (None, "text", -1, 2.5, [], {}, [None], ["a"], True, 10**400)


def damaged(value, rng):
    """The record with about every twelfth field gone, null or of another kind."""
    if rng.random() < 0.08:
        return ODD[rng.integers(len(ODD))]
    if isinstance(value, dict):
        return {k: damaged(v, rng) for k, v in value.items() if rng.random() > 0.04}
    if isinstance(value, list):
        return [damaged(v, rng) for v in value]
    return value


@pytest.mark.parametrize("seed", range(12))
def test_no_damage_to_the_record_stops_the_page(tmp_path, seed):
    rng = np.random.default_rng(seed)
    data = damaged(record(), rng)
    report(tmp_path, data if isinstance(data, dict) else {}, samples())


def test_nan_and_infinite_losses_leave_gaps_not_crashes(tmp_path):
    data = record(overfit=False)
    history = data["steps"][4]["result"]["runs"][1]["history"]
    history["val_loss"][3:6] = [None, float("nan"), float("inf")]  # null, NaN, Infinity in JSON
    history["loss"] = [None] * len(history["loss"])
    data["steps"][1]["result"]["losses"] = [2.3, None, 1e30, float("nan")]
    for row in data["steps"][2]["result"]["curves"]:
        row["losses"] = [None] * 100
    data["test"]["loss"] = None
    html, page = report(tmp_path, data)
    assert "then NaN or infinite" in html
    assert "nan" not in " ".join(page.text.split()).split(" ")
    assert 'id="learning-rates-' not in html  # nothing to draw there


def test_a_single_epoch_and_a_single_trial_are_drawn(tmp_path):
    data = record(epochs=1, trials=1)
    data["steps"][5]["result"]["onset_epoch"] = None
    html, _ = report(tmp_path, data)
    loss = html[html.index("Loss of the best run") :]
    assert 'id="loss-' in loss


@pytest.mark.parametrize("classes", [2, 20, 21, 200])
def test_any_number_of_classes_has_its_matrix(tmp_path, classes):
    names = [f"a class with number {i} and a long name" for i in range(classes)]
    _, page = report(tmp_path, record(names=names, errors=0.3), samples(classes=classes))
    if classes <= 20:
        cells = [a for a in page.all("td") if a.get("class") in ("hit", "miss", "zero")]
        assert len(cells) == classes**2
    else:
        assert f"{classes} classes from top to bottom" in page.text
    assert "Most confused" in page.text


def test_the_most_confused_pair_comes_first(tmp_path):
    data = record()
    matrix = np.diag(np.full(10, 20))
    matrix[3, 8], matrix[8, 3] = 7, 5
    data["test"]["confusion"] = matrix.tolist()
    html, _ = report(tmp_path, data)
    table = html[html.index("Most confused") :]
    first = re.findall(r"<td[^>]*>(.*?)</td>", table)[:8]
    assert first == [NAMES[3], NAMES[8], "7", "25.9%", NAMES[8], NAMES[3], "5", "20.0%"]


def test_no_mistake_at_all_is_said(tmp_path):
    data = record()
    data["test"]["confusion"] = confusion(np.random.default_rng(0), 10, errors=0.0)
    assert "Not a single mistake" in report(tmp_path, data)[1].text


@pytest.mark.parametrize("shape", [(8, 8, 1), (32, 32, 3), (400, 300, 3), (8, 8, 4), (8, 8, 2)])
def test_sample_images_of_any_kind_are_shown_in_pairs(tmp_path, shape):
    html, page = report(tmp_path, record(), samples(shape, count=4))
    assert len(page.all("img")) == 8
    assert len(html) < 1_500_000


def test_a_damaged_samples_file_is_left_out(tmp_path):
    write(tmp_path, record())
    (tmp_path / "samples.npz").write_bytes(b"PK\x03\x04 not an archive")
    assert not Page(write_report(tmp_path, plots=False).read_text("utf-8")).all("img")


def test_plots_are_also_png_files_on_white(tmp_path):
    write_report(write(tmp_path, record()))
    names = sorted(file.stem for file in (tmp_path / "plots").iterdir())
    assert names == ["accuracy", "learning-rates", "loss", "refinement", "search", "small-sample"]
    with Image.open(tmp_path / "plots" / "loss.png") as picture:
        assert picture.width in (1007, 1008)  # older matplotlib truncates
        assert picture.convert("RGB").getpixel((0, 0)) == (255, 255, 255)


def test_drawing_leaves_matplotlib_as_it_was_and_repeats_itself(tmp_path):
    before = dict(matplotlib.rcParams)
    first, _ = report(tmp_path, record(), samples())
    assert dict(matplotlib.rcParams) == before
    assert report(tmp_path, record(), samples())[0] == first


def test_a_failed_write_keeps_the_page_before(tmp_path, monkeypatch):
    page = write_report(write(tmp_path, record()), plots=False)
    before = page.read_bytes()
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_report(write(tmp_path, {}), plots=False)
    assert page.read_bytes() == before
    assert sorted(f.name for f in tmp_path.iterdir()) == ["report.html", "result.json"]


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no result\.json"):
        write_report(tmp_path)
    for text, message in (("{", "no valid JSON"), ("[1]", "list")):
        (tmp_path / "result.json").write_text(text)
        with pytest.raises(ValueError, match=message):
            write_report(tmp_path)


OVERFIT_ADVICE = record()["steps"][5]["result"]["advice"]


def with_findings(*per_step, status="finished"):
    data = cut(record(overfit=False), len(per_step), status)
    for step, severity in zip(data["steps"], per_step, strict=True):
        step["status"] = severity
        step["findings"] = [finding(severity, "seen", "expected", f"do {step['number']}")]
    return data


@pytest.mark.parametrize(
    ("data", "tone", "title", "advice"),
    [
        (record(overfit=False), "ok", "It trained", ""),
        (record(), "warning", "It trained, with one warning", OVERFIT_ADVICE),
        (with_findings("ok", "warning", "warning"), "warning", "2 warnings", "do 2"),
        (with_findings("warning", "failure", status="stopped"), "failure", "step 2 failed", "do 2"),
        (with_findings("warning", "failure", "ok"), "failure", "but step 2", "do 2"),
        (with_findings("ok", "ok", status="interrupted"), "unfinished", "2 of 6", ""),
        ({"status": "running", "steps": []}, "unfinished", "Still running", ""),
    ],
)  # fmt: skip
def test_the_headline_tells_the_verdict_and_the_first_cause(tmp_path, data, tone, title, advice):
    said = headline(load_run(write(tmp_path, json.loads(json.dumps(data)))))
    assert said.tone == tone
    assert title in said.title
    assert said.advice == advice


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
