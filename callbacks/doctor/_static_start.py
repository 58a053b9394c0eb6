"""The values training starts from: kernels, and the optimizer's numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from kcnn.callbacks.doctor._suspect import Suspect
from kcnn.callbacks.doctor.program.graph import flat_layers, kernel_of
from kcnn.callbacks.doctor.program.rates import customary_rate, learning_rate
from kcnn.callbacks.keras_internals import array_of
from kcnn.callbacks.state import innermost

__all__ = ["judge_optimizer", "judge_start"]

WHERE = "compile(optimizer=...)"


def judge_optimizer(optimizer: Any) -> Iterator[Suspect]:
    """A rate of the wrong sign, or orders of magnitude away from what is customary."""
    rate, usual = learning_rate(optimizer), customary_rate(optimizer)
    inner = innermost(optimizer)[-1]
    name = type(inner).__name__
    evidence = {"learning_rate": rate, "usual": usual, "optimizer": name}
    advice = f"Set learning_rate={usual:g} in {name}(...)."
    if not np.isfinite(rate) or rate < 0:
        yield Suspect(
            "lr_too_high", 1.0, f"learning rate {rate:g}: the loss is climbed, not descended",
            "a positive rate", advice, WHERE, True, "optimizer", evidence,
        )  # fmt: skip
    elif rate == 0:
        yield Suspect(
            "lr_too_low", 1.0, "learning rate 0", "a positive rate", advice, WHERE, True,
            "optimizer", evidence,
        )  # fmt: skip
    else:
        momentum = float(getattr(inner, "momentum", 0.0) or 0.0)
        pace = rate / max(1 - momentum, 1e-2) if name == "SGD" else rate
        ratio = pace / usual
        if ratio >= 8:
            yield Suspect(
                "lr_too_high", float(np.clip(0.35 + 0.2 * np.log10(ratio), 0, 0.85)),
                f"learning rate {rate:g} of {name}", f"about {usual:g}", advice, WHERE, False,
                "optimizer", evidence,
            )  # fmt: skip
        if ratio <= 0.6:
            yield Suspect(
                "lr_too_low", float(np.clip(0.4 + 0.2 * np.log10(1 / ratio), 0, 0.89)),
                f"learning rate {rate:g} of {name}", f"about {usual:g}", advice, WHERE, False,
                "optimizer", evidence,
            )  # fmt: skip


def judge_start(model: keras.Model) -> Iterator[Suspect]:
    """Kernels that are constant, far too large or far too small."""
    layers = [layer for layer in flat_layers(model) if kernel_of(layer) is not None]
    odd: list[tuple[float, Any, str, bool]] = []
    for index, layer in enumerate(layers):
        kernel = np.asarray(array_of(kernel_of(layer)), "float64")
        if not np.isfinite(kernel).all():
            continue
        bias = getattr(layer, "bias", None)
        if bias is not None:
            top = float(np.abs(array_of(bias)).max(initial=0))
            if top >= 20:
                odd.append((0.7, layer, f"bias of {top:.3g}", False))
        last = index == len(layers) - 1
        fan_in = int(np.prod(kernel.shape[:-1]))
        spread = float(kernel.std())
        if kernel.size >= 4 and np.ptp(kernel) == 0 and kernel.shape[-1] > 1:
            if not last:
                odd.append((1.0, layer, f"all weights equal {kernel.flat[0]:g}", True))
            elif kernel.flat[0] != 0 and abs(kernel.flat[0]) * fan_in > 20:
                odd.append((0.6, layer, f"all weights equal {kernel.flat[0]:g}", False))
            continue
        size = float(np.sqrt((kernel**2).mean()) * np.sqrt(fan_in))
        if fan_in >= 4 and kernel.size >= 8:
            if size > 6:
                weight = float(np.clip(0.45 + 0.2 * np.log2(size / 6), 0, 0.85))
                odd.append((weight, layer, f"weights {size:.0f} times as large as usual", False))
            elif size < 0.08 and spread >= 0 and not last:
                weight = float(np.clip(0.45 + 0.15 * np.log2(0.08 / max(size, 1e-9)), 0, 0.85))
                odd.append((weight, layer, f"weights of {spread:.1g} for {fan_in} inputs", False))
    if not odd:
        return
    constant = [item for item in odd if item[3]]
    weight, layer, words, firm = (constant or [max(odd, key=lambda item: item[0])])[0]
    if firm and len(constant) < max(1, len(layers) // 3):
        weight, firm = 0.6, False  # a zero-initialised branch end is a known trick
    yield Suspect(
        "bad_initialization",
        weight,
        f"{words} in {layer.name} ({len(odd)} of {len(layers)} layers)",
        "random weights of variance about 2 / inputs",
        f"Remove kernel_initializer from {layer.name}, or use 'he_normal'.",
        where=layer.name,
        firm=firm,
        check="initial_weights",
        evidence={"layers": [item[1].name for item in odd[:8]]},
    )
