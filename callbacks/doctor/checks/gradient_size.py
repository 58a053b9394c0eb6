import keras
import numpy as np

from kcnn.callbacks.doctor._registry import check, likely, parameter
from kcnn.callbacks.doctor.interventions import Intervention
from kcnn.callbacks.doctor.interventions.network import rectified


@check("gradient_size", "vanishing_gradient", "exploding_gradient", stage="end", cost="pass")
def gradient_size(
    context,
    *,
    fading=parameter(1e-3, "relative gradient of the first layer over that of the last two"),
    norm=parameter(1e4, "of the whole gradient: 0.1 to 100 are usual"),
    depth=parameter(5, "kernels of a deep network; a shallow one shows the scale of its data"),
):
    """Gradients that fade or explode, before any step."""
    start = context.start
    if start is None:
        return
    if start.fading < fading and len(start.gradient) >= 4:
        first = next(iter(start.gradient))
        yield likely(
            f"the gradient of {first} is {start.fading:.1g} of that of the last layers",
            "gradients of similar size in all layers",
            "Use relu, he_normal and normalization layers, or fewer layers.", first,
            strength=1.0, cure=rectified, evidence={"ratio": start.fading},
        )  # fmt: skip
        return
    recurrent = any(isinstance(layer, keras.layers.RNN) for layer in context.layers)
    if len(context.kernels) < depth and not recurrent:
        return
    if start.gradient_norm > norm or not np.isfinite(start.gradient_norm):
        yield likely(
            f"gradient of norm {start.gradient_norm:.3g} at the first step", "about 0.1 to 100",
            "Set clipnorm=1.0 in the optimizer, and check initializers and scales.",
            "compile(optimizer=...)", cause="exploding_gradient", cure=Intervention(clip=True),
            evidence={"norm": start.gradient_norm},
        )  # fmt: skip
