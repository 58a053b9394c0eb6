import keras

from kcnn.callbacks.doctor._registry import check, likely, parameter, possible
from kcnn.callbacks.doctor.interventions.network import rectified
from kcnn.callbacks.doctor.program.graph import bends, kernel_of, layer_activation
from kcnn.callbacks.keras_internals import followers_of, operations_of


@check(
    "linear_layers", "missing_hidden_activation", stage="static", needs=("graph",), cure=rectified
)
def linear_layers(
    context, *, most=parameter(0.5, "more than half of the hidden layers: no bottleneck by design")
):
    """A stack of linear layers, which is one linear layer."""
    layers, hidden = context.layers, max(len(context.kernels) - 1, 1)
    bare = [v for v in context.kernels if layer_activation(v) == "linear" and _kernel_follows(v)]
    if not bare:
        return
    calls = [op for op in operations_of(context.graph) if op not in layers]
    alone = not any(
        layer_activation(op) not in (None, "linear") or isinstance(op, keras.layers.RNN)
        for op in [*layers[:-1], *calls]
    )
    kind = likely if alone or len(bare) > most * hidden else possible
    names = [layer.name for layer in bare]
    yield kind(
        f"{len(bare)} of {hidden} hidden layers have no activation ({', '.join(names[:4])})",
        "a non-linearity between layers with kernels",
        "Add activation='relu' to the hidden layers.", names[0], strength=float(alone),
        evidence={"layers": names},
    )  # fmt: skip


def _kernel_follows(layer, depth=0):
    """Whether a layer with a kernel sees this layer's output through linear maps alone."""
    return depth <= 24 and any(
        kernel_of(op) is not None or (not bends(op) and _kernel_follows(op, depth + 1))
        for op in followers_of(layer)
        if isinstance(op, keras.layers.Layer)
    )
