"""What the finished run shows: dead units, curves that turn, labels without meaning."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from kcnn.callbacks.doctor._facts import Facts, few
from kcnn.callbacks.doctor._probe import Probe, probe_model
from kcnn.callbacks.doctor._record import Run
from kcnn.callbacks.doctor._rig import Rig
from kcnn.callbacks.doctor._static_split import agreement
from kcnn.callbacks.doctor._suspect import Suspect
from kcnn.callbacks.doctor._trials import Outcome, Workshop

__all__ = ["read_symptoms"]


def read_symptoms(
    model: keras.Model, rig: Rig, facts: Facts, shop: Workshop, run: Run, final: Outcome
) -> list[Suspect]:
    """Suspicions from the state at the end of the run; `rig` holds the final weights."""
    found: list[Suspect] = []
    rows = shop.look.take(slice(0, few(shop.look.x)))
    end: Probe | None = None
    start: Probe | None = None
    try:
        end = probe_model(rig.model, rows.x, rows.y)
        rig.reset()
        start = probe_model(rig.model, rows.x, rows.y)
        rig.reset()
    except Exception:  # a model that cannot be looked into layer by layer
        end = None
    if end is not None and start is not None:
        found += _relu(start, end)
        found += _gradients(start)
    found += _labels(facts, shop, final)
    found += _overfitting(run, final)
    return found


def _relu(start: Any, end: Any) -> list[Suspect]:
    worst = max(end.dead.items(), key=lambda item: item[1], default=None)
    if worst is None or worst[1] < 0.6:
        return []
    born = start.dead.get(worst[0], 0.0)
    return [
        Suspect(
            "dying_relu",
            0.8 if worst[1] > 0.9 else 0.55,
            f"{100 * worst[1]:.0f} % of the units of {worst[0]} are zero for every sample",
            "few dead units",
            "Use a smaller learning rate and 'he_normal', or leaky_relu.",
            where=worst[0],
            check="activations",
            evidence={"dead": worst[1], "dead_at_start": born},
        )
    ]


def _gradients(start: Any) -> list[Suspect]:
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
    if start.gradient_norm > 1e4 or not np.isfinite(start.gradient_norm):
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


def _labels(facts: Facts, shop: Workshop, final: Outcome) -> list[Suspect]:
    case, task = facts.case, facts.task
    if case.train.n < 100 or not case.train.single:
        return []
    labels = task.labels
    mine = agreement(case.train, task, None if labels is None else labels[: case.train.n])
    if mine is None:
        return []
    z, share, chance = mine
    other = None
    if case.val is not None and labels is not None and len(labels) > case.train.n:
        other = agreement(case.val, task, labels[case.train.n :])
    weight = 0.0
    if z < 3:
        weight = 0.8
        if other is not None and other[0] > 6:
            weight = 0.97
    elif other is not None and other[1] - share > 0.25 and other[0] > 6:
        weight = 0.8
    val = final.val if np.isfinite(final.val) else final.train
    if not weight or val > 0.25:
        return []
    if case.moving and other is not None and other[0] > 6:
        return [
            Suspect(
                "augmentation_breaks_label",
                0.95,
                f"neighbours share a label less often ({share:.2f}) in the randomly transformed "
                f"training data than in the validation data ({other[1]:.2f})",
                "transforms that keep the class",
                "Remove the random transforms one by one from the training pipeline.",
                where="x",
                firm=True,
                check="augmentation",
                evidence={"agreement": share, "validation": other[1], "chance": chance},
            )
        ]
    return [
        Suspect(
            "label_misalignment",
            weight,
            f"near neighbours share a label no more often than chance ({share:.2f}, "
            f"chance {chance:.2f})",
            "labels that go with their inputs",
            "Check that x and y are shuffled, sorted and filtered together.",
            where="y",
            firm=weight > 0.75 and val < 0.12,
            check="label_permutation",
            evidence={"z": z, "agreement": share, "chance": chance},
        )
    ]


def _overfitting(run: Run, final: Outcome) -> list[Suspect]:
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
        return [
            Suspect(
                "overfitting",
                0.92,
                f"validation loss is {rise:.2f} times its best (epoch {best + 1}) while the "
                "training loss falls",
                "validation loss that falls or stays",
                "Stop early (EarlyStopping(restore_best_weights=True)), or add dropout or data.",
                where="fit(epochs=...)",
                firm=True,
                check="curves",
                evidence={"rise": float(rise), "best_epoch": best + 1, "gap": gap},
            )
        ]
    return []
