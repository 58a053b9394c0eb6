import numpy as np

from kcnn.callbacks.doctor._registry import check, parameter, proven


@check("growing_loss", "lr_too_high", stage="run", needs=("no trials",))
def growing_loss(
    context,
    *,
    times=parameter(3, "of the first epoch's loss, and growing"),
    epochs=parameter(3, "a first rise may be a schedule's warm-up"),
):
    """A training loss that grows from epoch to epoch."""
    loss = np.asarray(context.history.get("loss", []), "float64")
    if len(loss) < epochs or not np.isfinite(loss).all():
        return
    if loss[-1] > times * max(loss[0], 1e-9) and loss[-1] > loss[-2]:
        yield proven(
            f"the loss grew from {loss[0]:.3g} to {loss[-1]:.3g}", "a falling loss",
            f"Lower the learning rate ({context.rate:g}) ten times.", "compile(optimizer=...)",
        )  # fmt: skip
