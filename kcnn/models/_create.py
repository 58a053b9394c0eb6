"""Build a network by its name."""

import os
from collections.abc import Sequence
from typing import Any

import keras

from kcnn.models._features import features
from kcnn.models._options import Norm
from kcnn.models._pretrained import build_pretrained
from kcnn.models._registry import find

__all__ = ["create_model"]


def create_model(
    network: str,
    /,
    classes: int | None = None,
    *,
    input_shape: tuple[int | None, ...] | None = None,
    norm: Norm | None = None,
    width: float = 1.0,
    preprocess: keras.layers.Layer | None = None,
    name: str | None = None,
    weights: str | os.PathLike[str] | None = None,
    pretrained: str | os.PathLike[str] | bool | None = None,
    features_only: bool = False,
    out_indices: Sequence[int] | None = None,
    **options: Any,
) -> keras.Model:
    """Build the network registered under a name; its output is logits in float32.

    Args:
        network: one of `list_models()`.
        classes: number of classes; the published number if left out.
        input_shape: (height, width, channels), height and width may be None
            for a free image size; (channels, height, width) with
            `data_format="channels_first"`. The published shape if left out.
        norm: "batch", "sync_batch", "layer", "instance", "group", "none" or a layer class;
            the published one if left out.
        width: multiplies every number of filters.
        preprocess: a layer put right after the input, for example a
            `keras.layers.Normalization`.
        name: of the model; the network's if left out, numbered when it is taken already.
        weights: what keras.applications calls `pretrained`; None for random weights.
        pretrained: the name of a weights card (`model_info(network).pretrained` has them),
            such as "imagenet", or True for the first; or the path of a `.keras`,
            `.weights.h5`, `.safetensors`, `.npz` or torch file. A card's preprocessing is
            built in (unless `preprocess` replaces it), so that raw images 0..255 go in; it
            is fetched once into Keras's cache. With another number of classes than the
            weights' the last layer is new.
        features_only: give a list of maps instead of logits, the last one at each size.
        out_indices: which of them, as `features` takes them; all if left out.
        **options: what the network takes besides (`activation`, `dropout`, `include_top`,
            `pooling`, `classifier_activation`, `input_tensor`, `data_format`, ...):
            `help(kcnn.models.resnet50)` explains all of them, `model_options(network)` lists
            them, and a wrong one is answered with that list.

    Raises:
        ValueError: unknown network, option or norm (the nearest is named),
            `classes` below 1, or images too small for the downsampling.

    >>> create_model("resnet20", classes=10, input_shape=(32, 32, 3), norm="group").output_shape
    (None, 10)
    """
    if weights is not None and pretrained not in (None, weights):
        raise ValueError(f"{network}: weights= and pretrained= are the same; give one of them.")
    pretrained = weights if pretrained is None else pretrained
    if features_only:
        options["include_top"] = False
    elif out_indices is not None:
        raise ValueError(f"{network}: out_indices are for features_only=True.")
    chosen = dict(
        input_shape=input_shape, norm=norm, width=width, preprocess=preprocess, name=name, **options
    )
    if pretrained is None or pretrained is False:
        model = find(network)(classes, **chosen)
    else:
        model = build_pretrained(network, pretrained, classes, chosen)
    return features(model, out_indices) if features_only else model
