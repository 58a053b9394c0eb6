import keras

from kcnn.callbacks.doctor._registry import check, possible
from kcnn.callbacks.doctor.interventions.network import bounded
from kcnn.callbacks.doctor.program.graph import activation_kind


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
