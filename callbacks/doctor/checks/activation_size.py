from kcnn.callbacks.doctor._registry import check, likely, parameter
from kcnn.callbacks.doctor.interventions import Intervention
from kcnn.callbacks.doctor.interventions.network import damped
from kcnn.callbacks.doctor.program.graph import is_norm
from kcnn.callbacks.doctor.program.residual import branch_ends


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


@check(
    "residual_growth", "exploding_gradient", stage="end", cost="pass", needs=("graph",),
    cure=damped,
)  # fmt: skip
def residual_growth(
    context,
    *,
    sums=parameter(4, "fewer add little to what skips them"),
    times=parameter(6, "growth from the first to the last layer: sums of tamed branches have none"),
):
    """Residual sums without any normalization that grow from block to block."""
    if context.start is None or any(is_norm(layer) for layer in context.layers):
        return
    sizes = [size for size in list(context.start.size.values())[:-1] if size > 0]
    ends = branch_ends(context.graph)
    if len(ends) >= sums and sizes and sizes[-1] > times * sizes[0]:
        yield likely(
            f"activations grow from {sizes[0]:.2g} to {sizes[-1]:.2g} through {len(ends)} residual "
            "sums without a normalization layer", "activations of similar size in all layers",
            "Put a normalization layer into each residual branch.", ends[0].name,
            evidence={"first": sizes[0], "last": sizes[-1]},
        )  # fmt: skip
