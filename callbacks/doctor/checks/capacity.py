import keras

from kcnn.callbacks.doctor._registry import check, parameter, possible
from kcnn.callbacks.doctor.interventions.network import deeper, wider

EXPECTED = "hidden layers as wide as the task needs"


@check("capacity", "insufficient_capacity", stage="end", needs=("trials",))
def capacity(
    context,
    *,
    units=parameter(32, "fewer units may be too few even for the small tasks of a trial"),
    filters=parameter(4, "units that a filter, which sees many places, stands for"),
):
    """No hidden layer, or a narrow one: worth a trial with more."""
    kernels, layers = context.kernels, context.layers
    if not kernels or any(isinstance(layer, keras.layers.RNN) for layer in layers):
        return
    if len(kernels) == 1 and not any(isinstance(v, keras.layers.Embedding) for v in layers):
        where = kernels[0].name
        yield possible("no hidden layer", EXPECTED, "Add a hidden layer.", where, cure=deeper)
        return
    sizes = {
        layer.name: int(
            getattr(layer, "units", 0) or filters * (getattr(layer, "filters", 0) or 99)
        )
        for layer in kernels[:-1]
    }
    if sizes and min(sizes.values()) < units:
        where = min(sizes, key=lambda name: sizes[name])
        seen = f"a narrow hidden layer ({where})"
        yield possible(seen, EXPECTED, f"Widen {where}.", where, cure=wider)
