"""What epochs and activations say while training goes on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np

from kcnn.callbacks._finding import Finding
from kcnn.callbacks.doctor.program.graph import known_graph, layer_activation
from kcnn.callbacks.doctor.trials.trainer import tensors

__all__ = ["judge_epochs", "judge_layers", "loss_falls"]

PATIENCE = 3  # epochs after which a loss that has not fallen speaks against the rate


def loss_falls(losses: Sequence[float]) -> bool:
    """Whether nothing in the epochs' losses speaks against the learning rate (yet)."""
    if not np.isfinite(losses).all():
        return False
    return len(losses) < PATIENCE or min(losses[1:]) < losses[0]


def judge_epochs(history: dict[str, list[float]], rate: float) -> Iterator[Finding]:
    """Findings from the logs of the epochs so far."""
    loss = np.asarray(history.get("loss", []), "float64")
    val = np.asarray(history.get("val_loss", []), "float64")
    if not len(loss) or not np.isfinite(loss).all():
        return
    if len(loss) >= 3 and loss[-1] > 3 * max(loss[0], 1e-9) and loss[-1] > loss[-2]:
        yield Finding(
            "curves", "failure", f"the loss grew from {loss[0]:.3g} to {loss[-1]:.3g}",
            "a falling loss", f"Lower the learning rate ({rate:g}) ten times.",
            cause="lr_too_high", where="compile(optimizer=...)",
        )  # fmt: skip
    if len(val) >= 6 and np.isfinite(val).all():
        best = int(val.argmin())
        if val[-1] > 1.3 * val[best] and best < 0.6 * len(val) and loss[-1] < 0.8 * loss[best]:
            yield Finding(
                "curves", "failure",
                f"validation loss is {val[-1] / val[best]:.2f} times its best (epoch {best + 1}) "
                "while the training loss falls", "validation loss that falls or stays",
                "Stop early and restore the best weights, or add dropout or data.",
                cause="overfitting", where="fit(epochs=...)",
            )  # fmt: skip


def judge_layers(model: keras.Model, x: Any) -> Iterator[tuple[Finding, bool]]:
    """Dead relu layers on a few rows; the flag says that no signal passes at all."""
    if not known_graph(model):
        return
    layers = [
        layer
        for layer in model.layers
        if layer_activation(layer) == "relu"
        and not isinstance(layer, keras.Model)
        and len(layer._inbound_nodes) == 1
    ]
    if not layers:
        return
    inputs = model.inputs[0] if len(model.inputs) == 1 else model.inputs
    outs = keras.Model(inputs, [layer.output for layer in layers])(tensors(x), training=False)
    outs = outs if isinstance(outs, (list, tuple)) else [outs]
    for layer, out in zip(layers, outs, strict=True):
        rows = np.asarray(out).reshape(-1, out.shape[-1])
        dead = float((rows.max(0) <= 0).mean())
        if dead > 0.9:
            yield (
                Finding(
                    "activations", "failure" if dead == 1 else "warning",
                    f"{100 * dead:.0f} % of the units of {layer.name} are zero for every sample",
                    "few dead units", "Use a smaller learning rate and 'he_normal'.",
                    cause="dying_relu", where=layer.name, evidence={"dead": dead},
                ),
                dead == 1,
            )  # fmt: skip
