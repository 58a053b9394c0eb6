"""Which layer holds the features at each size of the map, found by the layers' names."""

import re
from dataclasses import dataclass
from typing import Any

import keras

__all__ = ["Stage", "stages"]

# What every family calls the layers of its trunk, in front of norm, head, pool and logits.
_TRUNK = re.compile(r"stem(_pool)?|conv_\d+|pool_\d+|stage_\d+_(block|conv)_\d+|stage_\d+_pool")


@dataclass(frozen=True)
class Stage:
    """The features at one size of the map.

    `layer` is the name of the last layer of the trunk at this size, `strides` how many
    pixels of the image lie between two of the map, `channels` those of the map.
    """

    layer: str
    strides: int
    channels: int


def stages(model: keras.Model) -> tuple[Stage, ...]:
    """The stages of a model that `create_model` built, from fine to coarse.

    `model.get_layer(stage.layer).output` is the stage's map. The names are the families'
    own and stay: `image` the input, `stem`, `stage_{i}_block_{j}` (VGG: `stage_{i}_conv_{j}`
    and `stage_{i}_pool`, AlexNet: `conv_{i}` and `pool_{i}`), `norm` a last normalization,
    `head` a last 1x1 convolution, `pool`, `dropout`, `logits`, `probabilities`.

    Raises:
        ValueError: the model has no layers of such names.
    """
    trunk = [layer for layer in model.layers if _TRUNK.fullmatch(layer.name)]
    if not trunk:
        raise ValueError(
            f"stages: {model.name} has no layers named stem or stage_1_block_1; it must be a "
            "model that kcnn.create_model built."
        )
    found: dict[int, Stage] = {}
    strides = 1
    for layer in trunk:
        step: Any = getattr(layer, "strides", 1)
        strides *= step if isinstance(step, int) else step[0]
        first = getattr(layer, "data_format", None) == "channels_first"
        found.pop(strides, None)  # the last one of this size counts
        found[strides] = Stage(layer.name, strides, layer.output.shape[1 if first else -1])
    return tuple(found.values())
