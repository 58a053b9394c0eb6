from kcnn.callbacks.doctor._registry import check, likely
from kcnn.callbacks.doctor.interventions.network import rectified
from kcnn.callbacks.doctor.program.graph import runs_away


@check("runaway_activation", "exploding_gradient", stage="static", cure=rectified)
def runaway_activation(context):
    """A hidden activation that grows faster than its input, as squares and exponentials do."""
    for layer in context.layers[:-1]:
        if runs_away(layer):
            seen = f"the activation of {layer.name} grows faster than its input"
            advice = f"Change the activation of {layer.name} to 'relu'."
            yield likely(seen, "relu in hidden layers", advice, layer.name)
            return
