"""What a model's last operation says about its output: logits or probabilities."""

import keras

_SAME_VALUES = frozenset({"Dropout", "Flatten", "Identity", "Reshape"})
_PROBABILITIES = frozenset({"softmax", "sigmoid"})
# softmax(log_softmax(z)) is softmax(z), so log-probabilities are as good as logits.
_LOGITS = frozenset({"linear", "log_softmax"})


def gives_probabilities(model: keras.Model) -> bool:
    """True if the model ends in a softmax or sigmoid, False if it gives logits.

    The last operation that changes values decides (nested models are entered; casts,
    reshapes and dropout are passed over). A subclassed model shows no graph: there the loss
    that it was compiled with decides.

    Raises ValueError where neither tells.
    """
    name = _last_activation(model)
    if name in _PROBABILITIES:
        return True
    if name in _LOGITS:
        return False
    from_logits = getattr(getattr(model, "loss", None), "from_logits", None)
    if name is None and from_logits is not None:
        return not from_logits
    seen = f"its last activation is {name!r}" if name else "its last layer cannot be seen"
    raise ValueError(
        f"Model {model.name!r}: cannot tell whether it gives logits or probabilities ({seen}). "
        "Pass from_logits=True or from_logits=False."
    )


def _last_activation(model: keras.Model) -> str | None:
    """Name of the activation of the last operation that changes values, or None."""
    tensor = _output_tensor(model)
    while tensor is not None:
        operation, node_index, _ = tensor._keras_history
        if isinstance(operation, keras.Model):
            return _last_activation(operation)
        name = _activation_of(operation)
        if name != "linear" or type(operation).__name__ not in _SAME_VALUES | {"Activation"}:
            return name
        inputs = operation._inbound_nodes[node_index].input_tensors
        tensor = inputs[0] if inputs else None
    return None


def _output_tensor(model: keras.Model):
    """The symbolic output of a functional or sequential model, None for a subclassed one."""
    try:
        outputs = model.outputs
    except (AttributeError, ValueError):
        return None
    return outputs[0] if outputs else None


def _activation_of(operation) -> str:
    """'softmax' for a softmax layer, function or `activation=`; 'linear' where there is none."""
    kind = type(operation).__name__
    if kind in {"Softmax", "Sigmoid", "LogSoftmax"}:
        return {"Softmax": "softmax", "Sigmoid": "sigmoid", "LogSoftmax": "log_softmax"}[kind]
    activation = getattr(operation, "activation", None)
    if activation is None:
        return "linear"
    return getattr(activation, "__name__", type(activation).__name__).lower()
