"""The page of made-up runs: what is on record is there, in a real browser too."""

import copy
import html as html_words
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from _runs import ADVICE, NAMES, images, record, write

from kcnn.recipe import RecipeError, write_report
from kcnn.recipe.page import headline
from kcnn.report.words import percent, rate


def page(folder, data, arrays=None):
    text = write_report(write(folder, data, arrays)).read_text("utf-8")
    words = re.sub(r"<(style|script).*?</\1>", "", text, flags=re.S)
    words = html_words.unescape(re.sub(r"<[^>]+>", " ", words))
    return text, " ".join(words.split())


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    return (*page(folder, record(), images()), folder / "report.html")


def test_the_page_says_what_the_record_holds(finished):
    _, words, _ = finished
    data = record()
    assert "It trained, with one warning" in words
    assert percent(data["test"]["accuracy"]) in words
    for step in data["steps"]:
        assert step["title"] in words
        for said in step["findings"]:
            assert said["seen"] in words
            assert said["expected"] in words
    for row in data["steps"][2]["result"]["curves"]:
        assert row["verdict"] in words
        assert row["reason"] in words
    assert data["command"] in words
    assert "086a346093da419f" in words
    assert "batch size 64 by data size" in words
    assert data["config"]["seed"] == 0
    assert "seed 0" in words
    for wanted in ("keras 3.15.1", "3 min 02 s", "2025-11-23 11:40 UTC", ADVICE):
        assert wanted in words


def test_the_pick_and_the_best_are_marked_once_each(finished):
    text, _, _ = finished
    rows = re.findall(r"<tr class=best>(.*?)</tr>", text)
    assert len(rows) == 3  # rate, trial, longer run
    assert "0.01 <" in rows[0]
    search = record()["steps"][3]["result"]
    best = search["trials"][search["best"]]
    assert f">{best['number']} <" in rows[1]
    assert rate(best["hp"]["learning_rate"]) in rows[1]
    assert ">2 <" in rows[2]


def test_every_plot_of_a_whole_run_is_there(finished):
    text, _, _ = finished
    labels = re.findall(r'<svg role="img" aria-label="([^"]*)"', text)
    assert len(labels) == 10  # sample, rates, four slices, parallel, refinement, loss, accuracy
    assert len(set(labels)) == 10
    assert "overfitting from 15" in text


@pytest.mark.parametrize("steps", range(6))
def test_an_interrupted_run_shows_what_it_has(tmp_path, steps):
    _, words = page(tmp_path, record(steps=steps))
    done = f"{steps} of 6 steps done" if steps else "no step done yet"
    assert f"Interrupted: {done}" in words
    assert words.count("not reached") == 6 - steps
    assert "not measured" in words


def test_a_step_of_another_version_is_said_and_the_rest_is_shown(tmp_path):
    data = record()
    data["steps"][1]["schema"] = 7
    del data["steps"][2]["result"]["curves"]
    _, words = page(tmp_path, data)
    assert "can't be read: version 7, known is 1" in words
    assert "LearningRates has no 'curves'" in words
    assert "best of 8 trials" in words


def test_nan_and_infinite_losses_leave_gaps_not_crashes(tmp_path):
    data = record(overfit=False)
    run = data["steps"][4]["result"]["runs"][1]["history"]
    run["val_loss"] = (*run["val_loss"][:3], None, float("nan"), float("inf"), *run["val_loss"][6:])
    data["steps"][5]["result"]["history"]["loss"] = [None] * 30
    data["steps"][1]["result"]["losses"] = [2.3, None, 1e30, float("nan")]
    for row in data["steps"][2]["result"]["curves"]:
        row["losses"] = [None] * 100
    data["test"]["loss"] = None
    text, words = page(tmp_path, data)
    assert "then NaN or infinite" in text
    assert "nan" not in words.split()
    assert 'id="learning-rates-' not in text  # nothing to draw there


def test_a_single_epoch_and_a_single_trial_are_drawn(tmp_path):
    text, _ = page(tmp_path, record(epochs=1, trials=1, overfit=False))
    assert 'id="loss-' in text
    assert 'id="search-' not in text  # nothing to compare


@pytest.mark.parametrize("classes", [2, 20, 21, 1000])
def test_any_number_of_classes_has_its_tables(tmp_path, classes):
    names = [f"a class with number {i} and a long name" for i in range(classes)]
    data = record(names=names, errors=0.3)
    text, words = page(tmp_path, data, images((64, 64, 3), classes=classes))
    cells = re.findall(r'<td class="(?:hit|miss|zero)"', text)
    assert len(cells) == (classes**2 if classes <= 20 else 0)
    assert "Most confused" in words
    assert len(text) < 3_000_000
    assert (tmp_path / "result.json").stat().st_size < 300_000


