"""`examine`: look, train as the user does, look again, try what would mend it, rank."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from kcnn.callbacks.doctor._diagnosis import Diagnosis
from kcnn.callbacks.doctor._facts import read_facts
from kcnn.callbacks.doctor._rows import Case, draw
from kcnn.callbacks.doctor._run import Run, run_fit
from kcnn.callbacks.doctor._trace import Trace, first_rows, untouched
from kcnn.callbacks.doctor._verdict import Verdict
from kcnn.callbacks.state import require_compiled

__all__ = ["examine"]

FLOOR = 12.0  # seconds that an examination may take however short the run


def examine(
    model: keras.Model,
    x: Any = None,
    y: Any = None,
    *,
    budget_s: float | None = None,
    fast: bool = False,
    runner: Callable[[Case, Trace], Run] | None = None,
    **fit: Any,
) -> Diagnosis:
    """Find out why a model does not train, and leave it as it was.

    Args:
        model: Compiled model.
        x, y: What `model.fit` takes: arrays, a data set, a PyDataset, a generator.
        budget_s: Seconds that all of it may take; by default three times the training
            run, and 12 s for short ones.
        fast: Do not train where the set-up alone proves a failure.
        runner: Does the run, and may leave its end behind; None: `model.fit`, untrained after.
        **fit: The other arguments of `model.fit` (`epochs`, `batch_size`,
            `validation_data`, `class_weight`, ...). `verbose` is 0 unless given.

    Returns:
        The findings, likeliest root cause first. The model's weights, optimizer, metrics,
        compiled functions and all random states are as before.

    Raises:
        ValueError: for a model that is not compiled, or without samples.
        NotImplementedError: for a model with a `train_step` of its own and no `call`.
        Exception: what `fit` itself raises, after the model is restored; the exception
            carries the findings as `error.diagnosis`.
    """
    if keras.config.backend() != "tensorflow":
        raise RuntimeError(
            f"examine needs the TensorFlow backend; received {keras.config.backend()!r}. "
            "Set KERAS_BACKEND=tensorflow."
        )
    require_compiled(model, "examine")
    begin = time.perf_counter()
    case = draw(x, y, fit)
    error = _build(model, case)
    if error is not None:
        return _fail(error, Diagnosis())
    with untouched(model) as snapshot, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        facts = read_facts(model, case)
        run: Run | None = None
        verdict = Verdict(model, facts)
        if fast and verdict.proven:
            case.notes.append("the set-up alone shows the failure: fit was not run")
            return verdict.diagnosis(None)
        try:
            until = np.inf if budget_s is None else begin + 0.6 * budget_s
            run = runner(case, snapshot) if runner else run_fit(model, case, until=until)
            snapshot.restore()
            if run.error is None:
                limit = budget_s
                if limit is None:
                    limit = max(FLOOR, 3 * run.seconds)
                try:
                    verdict.weigh(run, until=begin + 0.92 * limit)
                except Exception as trouble:  # a model that only its own fit can train
                    case.broke("trying changes on copies", trouble, blind=False)
        except KeyboardInterrupt as stop:
            return _fail(stop, verdict.diagnosis(run))
        diagnosis = verdict.diagnosis(run)
    if run.error is not None:
        return _fail(run.error, diagnosis)
    return diagnosis


def _fail(error: BaseException, diagnosis: Diagnosis) -> Diagnosis:
    error.diagnosis = diagnosis  # type: ignore[attr-defined]
    if diagnosis.findings and hasattr(error, "add_note"):
        error.add_note(f"kcnn doctor: {diagnosis}")
    raise error


def _build(model: keras.Model, case: Any) -> BaseException | None:
    """Give an unbuilt model its weights, as the first batch of `fit` would."""
    if model.built and model.variables:
        return None
    try:
        model(first_rows(case.train.x, min(2, case.train.n)))
    except NotImplementedError:
        if type(model).train_step is keras.Model.train_step:
            raise
        raise NotImplementedError(
            f"examine: model {model.name!r} has a train_step of its own and no call, so it cannot "
            "be looked at from outside; give it a call(inputs) that returns its outputs."
        ) from None
    except Exception as error:
        return error
    return None
