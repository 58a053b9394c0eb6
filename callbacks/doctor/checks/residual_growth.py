from kcnn.callbacks.doctor._registry import check, likely, parameter
from kcnn.callbacks.doctor.interventions.network import damped
from kcnn.callbacks.doctor.program.graph import is_norm
from kcnn.callbacks.doctor.program.residual import branch_ends


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
