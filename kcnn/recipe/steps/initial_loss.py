"""Step 1: before any update the loss is that of a guess among all classes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras

from kcnn.callbacks import InitialLossCheck
from kcnn.recipe.context import Context
from kcnn.recipe.step import Outcome, Step, require_labels
from kcnn.report import Block, Findings, Note

__all__ = ["CheckInitialLoss", "InitialLoss", "check_initial_loss"]

BATCHES = 4


@dataclass(frozen=True)
class InitialLoss:
    """Loss before any update and what guessing costs, in nats; None where there is none."""

    loss: float | None
    expected: float | None
    batches: int


def check_initial_loss(
    model: keras.Model,
    x: Any,
    y: Any = None,
    *,
    classes: int | None = None,
    batches: int = BATCHES,
    batch_size: int | None = None,
) -> Outcome[InitialLoss]:
    """Measure the loss of a compiled model on a few batches; no weight moves.

    The batches go through the training step itself, at learning rate 0: the loss is the one
    that training will see (BatchNorm on batch statistics).

    Args:
        model: compiled.
        x, y: what `model.fit` takes.
        classes: read off the model's last axis if None.
        batches: how many.
        batch_size: with arrays.

    >>> outcome = check_initial_loss(model, x, y, classes=10)
    >>> round(outcome.result.expected, 3)
    2.303
    """
    require_labels("check_initial_loss", x, y)
    check = InitialLossCheck(classes, batches=batches, sink=None)
    finding = check.run(model, x, y, batch_size=batch_size)
    loss, expected = finding.evidence.get("loss"), finding.evidence.get("expected")
    return Outcome(InitialLoss(loss, expected, batches), (finding,))


class CheckInitialLoss(Step[InitialLoss]):
    """The step of the recipe."""

    name = "initial_loss"
    title = "Initial loss"
    purpose = (
        "A network that knows nothing yet should cost what even guessing costs. Another loss "
        "points at the head, the loss function or the labels."
    )
    Result = InitialLoss

    def run(self, context: Context) -> Outcome[InitialLoss]:
        model = context.models.fresh(context.hp)
        count = min(BATCHES, context.updates_per_pass(context.batch_size))
        data = context.data.train(context.batch_size, purpose="initial loss").take(count)
        with context.display.progress("tracing the training step", 1):
            return check_initial_loss(
                model, data, classes=context.data.problem.classes, batches=count
            )

    def page(self, result: InitialLoss, findings: Sequence[dict[str, Any]]) -> list[Block]:
        words = f"Mean of {result.batches} batches, regularization left out."
        return [Findings(findings), Note(words)]