def test_the_most_confused_pair_comes_first_and_the_worst_images_are_shown(finished):
    text, words, _ = finished
    true, said, n = record()["test"]["confused"][0]
    table = text[text.index("Most confused") :]
    first = re.findall(r"<td[^>]*>(.*?)</td>", table)[:3]
    assert first == [NAMES[true], NAMES[said], str(n)]
    assert words.count(", is digit") == 12


def test_no_mistake_at_all_is_said(tmp_path):
    assert "Not a single mistake" in page(tmp_path, record(errors=0.0))[1]


def test_a_damaged_images_file_is_left_out(tmp_path):
    write(tmp_path, record())
    (tmp_path / "samples.npz").write_bytes(b"PK\x03\x04 not an archive")
    assert "<img" not in write_report(tmp_path).read_text("utf-8")


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(RecipeError, match=r"no result\.json"):
        write_report(tmp_path)
    for text, message in (("{", "no valid JSON"), ("[1]", "no record"), ("{}", "no status")):
        (tmp_path / "result.json").write_text(text)
        with pytest.raises(RecipeError, match=message):
            write_report(tmp_path)


def with_findings(*severities, status="finished"):
    data = copy.deepcopy(record(overfit=False))
    data["status"], data["steps"] = status, data["steps"][: len(severities)]
    for step, severity in zip(data["steps"], severities, strict=True):
        step["status"] = severity
        step["findings"][0].update(severity=severity, advice=f"do {step['number']}")
    return data


@pytest.mark.parametrize(
    ("data", "tone", "title", "advice"),
    [
        (record(overfit=False), "ok", "It trained", ""),
        (record(), "warning", "It trained, with one warning", ADVICE),
        (with_findings("ok", "warning", "warning"), "warning", "2 warnings", "do 2"),
        (with_findings("warning", "failure", status="stopped"), "failure", "step 2 failed", "do 2"),
        (with_findings("warning", "failure", "ok"), "failure", "but step 2", "do 2"),
        (with_findings("ok", "ok", status="interrupted"), "unfinished", "2 of 6", ""),
        (with_findings(status="running"), "unfinished", "Still running", ""),
    ],
)  # fmt: skip
def test_the_headline_tells_the_verdict_and_the_first_cause(data, tone, title, advice):
    said = headline(data)
    assert said[0] == tone
    assert title in said[1]
    assert said[2][0] == advice


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
BROWSER = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium installed")


def browse(html, folder, *, width=1100, probe="page_faults"):
    """The page after its scripts in headless Chromium, and what its console said."""
    import base64
    import hashlib

    script = (Path(__file__).parent / f"{probe}.js").read_text()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    probed = html.replace("script-src '", f"script-src 'sha256-{digest}' '", 1)
    probed = probed.replace("</body>", f"<script>{script}</script></body>")
    file = folder / f"probed-{width}.html"
    file.write_text(probed, encoding="utf-8")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"]
    done = subprocess.run(
        [CHROMIUM, *options, f"--window-size={width},900", f"--user-data-dir={folder}/profile",
         "--virtual-time-budget=4000", "--dump-dom", file.as_uri()],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip

    title = re.search(r"<title>(probe: .*?)</title>", done.stdout)
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return title.group(1) if title else done.stdout[:500], console


@BROWSER
@pytest.mark.parametrize("width", [1100, 500])
def test_in_a_real_browser_tables_sort_images_load_and_the_console_is_silent(
    finished, tmp_path, width
):
    said, console = browse(finished[0], tmp_path, width=width)
    assert said.startswith("probe: 0 faults"), said
    assert "tables 3; images 36; overflow 0" in said
    assert console == []


@BROWSER
@pytest.mark.parametrize("dark", [False, True])
def test_every_text_stands_out_from_its_background(finished, tmp_path, dark):
    html = finished[0]
    query = "@media screen and (prefers-color-scheme: dark)"
    assert query in html
    html = html.replace(query, "@media screen" if dark else "@media print")
    said, _ = browse(html, tmp_path, probe="page_contrast")
    assert said.startswith("probe: 0 faults of "), said
    assert int(re.search(r"of (\d+)", said)[1]) > 200
