"""Step 1: before any update the loss is that of a guess among all classes."""

from __future__ import annotations

from kcnn.callbacks import Finding, InitialLossCheck
from kcnn.recipe.work import StepOutcome, Work

__all__ = ["run"]

BATCHES = 4


def run(work: Work) -> StepOutcome:
    """Measure the loss of the untouched model on a few training batches.

    The batches go through the training step itself at learning rate 0: the loss is the one
    training will see (BatchNorm on batch statistics) and no weight moves.
    """
    model = work.bench.fresh(lr=0.0)
    data = work.train_data(purpose="initial loss")
    count = min(BATCHES, work.updates_per_epoch(work.batch_size))
    heard: list[Finding] = []
    check = InitialLossCheck(work.dataset.classes, batches=count, sink=heard.append)
    with work.display.progress("tracing the training step", count) as bar:
        model.fit(
            data.take(count),
            shuffle=False,  # the pipeline shuffles
            verbose=0,
            callbacks=[check, bar.per_batch()],
        )
    (finding,) = heard
    return StepOutcome(
        (finding,),
        {
            "loss": finding.evidence.get("loss"),
            "expected": finding.evidence.get("expected"),
            "batches": count,
        },
    )
