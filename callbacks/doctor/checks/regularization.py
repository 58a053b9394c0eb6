from kcnn.callbacks.doctor._registry import check, likely, parameter, possible
from kcnn.callbacks.doctor.interventions.network import regularizes, relaxed
from kcnn.callbacks.keras_internals import array_of

PENALTIES = ("kernel_regularizer", "activity_regularizer", "bias_regularizer")
STRONG = 0.85  # of a dropout, or of a penalty put on its scale


@check("strong_regularization", "excessive_regularization", stage="static", cure=relaxed)
def strong_regularization(
    context,
    *,
    dropout=parameter(0.7, "0.5 is the strongest that is customary (JMLR 15, 2014)"),
    noise=parameter(1.0, "as large as inputs of spread 1"),
    penalty=parameter(0.03, "1e-4 to 1e-2 are customary"),
    whole=parameter(1.0, "such penalties together, at the start: as much as a guess costs"),
):
    """Dropout, noise or penalties far beyond what is usual."""
    strong, together = [], 0.0
    for layer in context.layers:
        rate, spread = getattr(layer, "rate", None), getattr(layer, "stddev", None)
        kind = type(layer).__name__
        if "Dropout" in kind and isinstance(rate, (int, float)) and rate >= dropout:
            strong.append((rate, layer, f"dropout of {rate:g}"))
        if kind == "GaussianNoise" and spread is not None and spread >= noise:
            strong.append((0.8, layer, f"noise of {spread:g}"))
        for name in PENALTIES:
            given = getattr(layer, name, None)
            l1, l2 = (float(getattr(given, power, 0) or 0) for power in ("l1", "l2"))
            size = max(3 * l1, l2)
            if size >= penalty:
                strong.append((min(0.9, 0.7 + size / 5), layer, f"{name} of {size:g}"))
                together += _cost(given, getattr(layer, name.split("_")[0], None))
    if strong:
        top, layer, words = max(strong, key=lambda item: item[0])
        yield likely(
            f"{words} in {layer.name}", "dropout up to 0.5, penalties around 1e-4",
            f"Lower it in {layer.name}.", layer.name,
            strength=float(top >= STRONG or together >= whole),
        )  # fmt: skip


def _cost(penalty, weights):
    """What a penalty adds to the loss at the start; of activations it is not known yet."""
    return 0.0 if weights is None else float(array_of(penalty(weights)))


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
