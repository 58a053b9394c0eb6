"""What the finished run shows: dead units, gradients that fade or explode, curves that turn."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from kcnn.callbacks.doctor._facts import few
from kcnn.callbacks.doctor._run import Run
from kcnn.callbacks.doctor._setting import Outcome
from kcnn.callbacks.doctor._suspect import Suspect
from kcnn.callbacks.doctor._trials import Workshop
from kcnn.callbacks.doctor.program.graph import flat_layers, kernel_of
from kcnn.callbacks.doctor.program.layer_reading import LayerReading, read_layers
from kcnn.callbacks.doctor.trials.trainer import Trainer

__all__ = ["read_symptoms"]


def read_symptoms(trainer: Trainer, shop: Workshop, run: Run, final: Outcome) -> list[Suspect]:
    """Suspicions from the state at the end of the run; `trainer` holds the final weights."""
    found: list[Suspect] = []
    rows = shop.look.take(slice(0, few(shop.look.x)))
    end: LayerReading | None = None
    start: LayerReading | None = None
    try:
        end = read_layers(trainer.model, rows.x, rows.y)
        trainer.reset()
        start = read_layers(trainer.model, rows.x, rows.y)
        trainer.reset()
    except Exception:  # a model that cannot be looked into layer by layer
        end = None
    if end is not None and start is not None:
        found += _relu(start, end)
        found += _growth(start) or _gradients(start, _deep(trainer.model))
    found += _overfitting(run, final, shop.task.kind in ("binary", "multiclass"))
    return found


def _relu(start: Any, end: Any) -> list[Suspect]:
    worst = max(end.dead.items(), key=lambda item: item[1], default=None)
    if worst is None or worst[1] < 0.6:
        return []
    born = start.dead.get(worst[0], 0.0)
    return [
        Suspect(
            "dying_relu",
            0.8 if born > 0.5 else 0.5,  # units that die in training have a cause before them
            f"{100 * worst[1]:.0f} % of the units of {worst[0]} are zero for every sample",
            "few dead units",
            "Use a smaller learning rate and 'he_normal', or leaky_relu.",
            where=worst[0],
            check="activations",
            evidence={"dead": worst[1], "dead_at_start": born},
        )
    ]


def _growth(start: LayerReading) -> list[Suspect]:
    """Activations that grow from layer to layer, before any step."""
    sizes = [size for size in list(start.size.values())[:-1] if size > 0]
    deep = len(sizes) >= 4 and sizes[-1] > 100 * max(sizes[0], 0.1)
    if not deep and not (len(sizes) >= 1 and max(sizes) > 1e3):
        return []
    return [
        Suspect(
            "exploding_gradient",
            0.75,
            f"activations grow from {sizes[0]:.2g} to {sizes[-1]:.2g} through the layers"
            if deep
            else f"activations as large as {max(sizes):.2g}",
            "activations of similar size in all layers",
            "Add normalization layers, or use 'he_normal' and fewer layers.",
            where=list(start.size)[-2],
            check="activations",
            evidence={"first": sizes[0], "last": sizes[-1]},
        )
    ]


def _deep(model: Any) -> bool:
    """Deep or recurrent; elsewhere a large gradient only shows the scale of data or loss."""
    layers = flat_layers(model)
    kernels = [layer for layer in layers if kernel_of(layer) is not None]
    return len(kernels) >= 5 or any(isinstance(layer, keras.layers.RNN) for layer in layers)


def _gradients(start: Any, deep: bool) -> list[Suspect]:
    if start.fading < 1e-3 and len(start.gradient) >= 4:
        first = next(iter(start.gradient))
        return [
            Suspect(
                "vanishing_gradient",
                0.75,
                f"the gradient of {first} is {start.fading:.1g} of that of the last layers",
                "gradients of similar size in all layers",
                "Use relu, he_normal and normalization layers, or fewer layers.",
                where=first,
                check="gradients",
                evidence={"ratio": start.fading},
            )
        ]
    if deep and (start.gradient_norm > 1e4 or not np.isfinite(start.gradient_norm)):
        return [
            Suspect(
                "exploding_gradient",
                0.6,
                f"gradient of norm {start.gradient_norm:.3g} at the first step",
                "about 0.1 to 100",
                "Set clipnorm=1.0 in the optimizer, and check initializers and scales.",
                where="compile(optimizer=...)",
                check="gradients",
                evidence={"norm": start.gradient_norm},
            )
        ]
    return []


def _overfitting(run: Run, final: Outcome, classes: bool) -> list[Suspect]:
    losses = np.asarray(run.history.get("val_loss", []), "float64")
    train = np.asarray(run.history.get("loss", []), "float64")
    if len(losses) < 4 or not np.isfinite(losses).all():
        return []
    best = int(losses.argmin())
    rise = losses[-1] / max(losses[best], 1e-12)
    gap = final.train - final.val
    falling = train[-1] < 0.8 * train[best]
    excess = (losses[-1] - losses[best]) / max(losses[0], train[0], 1e-12)
    turned = rise > 1.3 and excess > 0.08 and best < 0.7 * len(losses)
    if turned and gap > 0.15 and falling and final.train > 0.7:
        # wrong answers, not only confident ones: a few of those move the validation loss far
        lost = gap > 0.25 and not (classes and final.balanced > 0.82)
        return [
            Suspect(
                "overfitting",
                0.92 if lost else 0.6,
                f"validation loss is {rise:.2f} times its best (epoch {best + 1}) while the "
                "training loss falls",
                "validation loss that falls or stays",
                "Stop early (EarlyStopping(restore_best_weights=True)), or add dropout or data.",
                where="fit(epochs=...)",
                firm=lost,
                check="curves",
                evidence={"rise": float(rise), "best_epoch": best + 1, "gap": gap},
            )
        ]
    return []
