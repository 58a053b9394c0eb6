"""Which interventions are worth their time: for each suspicion, the change that would mend it."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
import numpy as np

from kcnn.callbacks.doctor import _edits
from kcnn.callbacks.doctor._setting import Setting
from kcnn.callbacks.doctor._static_labels import right_head
from kcnn.callbacks.doctor._suspect import Suspect
from kcnn.callbacks.doctor._trials import Workshop
from kcnn.callbacks.doctor.program.graph import flat_layers, is_random, kernel_of, layer_activation
from kcnn.callbacks.doctor.program.rates import customary_rate, learning_rate
from kcnn.callbacks.state import innermost

__all__ = ["Change", "plan_changes"]


@dataclasses.dataclass
class Change:
    """A setting to try, and the suspect that it would confirm."""

    suspect: Suspect
    setting: Setting

    @property
    def weight(self) -> float:
        return self.suspect.weight


def plan_changes(shop: Workshop, suspects: list[Suspect], batch_given: bool) -> list[Change]:
    """Changes in the order of how likely they are to mend the program."""
    model, case = shop.graph, shop.case
    known = {s.cause: s for s in sorted(suspects, key=lambda s: s.weight)}
    plan: list[Change] = []

    def add(cause: str, setting: Setting, default: Suspect | None = None) -> None:
        suspect = known.get(cause) or default
        if suspect is not None:
            plan.append(Change(suspect, setting))

    add("unnormalized_inputs", Setting(scale_x=True))
    add("unnormalized_targets", Setting(scale_y=True))
    add("bad_initialization", Setting(start="fresh"))
    layers = flat_layers(model)
    kinds = [layer_activation(layer) for layer in layers[:-1]]
    shop.edits.update(
        rectified=_edits.rectified(model),
        leaky=_edits.leaky(model),
        relaxed=_edits.relaxed,
        still=_edits.still,
        thawed=_edits.thawed,
        unnormed=_edits.unnormed,
        wider=_edits.wider(model),
        unstrided=_edits.unstrided(model),
        bounded=_edits.bounded,
        bare_end=_edits.bare_end(model),
        deeper=_edits.deeper(model),
    )
    if shop.standard.known and not shop.standard.same(shop.head, shop.loss):
        edit = shop.standard.edit(model)
        if edit is not None:
            shop.edits["head"] = edit
            for suspect in _ends(shop, known):
                plan.append(Change(suspect, Setting(head=True)))
    add("missing_hidden_activation", Setting(edit="rectified"))
    add("vanishing_gradient", Setting(edit="rectified"))
    add("frozen_layers", Setting(edit="thawed"))
    add("excessive_regularization", Setting(edit="relaxed"), _regularized(layers))
    if any(is_random(layer) for layer in layers):
        names = [layer.name for layer in layers if is_random(layer)]
        add("augmentation_breaks_label", Setting(edit="still"), _augmented(names))
    if "missing_shuffle" in known or not case.shuffled:
        add("missing_shuffle", Setting(shuffle=True), _ordered(case.source))
    narrow = known.get("insufficient_capacity") or _small(layers)
    if narrow is not None:
        word = "unstrided" if " map is down to " in narrow.seen else "wider"
        add("insufficient_capacity", Setting(edit="deeper" if "no hidden" in narrow.seen else word),
            narrow)  # fmt: skip
        other = _small(layers) if word == "unstrided" else None
        if other is not None and "no hidden" not in other.seen:
            plan.append(Change(other, Setting(edit="wider")))
    cures = {"tanh in recurrent layers": "bounded", "relu in hidden layers": "rectified"}
    grows = [s for s in suspects if s.cause == "exploding_gradient" and s.expected in cures]
    cure = Setting(edit=cures[grows[0].expected]) if grows else Setting(clip=True)
    add("exploding_gradient", cure)
    ends = shop.head.norm is not None
    add("bad_normalization", Setting(edit="bare_end" if ends else "unnormed"))
    add("class_imbalance", Setting(balance=True))
    if "relu" in kinds:
        add("dying_relu", Setting(edit="leaky"))
    optimizer = shop.model.optimizer
    rate, usual = learning_rate(optimizer), customary_rate(optimizer)
    if rate > 0:
        up = max(10.0, usual / rate)
        down = min(0.1, usual / rate)
        add("lr_too_low", Setting(rate=up), _rate("lr_too_low", rate, usual, optimizer))
        add("lr_too_high", Setting(rate=down), _rate("lr_too_high", rate, usual, optimizer))
    if fading(shop.rates) > 0.3:
        plan.append(Change(_faded(shop.rates), Setting(hold=True)))
    n, batch = case.train.n, case.batch_size
    if batch <= 4 and n >= 64:
        add("bad_batch_size", Setting(batch=32), _batch(batch, 0.6 + 0.12 * (batch == 1), n))
    elif n >= 64 and batch > 64 and batch * 8 >= n and case.steps < 2000:
        add("bad_batch_size", Setting(batch=32), _batch(batch, 0.45 + 0.15 * (batch * 2 >= n), n))
    return sorted((c for c in plan if c.setting != Setting()), key=lambda change: -change.weight)


def _ends(shop: Workshop, known: dict[str, Suspect]) -> list[Suspect]:
    """What a customary end that trains far better would prove wrong."""
    found = [known[c] for c in ("wrong_output_activation", "wrong_loss") if c in known]
    found += [known["loss_activation_mismatch"]] if "loss_activation_mismatch" in known else []
    if found:
        return sorted(found, key=lambda s: -s.weight)[:1]
    other = shop.loss.kind != shop.standard.facts.kind
    return [
        Suspect(
            "wrong_loss" if other else "wrong_output_activation",
            0.4,
            f"{shop.head.activation} output with {shop.loss.name}",
            right_head(shop.task),
            f"Use {right_head(shop.task)}.",
            "compile(loss=...)" if other else shop.head.layer,
            check="head",
        )
    ]


def _small(layers: list[Any]) -> Suspect | None:
    """Hidden layers that may be too narrow, or none at all."""
    kernels = [layer for layer in layers if kernel_of(layer) is not None]
    if not kernels or any(isinstance(layer, keras.layers.RNN) for layer in layers):
        return None
    if len(kernels) == 1 and not any(isinstance(v, keras.layers.Embedding) for v in layers):
        words, where = "no hidden layer", kernels[0].name
    else:
        sizes = {
            layer.name: int(getattr(layer, "units", 0) or 4 * (getattr(layer, "filters", 0) or 99))
            for layer in kernels[:-1]
        }
        if not sizes or min(sizes.values()) >= 32:
            return None
        where = min(sizes, key=lambda name: sizes[name])
        words = f"a narrow hidden layer ({where})"
    return Suspect(
        "insufficient_capacity", 0.4, words, "hidden layers as wide as the task needs",
        "Add a hidden layer of 64 relu units." if "no hidden" in words else f"Widen {where}.",
        where, check="layers",
    )  # fmt: skip


def _rate(cause: str, rate: float, usual: float, optimizer: Any) -> Suspect:
    name = type(innermost(optimizer)[-1]).__name__
    factor = 10.0 if cause == "lr_too_low" else 0.1
    return Suspect(
        cause,
        0.3,
        f"learning rate {rate:g} of {name}",
        "a rate at which the loss falls fast and steadily",
        f"Set learning_rate={rate * factor:.2g} in {name}(...).",
        "compile(optimizer=...)",
        False,
        "learning_rate",
        {"learning_rate": rate, "usual": usual},
    )


def fading(rates: np.ndarray) -> float:
    """Share of the steps taken at less than a hundredth of the largest rate."""
    return float(np.mean(rates < 0.01 * rates.max())) if rates.size else 0.0


def _faded(rates: np.ndarray) -> Suspect:
    share, top, last = fading(rates), float(rates.max()), float(rates[-1])
    return Suspect(
        "lr_too_low", 0.5 + 0.2 * share,
        f"the learning rate falls from {top:.2g} to {last:.2g}: in {100 * share:.0f} % of the "
        "steps it is under a hundredth of its start",
        "a rate that falls late in training",
        "Let the schedule fall more slowly: larger decay_steps, or a larger decay_rate.",
        "compile(optimizer=...)", False, "learning_rate", {"largest": top, "last": last},
    )  # fmt: skip


def _batch(batch: int, weight: float, n: int) -> Suspect:
    return Suspect(
        "bad_batch_size", weight, f"batches of {batch} for {n} samples", "16 to 128",
        "Set batch_size=32 in fit.", "fit(batch_size=...)", False, "batch_size",
        {"batch_size": batch, "samples": n},
    )  # fmt: skip


def _regularized(layers: list[Any]) -> Suspect | None:
    strong = [layer for layer in layers if _edits.relaxed(layer) is not None]
    if not strong:
        return None
    rates = [float(getattr(v, "rate", 0) or 0) for v in strong]
    return Suspect(
        "excessive_regularization",
        float(np.clip(0.15 + 0.4 * max(rates) - 0.1 + 0.05 * len(strong), 0.2, 0.55)),
        f"{len(strong)} layers with dropout, noise or penalties",
        "regularization that leaves the training data learnable",
        f"Lower it in {strong[0].name}.",
        strong[0].name,
        check="layers",
    )


def _augmented(names: list[str]) -> Suspect:
    return Suspect(
        "augmentation_breaks_label",
        0.55,
        f"random transforms inside the model ({', '.join(names[:3])})",
        "transforms that keep the class",
        f"Remove {names[0]}, or restrict it to changes that keep the label.",
        names[0],
        check="augmentation",
    )


def _ordered(source: str) -> Suspect:
    return Suspect(
        "missing_shuffle",
        0.4,
        "rows are not shuffled",
        "rows in random order",
        "Set shuffle=True." if source == "arrays" else "Add dataset.shuffle(len(x)).",
        "fit(shuffle=...)",
        check="order",
    )
