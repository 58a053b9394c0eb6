import numpy as np

from kcnn.callbacks.doctor._registry import check, parameter, proven
from kcnn.callbacks.keras_internals import array_of, layers_of


@check("equal_units", "bad_initialization", stage="run", needs=("trials",))
def equal_units(
    context,
    *,
    apart=parameter(1e-5, "of the largest weight: what rounding parts in units that learn alike"),
    well=parameter(0.5, "skill of a network that has learned with them all the same"),
):
    """Weights of a layer of one's own that are all equal at the start, and still at the end."""
    if context.final.score >= well:
        return
    ended = {
        id(v): end for v, end in zip(context.model.variables, context.run.weights, strict=True)
    }
    for weights in _own_matrices(context.model):
        start, end = array_of(weights), ended[id(weights)]
        if not np.isfinite(end).all() or np.ptp(start) or start.size < 4 or start.shape[-1] < 2:
            continue
        if np.ptp(end, axis=-1).max() <= apart * np.abs(end).max():
            yield proven(
                f"the weights {weights.path} all equal {start.flat[0]:g} at the start, and after "
                f"{context.run.steps} steps its units are still alike",
                "units that begin, and so learn, differently",
                "Draw them at random: add_weight(..., initializer='he_normal').", weights.path,
            )  # fmt: skip
            return


def _own_matrices(model):
    """Trainable matrices that layers (and models) of the user's own hold themselves."""
    for layer in layers_of(model):
        if type(layer).__module__.partition(".")[0] in ("keras", "kcnn"):
            continue
        inner = {id(v) for one in layers_of(layer) if one is not layer for v in one.variables}
        for variable in layer.trainable_variables:
            if id(variable) not in inner and len(variable.shape) > 1:
                yield variable
