"""The builder of every network made of stages of equal blocks."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import keras

from kcnn.layers import ConvNormAct
from kcnn.models import _parts
from kcnn.models._options import Options

__all__ = ["ResidualOptions", "StagedOptions", "staged"]

Stem = Literal["imagenet", "cifar"]
STEMS = ("imagenet", "cifar")
SHORTCUTS = ("conv", "avgpool-conv", "identity-pad")


@dataclass(frozen=True, kw_only=True)
class StagedOptions(Options):
    """Networks of stages of equal blocks.

    Attributes:
        stem: "imagenet" (7x7 stride 2 and max pooling) or "cifar" (3x3).
        use_bias: of the convolutions; None: only without a norm. keras.applications: True.
    """

    stem: Stem = "imagenet"
    use_bias: bool | None = None

    choices: ClassVar[Mapping[str, tuple[Any, ...]]] = {**Options.choices, "stem": STEMS}


@dataclass(frozen=True, kw_only=True)
class ResidualOptions(StagedOptions):
    """Residual networks.

    Attributes:
        shortcut: "conv", "avgpool-conv" or "identity-pad" where the shape changes.
        zero_init_residual: every block starts as its shortcut (arXiv:1706.02677).
        drop_path: rate of stochastic depth at the last block, growing from 0.
    """

    shortcut: Literal["conv", "avgpool-conv", "identity-pad"] = "conv"
    zero_init_residual: bool = False
    drop_path: float = 0.0

    choices: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        **StagedOptions.choices,
        "shortcut": SHORTCUTS,
    }


def staged(
    options: StagedOptions,
    *,
    name: str,
    block: Callable[..., Any],
    block_options: Mapping[str, Any],
    stem_options: Mapping[str, Any],
    depths: Sequence[int],
    filters: Sequence[int],
    first_filters: int | None = None,
    ending: Callable[[Any], Any] | None = None,
    strided_last: bool = False,
) -> keras.Model:
    """stem -> stages -> ending -> pooling -> logits.

    Stage i holds `depths[i]` blocks of `filters[i]` filters; every stage but the
    first halves the image, in its first block or, with `strided_last`, every stage
    but the last in its last block (where the shortcut is the strided identity).

    Args:
        options: the user's.
        name: of the network.
        block: makes a block from (filters, strides=, name=, **block_options).
        stem_options: for the stem's `ConvNormAct`.
        first_filters: of the stem, "imagenet" (1/4 of the size) or "cifar" (3x3, full size); None:
            those of the first stage.
        ending: applied to the last stage's output (the last norm of a pre-activation net).
    """
    imagenet = options.stem == "imagenet"
    shrinks = math.prod([4 if imagenet else 1] + [2] * (len(depths) - 1))
    inputs, x = _parts.start(options, name=name, smallest=shrinks)
    first = options.scaled(first_filters or filters[0])
    if imagenet:
        x = _parts.imagenet_stem(x, first, **stem_options)
    else:
        x = ConvNormAct(first, name="stem", **stem_options)(x)

    rates = iter(_parts.drop_rates(getattr(options, "drop_path", 0.0), sum(depths)))
    for i, (depth, size) in enumerate(zip(depths, filters, strict=True)):
        at = depth - 1 if strided_last else 0
        shrink = i < len(depths) - 1 if strided_last else i > 0
        for j in range(depth):
            strided = shrink and j == at
            chosen = {**block_options, "strides": 2 if strided else 1}
            if strided and strided_last:
                chosen["shortcut"] = "identity-pad"
            rate = next(rates)
            if rate:
                chosen["drop_path"] = rate
            label = f"stage_{i + 1}_block_{j + 1}"
            x = block(options.scaled(size), name=label, **chosen)(x)
    if ending is not None:
        x = ending(x)
    return _parts.finish(options, inputs, x, name=name)
