"""Reading a model's layers: which hold kernels, what bends their output, what follows what."""

import re
from typing import Any

import keras
import numpy as np

from kcnn.callbacks.keras_internals import functional_of, stored_kernel_of

__all__ = [
    "activation_kind", "bends", "flat_layers", "graph_of", "has_call", "inputs_of", "is_norm",
    "is_random", "kernel_of", "known_graph", "layer_activation", "runs_away",
]  # fmt: skip

PASSING = {  # linear maps without a kernel, without the number of dimensions
    "Dropout", "SpatialDropout", "GaussianNoise", "GaussianDropout", "AlphaDropout", "Flatten",
    "Reshape", "Permute", "BatchNormalization", "AveragePooling", "GlobalAveragePooling",
    "MaxPooling", "GlobalMaxPooling", "ZeroPadding", "Cropping", "UpSampling", "Rescaling",
    "Normalization", "RepeatVector", "Identity", "ActivityRegularization", "Add", "Concatenate",
}  # fmt: skip
NORMS = {
    "BatchNormalization", "LayerNormalization", "GroupNormalization", "UnitNormalization",
    "GroupNorm", "InstanceNorm", "SpectralNormalization", "RMSNormalization",
}  # fmt: skip


def flat_layers(model: Any) -> list[Any]:
    """Layers in order, nested models opened."""
    found: list[Any] = []
    for layer in getattr(model, "layers", []):
        if getattr(layer, "layers", None) and isinstance(layer, keras.Model):
            found += flat_layers(layer)
        else:
            found.append(layer)
    return found


def known_graph(model: Any) -> bool:
    """True for Functional and built Sequential models: the graph can be walked."""
    functional = functional_of(model)
    return functional is not None and bool(functional.outputs)


def inputs_of(model: keras.Model) -> Any:
    """The symbolic inputs of a graph: one, or all of them."""
    return model.inputs[0] if len(model.inputs) == 1 else model.inputs


def has_call(model: keras.Model) -> bool:
    """False for a model whose parts only its own `train_step` puts together."""
    return type(model).call is not keras.Model.call


def graph_of(model: keras.Model, x: Any) -> keras.Model:
    """A Functional model of the same layers, or `model` itself where `call` refuses tracing.

    Args:
        x: A few rows; their shapes and dtypes become the inputs.
    """
    if known_graph(model) or not has_call(model):
        return model

    def entry(leaf):
        dtype = "float32" if leaf.dtype.kind == "f" else str(leaf.dtype)
        return keras.Input(leaf.shape[1:], dtype=dtype)

    try:
        inputs = keras.tree.map_structure(entry, x)
        view = keras.Model(inputs, model.call(inputs))
    except Exception:  # a call of TensorFlow's own functions, loops over data, ...
        return model
    known = {id(v) for v in model.variables}
    seen = {id(v) for v in view.variables}
    if not seen <= known or any(id(v) not in seen for v in model.trainable_variables):
        return model
    return view


def kernel_of(layer: Any) -> Any:
    """The kernel variable of a Dense or convolution-like layer, or None."""
    kernel = stored_kernel_of(layer)
    if not isinstance(kernel, keras.Variable) or len(kernel.shape) < 2:
        return None
    return kernel


def is_norm(layer: Any) -> bool:
    return type(layer).__name__ in NORMS


def is_random(layer: Any) -> bool:
    """A layer of random augmentation (not dropout or noise)."""
    name = type(layer).__name__
    if isinstance(layer, keras.layers.Pipeline):
        return any(is_random(inner) for inner in layer.layers)
    return name.startswith(("Random", "MixUp", "CutMix", "AugMix", "RandAugment"))


_PROBE = np.array([[-2.0, -0.7, 0.4, 1.3, 9.0]], "float32")


def activation_kind(function: Any) -> str:
    """`"linear"`, `"relu"`, `"sigmoid"`, `"tanh"`, `"softmax"` or the function's own name.

    Decided by what the function answers, not by what it is called.
    """
    if function is None:
        return "linear"
    out, e = _answer(function), np.exp(_PROBE - _PROBE.max())
    answers = {
        "linear": _PROBE,
        "relu": np.maximum(_PROBE, 0),
        "sigmoid": 1 / (1 + np.exp(-_PROBE)),
        "tanh": np.tanh(_PROBE),
        "softmax": e / e.sum(),
    }
    for name, answer in answers.items():
        if out is not None and np.allclose(out, answer, atol=2e-4):
            return name
    return str(getattr(function, "__name__", "other"))


def _answer(function: Any) -> np.ndarray | None:
    """What an activation makes of the probe; None where a user's own function refuses it."""
    try:
        out = keras.ops.convert_to_numpy(function(keras.ops.convert_to_tensor(_PROBE)))
    except Exception:
        return None
    return out if out.shape == _PROBE.shape else None


def runs_away(layer: Any) -> bool:
    """True when an activation grows faster than its input, as squares and exponentials do."""
    function = getattr(layer, "activation", None)
    if not callable(function) or layer_activation(layer) == "softmax":
        return False
    out = _answer(function)
    return out is not None and bool(abs(out[0, -1]) > 2 * _PROBE[0, -1])


def layer_activation(layer: Any) -> str | None:
    """Kind of activation a layer applies to its output; None when it applies none."""
    name = type(layer).__name__
    if name == "Softmax":
        return "softmax"
    if name in ("ReLU", "LeakyReLU", "PReLU", "ELU"):
        if name == "ReLU":
            return "relu" if not getattr(layer, "negative_slope", 0) else "leaky_relu"
        return name.lower()
    if name in ("Sigmoid", "Relu", "Tanh", "Gelu", "Silu", "Elu", "Relu6", "LeakyRelu"):
        return name.lower()  # operations of keras.ops in a Functional graph
    if isinstance(layer, keras.layers.RNN):
        return None
    function = getattr(layer, "activation", None)
    if callable(function):
        return activation_kind(function)
    return None


def bends(layer: Any) -> bool:
    """True when the layer is not a linear map (or its kind is unknown)."""
    kind = layer_activation(layer)
    if kind is not None:
        return kind != "linear"
    return kernel_of(layer) is None and re.sub("[123]D$", "", type(layer).__name__) not in PASSING
