"""The builder of every network made of stages of equal blocks."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras

from kcnn.layers import ConvNormAct
from kcnn.models import _parts

__all__ = ["staged"]

STEMS = ("imagenet", "cifar")
POOLINGS = (None, "avg", "max")


def staged(
    *,
    block: Callable[..., keras.layers.Layer],
    depths: Sequence[int],
    filters: Sequence[int],
    first_filters: int,
    first_strides: int = 1,
    classes: int,
    input_shape: Sequence[int | None],
    name: str,
    stem: str,
    stem_options: dict[str, Any],
    options: dict[str, Any],
    ending: Callable[[Any], Any] | None = None,
    strided_last: bool = False,
    include_top: bool,
    pooling: str | None,
    dropout: float,
    drop_path: float,
    width: float,
    preprocess: keras.layers.Layer | None,
) -> keras.Model:
    """stem -> stages -> ending -> pooling -> logits.

    Stage i holds `depths[i]` blocks of `filters[i]` filters; every stage but the
    first halves the image, in its first block or, with `strided_last`, every stage
    but the last in its last block (where the shortcut is the strided identity).

    Args:
        block: makes a block from (filters, strides=, name=, **options).
        first_filters: of the stem, "imagenet" (1/4 of the size) or "cifar" (3x3, full size).
        stem_options: for the stem's `ConvNormAct`.
        options: for every block; `data_format` must be among them.
        ending: applied to the last stage's output (the last norm of a pre-activation net).
        include_top, pooling, dropout, drop_path, width, preprocess: as in `create_model`.
    """
    _parts.one_of(name, "stem", stem, STEMS)
    _parts.one_of(name, "pooling", pooling, POOLINGS)
    _parts.check_numbers(
        name,
        classes=classes,
        width=width,
        include_top=include_top,
        dropout=dropout,
        drop_path=drop_path,
    )
    data_format = options["data_format"]
    shrinks = math.prod([4 if stem == "imagenet" else 1] + [2] * (len(depths) - 1))
    inputs, x = _parts.image_input(
        input_shape, name=name, smallest=shrinks, data_format=data_format, preprocess=preprocess
    )
    first = _parts.scaled(first_filters, width)
    if stem == "imagenet":
        x = _parts.imagenet_stem(x, first, **stem_options)
    else:
        x = ConvNormAct(first, name="stem", **stem_options)(x)

    rates = iter(_parts.drop_rates(drop_path, sum(depths)))
    for i, (depth, size) in enumerate(zip(depths, filters, strict=True)):
        at = depth - 1 if strided_last else 0
        shrink = i < len(depths) - 1 if strided_last else i > 0
        for j in range(depth):
            strided = shrink and j == at
            chosen = {**options, "strides": 2 if strided else 1}
            if strided and strided_last:
                chosen["shortcut"] = "identity-pad"
            rate = next(rates)
            if rate:
                chosen["drop_path"] = rate
            label = f"stage_{i + 1}_block_{j + 1}"
            x = block(_parts.scaled(size, width), name=label, **chosen)(x)

    if ending is not None:
        x = ending(x)
    if include_top:
        x = _parts.pool(x, pooling or "avg", data_format)
        x = _parts.classifier(x, classes, dropout)
    else:
        x = _parts.pool(x, pooling, data_format)
    return keras.Model(inputs, x, name=name)
