"""report.html of a run: what the steps have to show, between a headline and the test images."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from kcnn.recipe.files import read_json
from kcnn.recipe.page_parts import data_section, test_section, use_section
from kcnn.recipe.results import read_result
from kcnn.recipe.settings import RecipeError
from kcnn.recipe.steps import STEPS
from kcnn.report import Findings, Note, Page, Section, write_page
from kcnn.report.words import count, duration, moment, percent
from kcnn.report.words import loss as loss_words

__all__ = ["headline", "write_report"]


def write_report(run_dir: str | Path) -> Path:
    """Draw `report.html` of a run from its `result.json` and `samples.npz`.

    Holds whatever an interrupted run has so far.

    Raises:
        RecipeError: no run there, or its record is damaged.

    >>> write_report("runs/a")  # doctest: +SKIP
    PosixPath('runs/a/report.html')
    """
    folder = Path(run_dir)
    record = _record(folder)
    return write_page(_page(record, _images(folder / "samples.npz")), folder / "report.html")


def headline(record: dict[str, Any]) -> tuple[str, str, tuple[str, str]]:
    """(tone, verdict in words, (advice, name of the step it comes from)) of a run.

    The advice is that of the first failure, else of the curves if they are not healthy, else of
    the first warning: causes come before symptoms.
    """
    steps = record["steps"]
    failed = [s for s in steps if s["status"] == "failure"]
    warned = [s for s in steps if s["status"] == "warning"]
    advice = _advice(failed, warned)
    status = record["status"]
    if status in ("interrupted", "running"):
        word = "Interrupted" if status == "interrupted" else "Still running"
        done = f"{len(steps)} of {len(STEPS)} steps done" if steps else "no step done yet"
        return "failure" if failed else "unfinished", f"{word}: {done}", advice
    if failed:
        where = f"step {failed[0]['number']} failed"
        title = f"It did not train: {where}" if status == "stopped" else f"Trained, but {where}"
        return "failure", title, advice
    if status == "stopped":
        return "failure", f"It stopped after step {len(steps)}", advice
    if warned:
        things = "one warning" if len(warned) == 1 else f"{len(warned)} warnings"
        return "warning", f"It trained, with {things}", advice
    return "ok", "It trained", advice


def _advice(failed: list[dict[str, Any]], warned: list[dict[str, Any]]) -> tuple[str, str]:
    curves_first = sorted(warned, key=lambda step: step["name"] != "curves")
    for steps, severity in ((failed, "failure"), (curves_first, "warning")):
        for step in steps:
            for finding in step["findings"]:
                if finding["severity"] == severity and finding["advice"]:
                    return finding["advice"], step["name"]
    return "", ""


def _page(record: dict[str, Any], images: dict[str, np.ndarray]) -> Page:
    tone, title, (advice, where) = headline(record)
    steps = {step["name"]: step for step in record["steps"]}
    if not advice:
        advice = (
            "Let the run finish (--resume takes it up where it stopped)."
            if tone == "unfinished"
            else "No step has anything to complain about."
        )
    about = "The one thing to change" if tone in ("warning", "failure") else "What next"
    data, settings = record["data"], record["config"]
    model = record["model"].get("source") or "a model of one's own"
    sections = [data_section(record, images), *_step_sections(steps)]
    sections += [s for s in (test_section(record, images), use_section(record)) if s is not None]
    return Page(
        title=title,
        tone=tone,
        subject=f"{data['name']}, {model}",
        overline=(
            "kcnn run",
            data["name"],
            model,
            f"{settings['budget']} budget",
            moment(record["started"]),
        ),
        facts=_facts(record, steps),
        advice=(about, advice, f"step-{where}" if where else ""),
        path=[
            (s.title, steps[s.name]["status"], f"step-{s.name}")
            if s.name in steps
            else (s.title, "", "")
            for s in STEPS
        ],
        sections=sections,
        settings=[
            (key.replace("_", " "), str(value))
            for key, value in {**settings, "data": record["data"]["fingerprint"]}.items()
            if value is not None and value is not False  # a seed of 0 is one
        ],
        command=record.get("command", ""),
        foot=[
            " · ".join(f"{name} {value}" for name, value in record["versions"].items()),
            "Drawn from result.json of the run.",
        ],
    )


def _step_sections(steps: dict[str, dict[str, Any]]) -> list[Section]:
    sections = []
    for number_, step in enumerate(STEPS, 1):
        kept = steps.get(step.name)
        if kept is None:
            continue
        try:
            if kept["schema"] != step.schema:
                raise ValueError(f"version {kept['schema']}, known is {step.schema}")
            blocks = step.page(read_result(step.Result, kept["result"]), kept["findings"])
        except ValueError as error:
            blocks = [
                Findings(kept["findings"]),
                Note(f"The step's result can't be read: {error}."),
            ]
        sections.append(
            Section(
                id=f"step-{step.name}",
                title=f"{number_}. {step.title}",
                blocks=blocks,
                purpose=step.purpose,
                status=kept["status"],
                seconds=kept["seconds"],
                long=step.name == "search",
            )
        )
    return sections


def _facts(record: dict[str, Any], steps: dict[str, Any]) -> list[tuple[str, str, str]]:
    test = record.get("test")
    if test:
        name = "Test accuracy, per label" if record["data"]["multi_label"] else "Test accuracy"
        facts = [
            (name, percent(test["accuracy"]), f"of {count(test['images'])} images not trained on")
        ]
        facts.append(("Test loss", loss_words(test["loss"]), "mean of the cross-entropy"))
        if test.get("mean_average_precision") is not None:
            facts.append(("Mean average precision", percent(test["mean_average_precision"]), ""))
    else:
        facts = [("Test accuracy", "not measured", "the run did not get that far")]
    refined = steps.get("refine", {}).get("result", {})
    best = refined.get("best")
    accuracy = None if best is None else refined["runs"][best]["val_accuracy"]
    if accuracy is not None:
        facts.insert(1, ("Validation accuracy", percent(accuracy), "of the epoch that was kept"))
    done = f"for {len(steps)} of {len(STEPS)} steps"
    return [*facts, ("Time", duration(record["seconds"]), done)]


def _record(folder: Path) -> dict[str, Any]:
    file = folder / "result.json"
    try:
        record = read_json(file)
    except ValueError as error:
        raise RecipeError(f"{file} is no valid JSON ({error}).") from None
    if record is None:
        raise RecipeError(
            f"{folder} holds no result.json; give the folder of a run (what --out named)."
        )
    needed = ("status", "steps", "data", "config", "model", "seconds", "started", "versions")
    missing = [key for key in needed if not isinstance(record, dict) or key not in record]
    if missing:
        raise RecipeError(f"{file} is no record of this version of kcnn: no {', '.join(missing)}.")
    return record


def _images(file: Path) -> dict[str, np.ndarray]:
    """Arrays by name; nothing if the file is missing or damaged, for the page lives without."""
    try:
        with np.load(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return {}
