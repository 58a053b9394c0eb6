"""EfficientNet B0 to B7: Tan & Le 2019, arXiv:1905.11946."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras

from kcnn.layers import ConvNormAct
from kcnn.models import _parts
from kcnn.models._mobile import SMALLEST, MobileOptions, Row, blocks, divisible
from kcnn.models._mobile_names import PYTORCH, TIMM, keras_names
from kcnn.models._naming import Naming
from kcnn.models._options import Activation
from kcnn.models._registry import register_model

__all__ = [
    "EfficientNetOptions",
    "efficientnet",
    "efficientnet_b0",
    "efficientnet_b1",
    "efficientnet_b2",
    "efficientnet_b3",
    "efficientnet_b4",
    "efficientnet_b5",
    "efficientnet_b6",
    "efficientnet_b7",
]

# Table 1; squeeze-and-excitation has a quarter of a block's input channels.
B0 = (
    Row(1, 16, 3, 1, 1, 0.25),
    Row(2, 24, 3, 2, 6, 0.25),
    Row(2, 40, 5, 2, 6, 0.25),
    Row(3, 80, 3, 2, 6, 0.25),
    Row(3, 112, 5, 1, 6, 0.25),
    Row(4, 192, 5, 2, 6, 0.25),
    Row(1, 320, 3, 1, 6, 0.25),
)


@dataclass(frozen=True, kw_only=True)
class EfficientNetOptions(MobileOptions):
    """EfficientNets."""

    activation: Activation = "silu"
    dropout: float = 0.2
    drop_path: float = 0.2


def efficientnet(
    options: EfficientNetOptions,
    *,
    name: str,
    rows: Sequence[Row],
    filters: int = 32,
    wider: float = 1.0,
    deeper: float = 1.0,
    fixed_ends: bool = False,
) -> keras.Model:
    """An EfficientNet: (batch, h, w, c) images to (batch, classes) float32 logits.

    `rows` are the smallest network's, `filters` its stem's; `wider` and `deeper` scale them.
    With `fixed_ends` (Lite) stem, head, and the depth of the first and the last stage stay.
    As keras.applications has it, without its rescaling and normalization of the image.
    Layers: stem, stage_1_block_1, ..., head, pool, dropout, logits.

    >>> kcnn.create_model("efficientnet_lite0", 10, width=1 / 4).output_shape
    (None, 10)
    """
    inputs, x = _parts.start(options, name=name, smallest=SMALLEST)
    ends = 1.0 if fixed_ends else wider
    first, last = (options.scaled(divisible(size * ends)) for size in (filters, 1280))
    x = ConvNormAct(first, strides=2, name="stem", **options.normed)(x)
    grown = []
    for i, row in enumerate(rows):
        stays = fixed_ends and i in (0, len(rows) - 1)
        depth = row.depth if stays else math.ceil(deeper * row.depth)
        grown.append(row._replace(depth=depth, filters=divisible(row.filters * wider)))

    def excited(row: Row, channels: int) -> int:
        return max(1, int(row.excite * channels))

    x = blocks(x, grown, options, excited=excited)
    x = ConvNormAct(last, 1, name="head", **options.normed)(x)
    return _parts.finish(options, inputs, x, name=name)


KERAS = Naming("keras", keras_names())


def scaling(wider: float, deeper: float, size: int, dropout: float) -> dict[str, Any]:
    """The columns of the authors' table: width, depth, resolution, dropout."""
    return {
        "wider": wider,
        "deeper": deeper,
        "input_shape": (size, size, 3),
        "dropout": dropout,
        "norm_kwargs": {"epsilon": 1e-3, "momentum": 0.99},
    }


def _b(*numbers: Any) -> dict[str, Any]:
    source = "Tan & Le 2019, arXiv:1905.11946; as keras.applications"
    names = (KERAS, TIMM, PYTORCH)
    return {**scaling(*numbers), "rows": B0, "source": source, "names": names}


_O = EfficientNetOptions
efficientnet_b0 = register_model("efficientnet_b0", efficientnet, _O, **_b(1.0, 1.0, 224, 0.2))
efficientnet_b1 = register_model("efficientnet_b1", efficientnet, _O, **_b(1.0, 1.1, 240, 0.2))
efficientnet_b2 = register_model("efficientnet_b2", efficientnet, _O, **_b(1.1, 1.2, 260, 0.3))
efficientnet_b3 = register_model("efficientnet_b3", efficientnet, _O, **_b(1.2, 1.4, 300, 0.3))
efficientnet_b4 = register_model("efficientnet_b4", efficientnet, _O, **_b(1.4, 1.8, 380, 0.4))
efficientnet_b5 = register_model("efficientnet_b5", efficientnet, _O, **_b(1.6, 2.2, 456, 0.4))
efficientnet_b6 = register_model("efficientnet_b6", efficientnet, _O, **_b(1.8, 2.6, 528, 0.5))
efficientnet_b7 = register_model("efficientnet_b7", efficientnet, _O, **_b(2.0, 3.1, 600, 0.5))
