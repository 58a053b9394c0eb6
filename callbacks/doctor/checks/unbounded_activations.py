import keras

from kcnn.callbacks.doctor._registry import check, likely, possible
from kcnn.callbacks.doctor.interventions.network import bounded, rectified
from kcnn.callbacks.doctor.program.graph import activation_kind, runs_away


@check("runaway_activation", "exploding_gradient", stage="static", cure=rectified)
def runaway_activation(context):
    """A hidden activation that grows faster than its input, as squares and exponentials do."""
    for layer in context.layers[:-1]:
        if runs_away(layer):
            seen = f"the activation of {layer.name} grows faster than its input"
            advice = f"Change the activation of {layer.name} to 'relu'."
            yield likely(seen, "relu in hidden layers", advice, layer.name)
            return


@check("recurrent_growth", "exploding_gradient", stage="static", cure=bounded)
def recurrent_growth(context):
    """An activation without bound in a recurrent layer."""
    for layer in context.layers:
        cell = getattr(layer, "cell", layer)
        if not isinstance(layer, keras.layers.RNN) or not hasattr(cell, "activation"):
            continue
        kind = activation_kind(cell.activation)
        if kind not in ("sigmoid", "tanh", "softmax"):
            seen = f"{kind} in {layer.name}: its states may grow with every step of time"
            advice = f"Remove activation={kind!r} from {layer.name}."
            yield possible(seen, "tanh in recurrent layers", advice, layer.name)
            return
