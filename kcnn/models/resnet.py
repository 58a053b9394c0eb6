"""Residual networks: He, Zhang, Ren & Sun 2015, arXiv:1512.03385."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import keras

from kcnn.layers import BasicBlock, BottleneckBlock
from kcnn.models._registry import register_model
from kcnn.models._residual import ResidualOptions, staged

__all__ = [
    "BottleneckOptions",
    "resnet",
    "resnet18",
    "resnet20",
    "resnet32",
    "resnet34",
    "resnet44",
    "resnet50",
    "resnet56",
    "resnet101",
    "resnet110",
    "resnet152",
]

IMAGENET = "He et al. 2015, arXiv:1512.03385, table 1"
CIFAR = "He et al. 2015, arXiv:1512.03385, section 4.2"


@dataclass(frozen=True, kw_only=True)
class BottleneckOptions(ResidualOptions):
    """Residual networks of bottlenecks.

    Attributes:
        stride_on: "3x3" (torchvision) or "1x1" (the paper, keras.applications).
    """

    stride_on: Literal["3x3", "1x1"] = "3x3"

    choices: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        **ResidualOptions.choices,
        "stride_on": ("3x3", "1x1"),
    }


def resnet(
    options: ResidualOptions,
    *,
    name: str,
    depths: Sequence[int],
    filters: Sequence[int] = (64, 128, 256, 512),
) -> keras.Model:
    """A residual network: (batch, h, w, c) images to (batch, classes) float32 logits.

    `depths` counts the blocks per stage, `filters` are those of the 3x3 convolutions; the
    stem has those of the first. Every stage after the first halves the image.
    Layers: stem, stage_1_block_1, ..., pool, logits.
    """
    common = {**options.normed, "use_bias": options.use_bias}
    blocks = {
        **common,
        "shortcut": options.shortcut,
        "zero_init_residual": options.zero_init_residual,
        "padding": "symmetric",
    }
    block: Any = BasicBlock
    if isinstance(options, BottleneckOptions):
        block = BottleneckBlock
        blocks["stride_on"] = options.stride_on
    return staged(
        options,
        name=name,
        block=block,
        block_options=blocks,
        stem_options=common,
        depths=depths,
        filters=filters,
        first_filters=filters[0],
    )


# Depth 6n + 2; shortcuts are option A, the identity with zero channels appended.
_SMALL: dict[str, Any] = {
    "source": CIFAR,
    "input_shape": (32, 32, 3),
    "classes": 10,
    "filters": (16, 32, 64),
    "stem": "cifar",
    "shortcut": "identity-pad",
}
_PLAIN, _DEEP = ResidualOptions, BottleneckOptions

resnet18 = register_model("resnet18", resnet, _PLAIN, source=IMAGENET, depths=(2, 2, 2, 2))
resnet34 = register_model("resnet34", resnet, _PLAIN, source=IMAGENET, depths=(3, 4, 6, 3))
resnet50 = register_model("resnet50", resnet, _DEEP, source=IMAGENET, depths=(3, 4, 6, 3))
resnet101 = register_model("resnet101", resnet, _DEEP, source=IMAGENET, depths=(3, 4, 23, 3))
resnet152 = register_model("resnet152", resnet, _DEEP, source=IMAGENET, depths=(3, 8, 36, 3))

resnet20 = register_model("resnet20", resnet, _PLAIN, depths=(3, 3, 3), **_SMALL)
resnet32 = register_model("resnet32", resnet, _PLAIN, depths=(5, 5, 5), **_SMALL)
resnet44 = register_model("resnet44", resnet, _PLAIN, depths=(7, 7, 7), **_SMALL)
resnet56 = register_model("resnet56", resnet, _PLAIN, depths=(9, 9, 9), **_SMALL)
resnet110 = register_model("resnet110", resnet, _PLAIN, depths=(18, 18, 18), **_SMALL)
