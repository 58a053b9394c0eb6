"""Runs the steps in order, keeps what is finished, and takes up what was interrupted."""

from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from kcnn.callbacks import Finding, examine
from kcnn.recipe.clock import Clock
from kcnn.recipe.context import Context
from kcnn.recipe.display import Display
from kcnn.recipe.files import jsonable
from kcnn.recipe.folder import RunFolder
from kcnn.recipe.identity import check_same
from kcnn.recipe.outcome import conclude, say_outcome
from kcnn.recipe.page import write_report
from kcnn.recipe.record import headline, opened
from kcnn.recipe.results import read_result
from kcnn.recipe.settings import RecipeError, Settings, first_line
from kcnn.recipe.step import Step, status_of
from kcnn.recipe.steps import STEPS
from kcnn.recipe.steps.small_sample import usual_rates

__all__ = ["run"]

# What the doctor is asked of a step that failed.
DOCTORS_IMAGES, DOCTORS_EPOCHS, DOCTORS_SECONDS = 512, 3, 60.0
SHOWN_CAUSES = 3


def run(
    build: Any,
    data: Any,
    *,
    out: str | Path,
    space: Any = None,
    optimizer: Any = None,
    loss: Any = None,
    metrics: Any = None,
    resume: bool = False,
    overwrite: bool = False,
    display: Display | None = None,
    source: str = "",
    command: str = "",
    chosen: tuple[str, ...] = (),
    backbone: Any = None,
    **settings: Any,
) -> dict[str, Any]:
    """Take a model through the six steps and leave it trained and exported in `out`.

    >>> def build(hp):
    ...     return create_model("resnet20", classes=10, input_shape=(8, 8, 1), width=hp.width)
    >>> run(build, "digits", out="runs/a", space={"width": [1.0, 2.0]})  # doctest: +SKIP

    Args:
        build: a function `hp -> keras.Model`, compiled or not; `hp` holds what the space names,
            learning rate, weight decay and batch size included. Or a model.
        data: a `kcnn.data.Dataset`, or what `kcnn.data.load` takes.
        out: the run's folder: `result.json`, `model.keras`, `saved_model/1`, `report.html`.
        space: a `Space`, or parameters by name; what it lacks of learning rate, weight decay and
            batch size is added.
        optimizer, loss, metrics: for models that come uncompiled; those fit the labels if None.
        resume: go on with an interrupted run of the same model, data and settings.
        overwrite: replace an earlier run.
        display: the terminal; a quiet one for none.
        source, command, chosen: where the model comes from, the command that makes the run again,
            and what was chosen for the user on the way, for the record.
        backbone: a pretrained model that takes raw images, 0..255; a new head is trained on its
            features, and `build` is None.
        **settings: the fields of `Settings`.

    Returns:
        The record that `result.json` holds. Its "status" is "finished", or "stopped" when a
        step failed and later ones would have been for nothing.

    Raises:
        RecipeError, DataError, ValueError: settings, data or model can't work, said before
            any training.
        KeyboardInterrupt: passed on after the finished steps were kept.
    """
    asked = Settings(**settings)
    display = display or Display()
    with RunFolder(out, resume=resume, overwrite=overwrite) as folder:
        context = Context(
            build,
            data,
            asked,
            folder.state,
            display=display,
            space=space,
            optimizer=optimizer,
            loss=loss,
            metrics=metrics,
            backbone=backbone,
            source=source,
        )
        if asked.storage is not None:
            _ = context.storage  # or a wrong one is found after three steps
        record = folder.record() if resume else None
        if record and record["status"] == "finished":
            check_same(record["identity"], context.identity, f"The run in {folder.path}")
            display.say(f"The run in {folder.path} is finished already.")
            return record
        context.run_id = folder.claim(context.identity)
        record = opened(record, context, command=command, chosen=chosen)
        context.clock = Clock(context.clock.limit, record["seconds"])
        context.logs = folder.path / "logs"
        display.say(headline(record, context))
        _work(context, folder, record)
    return record


