"""Residual networks: He, Zhang, Ren & Sun 2015, arXiv:1512.03385."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import keras

from kcnn.layers import BasicBlock, BottleneckBlock
from kcnn.models._naming import Naming
from kcnn.models._registry import register_model
from kcnn.models._residual import ResidualOptions, staged

__all__ = [
    "BottleneckOptions",
    "ResNetOptions",
    "resnet",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
]

SOURCE = "He et al. 2015, arXiv:1512.03385, table 1"


TORCHVISION = Naming(
    "torchvision",
    {
        "stem.conv": "conv1",
        "stem.norm": "bn1",
        "block.conv_{k}.conv": "layer{i}.{j0}.conv{k}",
        "block.conv_{k}.norm": "layer{i}.{j0}.bn{k}",
        "block.excite.reduce": "layer{i}.{j0}.se.fc1",
        "block.excite.expand": "layer{i}.{j0}.se.fc2",
        "block.shortcut.conv": "layer{i}.{j0}.downsample.0",
        "block.shortcut.norm": "layer{i}.{j0}.downsample.1",
        "logits": "fc",
    },
)
KERAS = Naming(
    "keras",
    {
        "stem.conv": "conv1_conv",
        "stem.norm": "conv1_bn",
        "block.conv_{k}.conv": "conv{i1}_block{j}_{k}_conv",
        "block.conv_{k}.norm": "conv{i1}_block{j}_{k}_bn",
        "block.shortcut.conv": "conv{i1}_block{j}_0_conv",
        "block.shortcut.norm": "conv{i1}_block{j}_0_bn",
        "block.preact": "conv{i1}_block{j}_preact_bn",
        "norm": "post_bn",
        "logits": "predictions",
    },
)


@dataclass(frozen=True, kw_only=True)
class ResNetOptions(ResidualOptions):
    """Residual networks after the paper's.

    Attributes:
        se_ratio: of squeeze-and-excitation in every block, SENet's is 1/16; 0 for none.
        weight_standardization: of every convolution, for norm="group" (arXiv:1903.10520).
    """

    se_ratio: float = 0.0
    weight_standardization: bool = False


@dataclass(frozen=True, kw_only=True)
class BottleneckOptions(ResNetOptions):
    """Residual networks of bottlenecks.

    Attributes:
        stride_on: "3x3" (torchvision) or "1x1" (the paper, keras.applications).
        groups: of the 3x3 convolutions, ResNeXt's is 32 (arXiv:1611.05431).
        width_per_group: channels of a group in the first stage; 64 for one group is the
            paper's, 128 makes a wide ResNet.
    """

    stride_on: Literal["3x3", "1x1"] = "3x3"
    groups: int = 1
    width_per_group: int = 64


def resnet(
    options: ResNetOptions,
    *,
    name: str,
    depths: Sequence[int],
    filters: Sequence[int] = (64, 128, 256, 512),
) -> keras.Model:
    """A residual network: (batch, h, w, c) images to (batch, classes) float32 logits.

    `depths` counts the blocks per stage, `filters` are those of the 3x3 convolutions; the
    stem has those of the first. Every stage after the first halves the image.
    Layers: stem, stage_1_block_1, ..., pool, logits.

    >>> kcnn.create_model("resnet18", 10, norm="group", se_ratio=1 / 16).output_shape
    (None, 10)
    """
    block: Any = BottleneckBlock if isinstance(options, BottleneckOptions) else BasicBlock
    return staged(options, name=name, block=block, depths=depths, filters=filters)


_PLAIN, _DEEP = ResNetOptions, BottleneckOptions
_LARGE: dict[str, Any] = {"source": SOURCE, "names": (TORCHVISION, KERAS)}

resnet18 = register_model("resnet18", resnet, _PLAIN, depths=(2, 2, 2, 2), **_LARGE)
resnet34 = register_model("resnet34", resnet, _PLAIN, depths=(3, 4, 6, 3), **_LARGE)
resnet50 = register_model("resnet50", resnet, _DEEP, depths=(3, 4, 6, 3), **_LARGE)
resnet101 = register_model("resnet101", resnet, _DEEP, depths=(3, 4, 23, 3), **_LARGE)
resnet152 = register_model("resnet152", resnet, _DEEP, depths=(3, 8, 36, 3), **_LARGE)
