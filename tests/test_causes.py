"""The registry of causes: complete, read by people, and quick to ask."""

import ast
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kcnn.callbacks.causes import CAUSES, overview

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "docs"))

from cause_pages import write_pages  # noqa: E402

LABELS = [  # the taxonomy that findings are judged by
    "wrong_output_activation",
    "wrong_output_units",
    "wrong_loss",
    "loss_activation_mismatch",
    "missing_hidden_activation",
    "dying_relu",
    "vanishing_gradient",
    "exploding_gradient",
    "insufficient_capacity",
    "frozen_layers",
    "bad_initialization",
    "bad_normalization",
    "lr_too_high",
    "lr_too_low",
    "bad_batch_size",
    "too_few_epochs",
    "missing_shuffle",
    "wrong_metric",
    "overfitting",
    "excessive_regularization",
    "unnormalized_inputs",
    "unnormalized_targets",
    "nan_inputs",
    "preprocessing_mismatch",
    "augmentation_breaks_label",
    "class_imbalance",
    "data_leak",
    "label_encoding",
    "label_misalignment",
]


def test_every_label_has_an_entry_and_no_other():
    assert sorted(CAUSES) == sorted(LABELS)
    assert all(CAUSES[label].label == label for label in LABELS)


def test_every_cause_that_the_instruments_name_is_explained():
    named = set()
    for file in (ROOT / "callbacks").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.keyword) and node.arg == "cause":
                named |= {
                    c.value for c in ast.walk(node.value)
                    if isinstance(c, ast.Constant) and isinstance(c.value, str)
                }  # fmt: skip
    assert named
    assert named <= set(CAUSES)


@pytest.mark.parametrize("label", LABELS)
def test_the_mended_line_is_python(label):
    ast.parse(CAUSES[label].mend)


def test_the_pages_are_those_of_the_registry(tmp_path):
    write_pages(tmp_path)
    kept = ROOT / "docs" / "causes"
    assert {f.name for f in kept.iterdir()} == {f.name for f in tmp_path.iterdir()}
    for page in tmp_path.iterdir():
        assert (kept / page.name).read_text(encoding="utf-8") == page.read_text(encoding="utf-8")


def ask(*arguments):
    command = [sys.executable, "-X", "importtime", "-c", "from kcnn_cli import main; main()"]
    return subprocess.run(
        [*command, "explain", *arguments], capture_output=True, text=True, check=False
    )


def test_explain_prints_a_cause_without_importing_keras():
    begin = time.perf_counter()
    done = ask("lr_too_high")
    assert done.returncode == 0, done.stderr
    assert CAUSES["lr_too_high"].shows in done.stdout
    assert "tensorflow" not in done.stderr
    assert not re.search(r"\bkeras\b", done.stderr)
    assert time.perf_counter() - begin < 60  # a hang, not a speed


def test_explain_lists_all_and_knows_near_misses():
    assert ask().stdout.rstrip("\n") == overview().rstrip("\n")
    done = ask("lr_to_high")
    assert done.returncode == 2
    assert "Did you mean lr_too_high?" in done.stderr
