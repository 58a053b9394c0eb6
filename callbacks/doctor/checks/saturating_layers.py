from kcnn.callbacks.doctor._registry import check, likely, parameter, possible
from kcnn.callbacks.doctor.interventions.network import rectified
from kcnn.callbacks.doctor.program.graph import is_norm, layer_activation

ADVICE, EXPECTED = "Change the hidden activations to 'relu'.", "relu in hidden layers"


@check("saturating_layers", "vanishing_gradient", stage="static", cure=rectified)
def saturating_layers(
    context,
    *,
    sigmoids=parameter(2, "two slopes of at most 1/4 leave a sixteenth of the gradient"),
    tanhs=parameter(4, "tanh has slope 1 at zero and fades later"),
):
    """Saturating activations in a row, without normalization."""
    layers = context.layers
    kinds = [(layer, layer_activation(layer)) for layer in layers]
    hidden = kinds[:-1]
    soft = [layer for layer, kind in hidden if kind == "softmax"]
    if soft and sum(kind == "softmax" for _, kind in kinds) > 1:
        seen, advice = f"softmax inside the network ({soft[0].name})", "Change it to 'relu'."
        yield possible(seen, "softmax only at the end", advice, soft[0].name, strength=1.0)
    if any(is_norm(layer) for layer in layers):
        return
    sig = [layer for layer, kind in hidden if kind in ("sigmoid", "hard_sigmoid")]
    if len(sig) >= sigmoids:
        kind = likely if len(sig) > sigmoids else possible
        strength = (len(sig) - sigmoids - 1) / 2 if len(sig) > sigmoids else 1.0
        seen = f"{len(sig)} hidden layers of sigmoid, whose slope is at most 1/4"
        yield kind(seen, EXPECTED, ADVICE, sig[0].name, strength=strength)
    tanh = [layer for layer, kind in hidden if kind == "tanh"]
    if len(tanh) >= tanhs:
        yield possible(f"{len(tanh)} hidden layers of tanh", EXPECTED, ADVICE, tanh[0].name)
