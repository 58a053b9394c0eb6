from kcnn.callbacks.doctor._registry import check, likely, parameter
from kcnn.callbacks.doctor.interventions import Intervention


@check(
    "activation_size", "exploding_gradient", stage="end", cost="pass",
    cure=Intervention(clip=True),
)  # fmt: skip
def activation_size(
    context,
    *,
    times=parameter(100, "growth from the first to the last layer: two to three a layer"),
    size=parameter(1e3, "an activation that no sigmoid or softmax behind it survives"),
):
    """Activations that grow from layer to layer, before any step."""
    if context.start is None:
        return
    names = list(context.start.size)[:-1]
    sizes = {name: context.start.size[name] for name in names if context.start.size[name] > 0}
    if not sizes:
        return
    first, last = next(iter(sizes.values())), list(sizes.values())[-1]
    largest = max(sizes, key=lambda name: sizes[name])
    grows = len(sizes) >= 4 and last > times * max(first, 0.1)
    if grows:
        seen = f"activations grow from {first:.2g} to {last:.2g} through the layers"
    elif sizes[largest] > size:
        seen = f"activations as large as {sizes[largest]:.2g}"
    else:
        return
    yield likely(
        seen, "activations of similar size in all layers",
        "Add normalization layers, or use 'he_normal' and fewer layers.", largest,
        evidence={"first": first, "last": last},
    )  # fmt: skip
