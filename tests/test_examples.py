"""Every example runs as a user would run it."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("[0-9]*.py"))


def run_example(path, *args):
    done = subprocess.run(
        [sys.executable, str(path), *args],
        capture_output=True,
        text=True,
        timeout=500,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"},
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_first_model_learns_the_digits():
    printed = run_example(ROOT / "examples" / "01_first_model.py", "--epochs", "6")
    accuracy = float(re.search(r"test accuracy ([\d.]+)%", printed).group(1))
    assert accuracy > 85  # chance is 10


def test_the_recipe_runs_from_python(tmp_path):
    printed = run_example(ROOT / "examples" / "02_recipe.py", "--out", str(tmp_path))
    true, served = re.findall(r"(?:true|served) +\[([\d ]+)\]", printed)
    assert sum(a == b for a, b in zip(true.split(), served.split(), strict=True)) >= 4
    assert (tmp_path / "run" / "report.html").stat().st_size > 10_000


def test_a_pyramid_on_features_tells_scattered_digits_apart():
    example = ROOT / "examples" / "07_segmentation.py"
    printed = run_example(example, "--epochs", "6", "--canvases", "320")
    assert "1/4: 64 channels after stage_3_block_3" in printed
    rightly = float(re.search(r"named rightly: ([\d.]+)%", printed).group(1))
    assert rightly > 20  # chance among ten digits is 10


def test_augmentation_is_drawn_and_mixed_digits_are_learned(tmp_path):
    sheet = tmp_path / "sheet.png"
    printed = run_example(ROOT / "examples" / "05_augmentation.py", "--out", str(sheet))
    assert float(re.search(r"test accuracy ([\d.]+)%", printed).group(1)) > 80  # chance is 10
    assert sheet.stat().st_size > 100_000


def test_an_exported_network_names_jpeg_files(tmp_path):
    printed = run_example(
        ROOT / "examples" / "04_export.py", "--epochs", "6", "--out", str(tmp_path)
    )
    assert float(re.search(r"named rightly: ([\d.]+)%", printed).group(1)) > 80  # chance is 10
    assert (tmp_path / "digits" / "1" / "saved_model.pb").is_file()


def test_a_digit_is_served():
    printed = run_example(ROOT / "examples" / "06_serve.py", "--epochs", "4")
    shown, answered = re.search(r"shown (\d), answered (\d)", printed).groups()
    assert shown == answered


def test_a_folder_is_looked_at_and_learned():
    printed = run_example(ROOT / "examples" / "08_folder.py", "--epochs", "6", "--each", "50")
    assert "second look" in printed
    assert float(re.search(r"test accuracy ([\d.]+)%", printed).group(1)) > 35  # chance is 17


def test_two_processes_learn_what_one_learns(tmp_path):
    script = ROOT / "examples" / "09_many_processes.py"
    alone = run_example(script, "--epochs", "2")
    command = [sys.executable, "-c", "import sys; from kcnn_cli import main; main(sys.argv[1:])"]
    logs = ["--logs", str(tmp_path)]
    done = subprocess.run(
        [*command, "launch", "--processes", "2", *logs, str(script), "--epochs", "2"],
        capture_output=True,
        text=True,
        timeout=500,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    losses = [re.findall(r"epoch \d loss ([\d.]+)", out) for out in (alone, done.stdout)]
    assert [len(found) for found in losses] == [2, 2]
    (one, one_later), (two, two_later) = [[float(v) for v in found] for found in losses]
    assert abs(one - two) < 2e-3
    assert max(one_later, two_later) < one / 2


def test_every_example_is_run_by_a_test():
    text = "".join(p.read_text(encoding="utf-8") for p in (ROOT / "tests").glob("test_*.py"))
    missing = [p.name for p in EXAMPLES if p.name not in text]
    assert not missing, f"no test runs {missing}"


def test_a_check_of_ones_own_is_asked_and_its_number_can_be_set():
    printed = run_example(ROOT / "examples" / "10_own_check.py")
    first, second = re.findall(r"-> (root cause: \S+|healthy.*)", printed)
    assert first == "root cause: label_misalignment"
    assert second.startswith("healthy")
