from kcnn.callbacks.doctor._registry import check, possible
from kcnn.callbacks.doctor.interventions.network import regularizes, relaxed


@check(
    "some_regularization", "excessive_regularization", stage="end", needs=("trials",), cure=relaxed
)
def some_regularization(context):
    """Any regularization may be too much for a network: worth a trial without."""
    some = [layer for layer in context.layers if regularizes(layer)]
    if some:
        most = max(float(getattr(layer, "rate", 0) or 0) for layer in some)
        yield possible(
            f"{len(some)} layers with dropout, noise or penalties",
            "regularization that leaves the training data learnable",
            f"Lower it in {some[0].name}.", some[0].name,
            strength=(0.4 * most + 0.05 * len(some) - 0.15) / 0.35,
        )  # fmt: skip
