from kcnn.callbacks.doctor._registry import check, parameter, possible
from kcnn.callbacks.doctor.interventions import Intervention


@check("batch_size", "bad_batch_size", stage="end", needs=("trials",), cure=Intervention(batch=32))
def batch_size(
    context,
    *,
    few=parameter(4, "samples a step: the gradient is mostly noise"),
    steps=parameter(8, "steps an epoch, below which a batch is large for its data"),
    enough=parameter(2000, "steps of a run that large batches do not make short"),
):
    """Batches of a few samples, or so large that few steps are taken."""
    case = context.case
    n, batch = case.train.n, case.batch_size
    if n < 64:
        return
    if batch <= few:
        strength = 1.0 if batch == 1 else 0.56
    elif batch > 64 and batch * steps >= n and case.steps < enough:
        strength = 0.56 if batch * 2 >= n else 0.0
    else:
        return
    yield possible(
        f"batches of {batch} for {n} samples", "16 to 128", "Set batch_size=32 in fit.",
        "fit(batch_size=...)", strength=strength, evidence={"batch_size": batch, "samples": n},
    )  # fmt: skip
