"""For the tests of training code: a program that would not train fails."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from kcnn.callbacks._settings import read_settings
from kcnn.callbacks.doctor import Diagnosis, examine

__all__ = ["assert_trains"]


def assert_trains(
    model: keras.Model,
    x: Any,
    y: Any = None,
    *,
    fail_on: str | None = None,
    select: Sequence[str] | None = None,
    ignore: Sequence[str] | None = None,
    parameters: Mapping[str, Mapping[str, float]] | None = None,
    **fit: Any,
) -> Diagnosis:
    """Examine a short training and raise where something keeps it from learning.

    >>> def test_my_model_trains():
    ...     model, (x, y) = build(), sample(500)
    ...     assert_trains(model, x, y, epochs=5, batch_size=32)

    Args:
        model: Compiled model; it is left as it was.
        x, y: What `model.fit` takes; some hundred rows are enough.
        fail_on: "failure", or "warning" for both.
        select, ignore, parameters: As for `examine`. What is not given comes from
            `[tool.kcnn]` of pyproject.toml.
        **fit: The other arguments of `fit` and of `examine` (`fast=True`: no training where the
            set-up alone is proven wrong).

    Returns:
        The diagnosis, for further asserts.

    Raises:
        AssertionError: with the findings; also where a check could not run, since a program that
            was not examined is not one that trains.
    """
    settings = read_settings().over(
        select=select, ignore=ignore, parameters=parameters, fail_on=fail_on
    )
    found = examine(model, x, y, **settings.chosen, **fit)
    bad = [finding for finding in found.findings if settings.fails(finding.severity)]
    if bad or found.blind:
        lines = [f"model {model.name!r} does not train:" if bad else "not examined:"]
        lines += [str(finding) for finding in bad]
        lines += [f"not examined: {why}" for why in found.unseen]
        raise AssertionError("\n  ".join(lines))
    return found
