"""MobileNetV3: Howard et al. 2019, arXiv:1905.02244."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras

from kcnn.layers import ConvNormAct
from kcnn.layers._conv import kaiming_for
from kcnn.models import _parts
from kcnn.models._mobile import SMALLEST, MobileOptions, Row, blocks, divisible
from kcnn.models._mobile_names import keras_rows
from kcnn.models._naming import Naming
from kcnn.models._options import Activation
from kcnn.models._registry import register_model

__all__ = ["mobilenet_v3_large", "mobilenet_v3_small", "mobilenetv3"]

# Tables 1 and 2; squeeze-and-excitation has a quarter of the expanded channels.
LARGE = (
    Row(1, 16, 3, 1, 1, activation="relu"),
    Row(1, 24, 3, 2, 4, activation="relu"),
    Row(1, 24, 3, 1, 3, activation="relu"),
    Row(3, 40, 5, 2, 3, 0.25, activation="relu"),
    Row(1, 80, 3, 2, 6),
    Row(1, 80, 3, 1, 2.5),
    Row(2, 80, 3, 1, 2.3),
    Row(2, 112, 3, 1, 6, 0.25),
    Row(3, 160, 5, 2, 6, 0.25),
)
SMALL = (
    Row(1, 16, 3, 2, 1, 0.25, activation="relu"),
    Row(1, 24, 3, 2, 72 / 16, activation="relu"),
    Row(1, 24, 3, 1, 88 / 24, activation="relu"),
    Row(1, 40, 5, 2, 4, 0.25),
    Row(2, 40, 5, 1, 6, 0.25),
    Row(2, 48, 5, 1, 3, 0.25),
    Row(1, 96, 5, 2, 6, 0.25),
    Row(2, 96, 5, 1, 6, 0.25),
)


@dataclass(frozen=True, kw_only=True)
class MobileNetV3Options(MobileOptions):
    """MobileNetV3; `activation` is that of the stem, the later stages and the head, the early
    stages have relu.
    """

    activation: Activation = "hard_silu"
    dropout: float = 0.2


def mobilenetv3(
    options: MobileNetV3Options, *, name: str, rows: Sequence[Row], hidden: int
) -> keras.Model:
    """MobileNetV3: (batch, h, w, c) images to (batch, classes) float32 logits.

    As keras.applications has it, without its rescaling of the image to -1..1. `hidden` units
    stand between pooling and logits. Layers: stem, stage_1_block_1, ..., head, pool,
    head_dense, head_activation, logits.

    >>> kcnn.create_model("mobilenet_v3_small", 10, width=1 / 4).output_shape
    (None, 10)
    """
    inputs, x = _parts.start(options, name=name, smallest=SMALLEST)
    x = ConvNormAct(16, strides=2, name="stem", **options.normed)(x)

    def excited(row: Row, channels: int) -> int:
        return divisible(row.excite * divisible(row.expansion * channels))

    x = blocks(
        x, rows, options, excited=excited, excite_activation="relu", excite_gate="hard_sigmoid"
    )
    x = ConvNormAct(divisible(6 * options.channels(x)), 1, name="head", **options.normed)(x)

    def hidden_layer(x: Any) -> Any:
        units = max(hidden, options.scaled(hidden))
        start = kaiming_for(options.activation)
        x = keras.layers.Dense(units, kernel_initializer=start, name="head_dense")(x)
        return keras.layers.Activation(options.activation, name="head_activation")(x)

    return _parts.finish(options, inputs, x, name=name, before_logits=hidden_layer)


KERAS = Naming(
    "keras",
    {
        "stem.conv": "conv",
        "stem.norm": "conv_bn",
        **keras_rows("expanded_conv_{n}", "bn"),
        "head.conv": "conv_1",
        "head.norm": "conv_1_bn",
        "head_dense": "conv_2",
        "logits": "logits",
    },
    {"head_dense": "pointwise", "logits": "pointwise"},
)
_COMMON: dict[str, Any] = {
    "source": "Howard et al. 2019, arXiv:1905.02244; as keras.applications",
    "names": (KERAS,),
    "norm_kwargs": {"epsilon": 1e-3, "momentum": 0.999},
}

mobilenet_v3_large = register_model(
    "mobilenet_v3_large", mobilenetv3, MobileNetV3Options, rows=LARGE, hidden=1280, **_COMMON
)
mobilenet_v3_small = register_model(
    "mobilenet_v3_small", mobilenetv3, MobileNetV3Options, rows=SMALL, hidden=1024, **_COMMON
)
