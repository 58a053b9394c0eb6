import numpy as np

from kcnn.callbacks.doctor._registry import check, likely, parameter, possible, proven
from kcnn.callbacks.doctor.interventions import Intervention
from kcnn.callbacks.doctor.program.graph import kernel_of
from kcnn.callbacks.keras_internals import array_of

SOME = 1 / 3  # of the layers constant; fewer are branch ends started at zero on purpose


@check("initial_weights", "bad_initialization", stage="start", cure=Intervention(fresh=True))
def initial_weights(
    context,
    *,
    large=parameter(6, "times the weights that keep the size of what passes"),
    small=parameter(0.08, "the same, below"),
    bias=parameter(20, "a bias that no input of size 1 outweighs"),
):
    """Kernels that are constant, far too large or far too small."""
    layers = context.kernels
    odd = [
        (layer, found)
        for index, layer in enumerate(layers)
        if (found := _odd(layer, index == len(layers) - 1, large, small, bias))
    ]
    if not odd:
        return
    constant = [item for item in odd if item[1][0] is proven]
    layer, (kind, strength, words) = max(
        constant[:1] or odd, key=lambda item: (item[1][0] is likely, item[1][1])
    )
    if constant and len(constant) < max(1, int(len(layers) * SOME)):
        kind, strength = likely, 0.0
    yield kind(
        f"{words} in {layer.name} ({len(odd)} of {len(layers)} layers)",
        "random weights of variance about 2 / inputs",
        f"Remove kernel_initializer from {layer.name}, or use 'he_normal'.", layer.name,
        strength=strength, evidence={"layers": [item[0].name for item in odd[:8]]},
    )  # fmt: skip


def _odd(layer, last, large, small, most):
    """Certainty, strength and words for a kernel that is odd; None for another."""
    kernel = np.asarray(array_of(kernel_of(layer)), "float64")
    if not np.isfinite(kernel).all():
        return None
    fan_in = int(np.prod(kernel.shape[:-1]))
    if kernel.size >= 4 and np.ptp(kernel) == 0 and kernel.shape[-1] > 1:
        words = f"all weights equal {kernel.flat[0]:g}"
        if not last:
            return proven, 1.0, words
        return (likely, 0.0, words) if abs(kernel.flat[0]) * fan_in > 20 else None
    bias = getattr(layer, "bias", None)
    top = 0.0 if bias is None else float(np.abs(array_of(bias)).max(initial=0))
    size = float(np.sqrt((kernel**2).mean()) * np.sqrt(fan_in))
    if fan_in >= 4 and kernel.size >= 8 and size > large:
        doublings = np.log2(size / large)
        kind = likely if doublings > 0.75 else possible
        strength = (doublings - 0.75) / 1.25 if doublings > 0.75 else doublings / 0.75
        return kind, min(strength, 1.0), f"weights {size:.0f} times as large as usual"
    if fan_in >= 4 and kernel.size >= 8 and size < small and not last:
        halvings = np.log2(small / max(size, 1e-9))
        kind = likely if halvings > 1 else possible
        strength = (halvings - 1) / 1.67 if halvings > 1 else halvings
        return kind, min(strength, 1.0), f"weights of {kernel.std():.1g} for {fan_in} inputs"
    return (likely, 0.4, f"bias of {top:.3g}") if top >= most else None