def _work(context: Context, folder: RunFolder, record: dict[str, Any]) -> None:
    folder.write(record)
    try:
        _run_steps(context, folder, record)
        if record["status"] == "running":
            conclude(context, folder.path, record)
            record["status"] = "finished"
    except BaseException:
        record["status"] = "interrupted"
        with suppress(Exception):  # what stopped the run is what has to be heard
            record["seconds"] = round(context.clock.spent, 2)
            folder.write(record)
            write_report(folder.path)
        raise
    record["seconds"] = round(context.clock.spent, 2)
    folder.write(record)
    write_report(folder.path)
    if record["status"] == "finished":
        folder.clear_state()
        say_outcome(context, folder.path, record)


def _run_steps(context: Context, folder: RunFolder, record: dict[str, Any]) -> None:
    record["steps"] = []
    for number, step in enumerate(STEPS, 1):
        kept = folder.step(step.name)
        context.display.step(number, step.title, kept=kept is not None)
        if kept is None:
            context.display.clock = context.clock
            context.display.later = _seconds_after(number, context)
            kept = _run_step(context, step, number)
            folder.keep_step(step.name, kept)
        result: Any = read_result(step.Result, kept["result"])
        context.results[step.name] = result
        step.settle(result, context)
        record["augmented_by"] = context.data.augmented_by
        record["steps"].append(kept)
        record["seconds"] = round(context.clock.spent, 2)
        folder.write(record)
        _show(context.display, step, result, kept)
        if _must_stop(step, result, kept, context):
            record["status"] = "stopped"
            context.display.say(
                f"\nStopped after step {number}: what comes next can't work before this does.",
                "bold red",
            )
            return


def _run_step(context: Context, step: Step[Any], number: int) -> dict[str, Any]:
    started = Clock.now()
    found = step.run(context)
    findings = found.findings
    status = status_of(findings)
    if status == "failure" and step.gates:
        if context.clock.left == 0 and not context.settings.keep_going:
            raise RecipeError(
                f"The time ended in step {number}, {step.title.lower()}: {findings[0].seen}. Go on "
                f"with --resume and a --time of {3 * context.clock.spent:.0f}s or more."
            )
        findings += _examined(context)
    return jsonable(
        {
            "number": number,
            "name": step.name,
            "title": step.title,
            "status": status,
            "seconds": round(Clock.now() - started, 2),
            "findings": [finding.to_dict() for finding in findings],
            "schema": step.schema,
            "result": asdict(found.result),
        }
    )


def _seconds_after(number: int, context: Context) -> float | None:
    """About how long the steps after this one will take."""
    expected = [step.expected_seconds(context) for step in STEPS[number:]]
    known = [seconds for seconds in expected if seconds is not None]
    return sum(known) if len(known) == len(expected) else None


def _must_stop(step: Step[Any], result: Any, kept: dict[str, Any], context: Context) -> bool:
    needed = any(step.name in later.needs for later in STEPS)
    if needed and not step.usable(result):
        return True  # nothing for the next step to start from
    return kept["status"] == "failure" and step.gates and not context.settings.keep_going


def _show(display: Display, step: Step[Any], result: Any, kept: dict[str, Any]) -> None:
    for line in step.lines(result):
        display.console.print(line)
    for finding in kept["findings"]:
        display.finding(Finding.from_dict(finding))


def _examined(context: Context) -> tuple[Finding, ...]:
    """Examine the model on some of the images, as the steps trained it; its likeliest causes."""
    hp = context.hp
    model = context.models.fresh(hp)
    model = context.models.fresh({**hp, "learning_rate": usual_rates(model)[0]})
    x, y = context.data.sample(DOCTORS_IMAGES, seed=context.settings.seed)
    context.display.say("    asking the doctor why …", "dim")
    try:
        diagnosis = examine(
            model,
            x,
            y,
            epochs=DOCTORS_EPOCHS,
            batch_size=context.batch_size,
            budget_s=DOCTORS_SECONDS,
        )
    except Exception as error:  # the doctor is asked beside the step's own verdict
        return (
            Finding("doctor", "note", f"the doctor could not examine it: {first_line(error)}", ""),
        )
    causes = [f for f in diagnosis.findings if f.severity in ("failure", "warning")]
    return tuple(replace(f, check=f"doctor: {f.check}") for f in causes[:SHOWN_CAUSES])
