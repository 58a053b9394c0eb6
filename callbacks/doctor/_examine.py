"""`examine`: read the program, train as the user does, try what would mend it, rank."""

import contextlib
import dataclasses
import logging
import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras

from kcnn.callbacks.data import Case, draw
from kcnn.callbacks.doctor._deadline import Deadline
from kcnn.callbacks.doctor._diagnosis import Diagnosis
from kcnn.callbacks.doctor._ranking import EXCUSED, rank
from kcnn.callbacks.doctor._reading import read_context
from kcnn.callbacks.doctor._registry import Selection
from kcnn.callbacks.doctor._run import Run, run_fit
from kcnn.callbacks.doctor._trace import Trace, first_rows, untouched
from kcnn.callbacks.doctor.trials.after_run import judge_run
from kcnn.callbacks.doctor.trials.report import TrialReport
from kcnn.callbacks.state import all_built, require_compiled

__all__ = ["examine"]

FLOOR = 45.0  # seconds that an examination may take however short the run: tracing takes most
TIMES = 2.0  # the run; an examination ends there, and says what it left out
RUN, TRIALS = 0.6, 0.92  # shares of the budget after which the run, and trials, are cut


def examine(
    model: keras.Model,
    x: Any = None,
    y: Any = None,
    *,
    budget_s: float | None = None,
    fast: bool = False,
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    parameters: Mapping[str, Mapping[str, float]] | None = None,
    runner: Callable[[Case, Trace], Run] | None = None,
    **fit: Any,
) -> Diagnosis:
    """Find out why a model does not train, and leave it as it was.

    Args:
        model: Compiled model.
        x, y: What `model.fit` takes: arrays, a data set, a PyDataset, a generator.
        budget_s: Seconds that all of it may take, reading and building included; by default
            twice the training run, and 45 s for short ones; waiting for a busy machine is not
            counted, up to three times as long.
        fast: Do not train where the set-up alone proves a failure.
        select, ignore: Ids of checks (`kcnn.callbacks.doctor.registered()`), by default all.
        parameters: Check id to its numbers by name.
        runner: Does the run, and may leave its end behind; None: `model.fit`, untrained after.
        **fit: The other arguments of `model.fit` (`epochs`, `batch_size`,
            `validation_data`, `class_weight`, ...). `verbose` is 0 unless given.

    Returns:
        The findings, likeliest root cause first. The model's weights, optimizer, metrics,
        compiled functions and all random states are as before.

    Raises:
        ValueError: for a model that is not compiled, without samples, or an unknown check.
        NotImplementedError: for a model without a `call` whose layers have no weights yet.
        Exception: what `fit` itself raises, after the model is restored; the exception
            carries the findings as `error.diagnosis`.

    >>> examine(model, 255 * x, y, epochs=1, verbose=0, fast=True).causes
    ['unnormalized_inputs']
    """
    require_compiled(model, "examine")
    selection = Selection(tuple(select), tuple(ignore), parameters or {})
    clock = Deadline()
    case = draw(x, y, fit)
    _build(model, case)
    with untouched(model) as snapshot, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        context = read_context(model, case, selection)
        set_up = list(context.hypotheses("static", "data", "start"))
        if fast and any(h.is_proven and h.cause not in EXCUSED | {"wrong_metric"} for h in set_up):
            case.notes.append("the set-up alone shows the failure: fit was not run")
            return rank(context)
        report = TrialReport()
        try:
            until = dataclasses.replace(clock, seconds=RUN * (budget_s or math.inf))
            run = runner(case, snapshot) if runner else run_fit(model, case, until=until)
            snapshot.restore()
            context.run = run
            if run.error is None:
                with _quiet():
                    report = judge_run(context, run, until=_limit(clock, run, budget_s))
        except KeyboardInterrupt as stop:
            _fail(stop, rank(context, report))
        except Exception as trouble:  # a model that only its own fit can train
            case.broke("trying changes on copies", trouble, blind=False)
        diagnosis = rank(context, report)
    if context.run is not None and context.run.error is not None:
        _fail(context.run.error, diagnosis, noted=runner is None)
    return diagnosis


def _limit(clock: Deadline, run: Run, budget_s: float | None) -> Deadline:
    """Where trials end: by the clock as the user says, else with the CPU time that the run took."""
    if budget_s is not None:
        return dataclasses.replace(clock, seconds=TRIALS * budget_s)
    used = min(run.seconds, run.cpu_seconds)  # many cores use more than passes
    seconds, cpu = (TRIALS * max(FLOOR, TIMES * spent) for spent in (run.seconds, used))
    return dataclasses.replace(clock, seconds=seconds, cpu_seconds=cpu)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """TensorFlow counts the compiled steps of many trials and warns of them: not here."""
    logger = logging.getLogger("tensorflow")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _fail(error: BaseException, diagnosis: Diagnosis, *, noted: bool = True) -> None:
    """Raise with what was found; who did the run himself tells it himself."""
    error.diagnosis = diagnosis  # type: ignore[attr-defined]
    if noted and diagnosis.findings and hasattr(error, "add_note"):
        error.add_note(f"kcnn doctor: {diagnosis}")
    raise error


def _build(model: keras.Model, case: Any) -> None:
    """Give an unbuilt model its weights, as the first batch of `fit` would."""
    if all_built(model):
        return
    try:
        model(first_rows(case.train.x, min(2, case.train.n)))
    except NotImplementedError:
        raise NotImplementedError(
            f"examine: model {model.name!r} has no call, and layers without weights yet; give it a "
            "call(inputs) that returns its outputs."
        ) from None
    except Exception as error:
        _fail(error, Diagnosis())
