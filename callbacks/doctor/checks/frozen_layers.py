import keras
import numpy as np

from kcnn.callbacks.doctor._registry import check, likely, parameter, proven
from kcnn.callbacks.doctor.interventions.network import thawed
from kcnn.callbacks.doctor.program.graph import kernel_of
from kcnn.callbacks.keras_internals import array_of

TABLE = 0.05  # Keras draws embeddings uniformly from -0.05..0.05
EXPECTED = "frozen layers hold trained weights"


@check("frozen_layers", "frozen_layers", stage="static", cure=thawed)
def frozen_layers(
    context, *, most=parameter(0.5, "half of the layers or weights: what is left is a head")
):
    """Layers frozen at their random start."""
    yield from _table(context.layers)
    kernels = context.kernels
    if not context.model.trainable_variables and context.model.weights:
        yield proven(
            "no layer is trainable", "layers that learn",
            "Set layer.trainable = True before model.compile(...).",
            kernels[0].name if kernels else None,
        )  # fmt: skip
        return
    frozen = [v for v in kernels if not kernel_of(v).trainable and _untrained(v)]
    if not frozen:
        return
    sizes = {layer.name: int(np.prod(kernel_of(layer).shape)) for layer in kernels}
    share = sum(sizes[layer.name] for layer in frozen) / max(sum(sizes.values()), 1)
    certain = kernels[-1] in frozen or len(frozen) >= most * len(kernels)
    kind = proven if certain else likely
    names = [layer.name for layer in frozen]
    yield kind(
        f"{len(names)} of {len(kernels)} layers are frozen at their random start "
        f"({', '.join(names[:4])})", EXPECTED,
        f"Set {names[0]}.trainable = True before compile, or load trained weights.", names[0],
        strength=float(share >= most), evidence={"frozen_share": share},
    )  # fmt: skip


def _table(layers):
    """Embeddings that stay what Keras drew."""
    for layer in layers:
        if not isinstance(layer, keras.layers.Embedding) or layer.trainable or not layer.built:
            continue
        table = np.asarray(array_of(layer.embeddings), "float64")
        even = table.std() * np.sqrt(12) / (2 * TABLE)
        if np.abs(table).max() <= TABLE and abs(even - 1) < 0.1:
            seen = f"{layer.name} is frozen at its random start"
            advice = f"Set {layer.name}.trainable = True before compile, or load trained vectors."
            yield likely(seen, EXPECTED, advice, layer.name, strength=0.83)
            return


def _untrained(layer):
    """Bias still exactly zero and the kernel spread as its initializer spreads it."""
    bias = getattr(layer, "bias", None)
    if bias is not None and np.any(array_of(bias) != 0):
        return False
    kernel = np.asarray(array_of(kernel_of(layer)), "float64")
    if bias is None and kernel.size < 64:
        return False
    fan_in, fan_out = int(np.prod(kernel.shape[:-1])), kernel.shape[-1]
    fan_out *= int(np.prod(kernel.shape[:-2])) if kernel.ndim > 2 else 1
    init = type(getattr(layer, "kernel_initializer", None)).__name__
    if init.startswith("Glorot"):
        variance = 2.0 / (fan_in + fan_out)
    elif init.startswith(("He", "Kaiming")):
        variance = 2.0 / fan_in
    elif init.startswith("Lecun"):
        variance = 1.0 / fan_in
    else:
        return bias is not None
    tolerance = 4.0 / np.sqrt(kernel.size) + 0.08
    if abs(kernel.std() / np.sqrt(variance) - 1) > tolerance:
        return False
    if "Uniform" in init:
        return bool(np.abs(kernel).max() <= np.sqrt(3 * variance) * 1.0001)
    return True
