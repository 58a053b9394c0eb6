"""The builder of every network made of stages of equal blocks."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import keras

from kcnn.layers import ConvNormAct
from kcnn.layers._typed import Shortcut
from kcnn.models import _parts
from kcnn.models._options import Options

__all__ = ["SMALL", "ResidualOptions", "StagedOptions", "staged"]

Stem = Literal["imagenet", "cifar"]

# Options that blocks take and the stem does not.
_OF_BLOCKS = (
    "shortcut",
    "zero_init_residual",
    "se_ratio",
    "stride_on",
    "groups",
    "width_per_group",
)
# The published values of the paper's networks for images of 32x32, with shortcuts and without.
SMALL: dict[str, Any] = {
    "source": "He et al. 2015, arXiv:1512.03385, section 4.2",
    "input_shape": (32, 32, 3),
    "classes": 10,
    "filters": (16, 32, 64),
    "stem": "cifar",
}


@dataclass(frozen=True, kw_only=True)
class StagedOptions(Options):
    """Networks of stages of equal blocks.

    Attributes:
        stem: "imagenet" (7x7 stride 2 and max pooling) or "cifar" (3x3).
        use_bias: of the convolutions; None: only without a norm. keras.applications: True.
    """

    stem: Stem = "imagenet"
    use_bias: bool | None = None


@dataclass(frozen=True, kw_only=True)
class ResidualOptions(StagedOptions):
    """Residual networks.

    Attributes:
        shortcut: "conv", "avgpool-conv" or "identity-pad" where the shape changes.
        zero_init_residual: every block starts as its shortcut (arXiv:1706.02677).
        drop_path: rate of stochastic depth at the last block, growing from 0.
    """

    shortcut: Shortcut = "conv"
    zero_init_residual: bool = False
    drop_path: float = 0.0


def staged(
    options: StagedOptions,
    *,
    name: str,
    block: Callable[..., Any],
    depths: Sequence[int],
    filters: Sequence[int],
    first_filters: int | None = None,
    block_options: Mapping[str, Any] | None = None,
    stem_options: Mapping[str, Any] | None = None,
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
        block: makes a block from (filters, strides=, name=, ...) and what the options say of it.
        first_filters: of the stem, "imagenet" (1/4 of the size) or "cifar" (3x3, full size); None:
            those of the first stage.
        block_options: in place of the options', for the block.
        stem_options: in place of the options', for the stem's `ConvNormAct`.
        ending: applied to the last stage's output (the last norm of a pre-activation net).
    """
    common = {**options.normed, **options.picked("use_bias", "weight_standardization")}
    stem = {**common, **(stem_options or {})}
    blocks = {**common, **options.picked(*_OF_BLOCKS), "padding": "symmetric"}
    blocks |= block_options or {}
    imagenet = options.stem == "imagenet"
    shrinks = math.prod([4 if imagenet else 1] + [2] * (len(depths) - 1))
    inputs, x = _parts.start(options, name=name, smallest=shrinks)
    first = options.scaled(first_filters or filters[0])
    if imagenet:
        x = _parts.imagenet_stem(x, first, **stem)
    else:
        x = ConvNormAct(first, name="stem", **stem)(x)

    rates = iter(_parts.drop_rates(getattr(options, "drop_path", 0.0), sum(depths)))
    for i, (depth, size) in enumerate(zip(depths, filters, strict=True)):
        at = depth - 1 if strided_last else 0
        shrink = i < len(depths) - 1 if strided_last else i > 0
        for j in range(depth):
            strided = shrink and j == at
            chosen = {**blocks, "strides": 2 if strided else 1}
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
