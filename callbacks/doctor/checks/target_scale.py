import numpy as np

from kcnn.callbacks.doctor._registry import check, likely, parameter, possible
from kcnn.callbacks.doctor.interventions import Intervention

ODD = 1.25  # powers of ten beyond the bound from which it is odd in itself
MOST = 3.6  # powers of ten from which no more is told


@check(
    "target_scale", "unnormalized_targets", stage="data", cost="rows", per_output=True,
    cure=Intervention(scale_y=True),
)  # fmt: skip
def target_scale(
    output,
    *,
    large=parameter(8, "mean or spread: the last bias climbs there in hundreds of steps"),
    small=parameter(0.005, "the loss is noise of the start"),
):
    """Regression targets of a size the network cannot reach."""
    if output.task.kind != "regression" or output.places:
        return
    y = output.y
    values = np.asarray(y, "float64")[np.isfinite(y)]
    if not values.size:
        return
    mean, spread = float(values.mean()), float(values.std())
    size = max(spread, abs(mean))
    if size > large or 0 < size < small:
        powers = abs(np.log10(size / large))
        kind = likely if powers > ODD else possible
        strength = (powers - ODD) / (MOST - ODD) if powers > ODD else powers / ODD
        yield kind(
            f"targets of mean {mean:.3g} and spread {spread:.3g}",
            "mean about 0 and spread about 1",
            "Train on (y - y.mean()) / y.std() and undo it after predict.", "y",
            strength=strength, evidence={"mean": mean, "std": spread},
        )  # fmt: skip
