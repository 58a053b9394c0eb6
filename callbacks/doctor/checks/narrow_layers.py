from kcnn.callbacks.doctor._registry import check, likely, parameter, possible
from kcnn.callbacks.doctor.interventions.network import wider
from kcnn.callbacks.doctor.program.graph import kernel_of


@check("narrow_layers", "insufficient_capacity", stage="static", needs=("graph",), cure=wider)
def narrow_layers(
    context, *, classes=parameter(8, "units that tell many classes apart, as bits would")
):
    """A hidden layer too narrow for what all outputs know through it."""
    task = context.task
    widths = [
        (int(kernel_of(layer).shape[-1]), layer)
        for layer in context.kernels[:-1]
        if type(layer).__name__ != "DepthwiseConv2D"
    ]
    if not widths:
        return
    width, layer = min(widths, key=lambda item: item[0])
    classifies = task is not None and task.kind in ("binary", "multiclass", "multilabel")
    outputs = task.classes if task is not None else 2
    enough = max(2, min(outputs, int(classes))) if classifies else 2
    if width < enough:
        kind = likely if width * 2 <= enough else possible
        yield kind(
            f"only {width} {'unit' if width == 1 else 'units'} in {layer.name}",
            f"{enough} or more: all that the outputs know passes through it",
            f"Widen {layer.name}.", layer.name,
        )  # fmt: skip
