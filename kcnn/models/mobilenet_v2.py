"""MobileNetV2: Sandler et al. 2018, arXiv:1801.04381."""

from dataclasses import dataclass

import keras

from kcnn.layers import ConvNormAct
from kcnn.models import _parts
from kcnn.models._mobile import SMALLEST, MobileOptions, Row, blocks
from kcnn.models._mobile_names import keras_rows
from kcnn.models._naming import Naming
from kcnn.models._options import Activation
from kcnn.models._registry import register_model

__all__ = ["mobilenet_v2", "mobilenetv2"]

HEAD = 1280  # channels in front of the classifier, at every width up to 1
# Table 2: t, c, n, s of the paper as depth, filters, kernel, stride, expansion.
ROWS = (
    Row(1, 16, 3, 1, 1),
    Row(2, 24, 3, 2, 6),
    Row(3, 32, 3, 2, 6),
    Row(4, 64, 3, 2, 6),
    Row(3, 96, 3, 1, 6),
    Row(3, 160, 3, 2, 6),
    Row(1, 320, 3, 1, 6),
)


@dataclass(frozen=True, kw_only=True)
class MobileNetV2Options(MobileOptions):
    """MobileNetV2, whose authors call the width alpha."""

    activation: Activation = "relu6"


def mobilenetv2(options: MobileNetV2Options, *, name: str) -> keras.Model:
    """MobileNetV2: (batch, h, w, c) images to (batch, classes) float32 logits.

    As keras.applications has it, also at other widths: the last convolution keeps its 1,280
    channels below width 1. Layers: stem, stage_1_block_1, ..., head, pool, logits.

    >>> kcnn.create_model("mobilenet_v2", 10, width=1 / 4).output_shape
    (None, 10)
    """
    inputs, x = _parts.start(options, name=name, smallest=SMALLEST)
    x = ConvNormAct(options.scaled(32), strides=2, name="stem", **options.normed)(x)
    x = blocks(x, ROWS, options)
    x = ConvNormAct(max(HEAD, options.scaled(HEAD)), 1, name="head", **options.normed)(x)
    return _parts.finish(options, inputs, x, name=name)


KERAS = Naming(
    "keras",
    {
        "stem.conv": "Conv1",
        "stem.norm": "bn_Conv1",
        **keras_rows("block_{n}", "BN"),
        "head.conv": "Conv_1",
        "head.norm": "Conv_1_bn",
        "logits": "predictions",
    },
)

mobilenet_v2 = register_model(
    "mobilenet_v2",
    mobilenetv2,
    MobileNetV2Options,
    source="Sandler et al. 2018, arXiv:1801.04381; as keras.applications",
    names=(KERAS,),
    norm_kwargs={"epsilon": 1e-3, "momentum": 0.999},
)
