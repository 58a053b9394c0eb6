"""Residual networks: He, Zhang, Ren & Sun 2015, arXiv:1512.03385."""

from collections.abc import Sequence
from typing import Any

import keras

from kcnn.layers import BasicBlock, BottleneckBlock
from kcnn.models._registry import register
from kcnn.models._residual import staged

__all__ = [
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

BLOCKS = {"basic": BasicBlock, "bottleneck": BottleneckBlock}


def resnet(
    *,
    block: str,
    depths: Sequence[int],
    filters: Sequence[int],
    classes: int,
    input_shape: Sequence[int | None],
    name: str,
    stem: str = "imagenet",
    norm: Any = "batch",
    norm_kwargs: dict[str, Any] | None = None,
    activation: Any = "relu",
    shortcut: str = "conv",
    stride_on: str = "3x3",
    use_bias: bool | None = None,
    zero_init_residual: bool = False,
    dropout: float = 0.0,
    drop_path: float = 0.0,
    include_top: bool = True,
    pooling: str | None = None,
    width: float = 1.0,
    preprocess: keras.layers.Layer | None = None,
    data_format: str | None = None,
) -> keras.Model:
    """A residual network: (batch, h, w, c) images to (batch, classes) float32 logits.

    Args:
        block: "basic" or "bottleneck".
        depths: blocks per stage; every stage after the first halves the image.
        filters: of the 3x3 convolutions, per stage; the stem has those of the first.
        stem: "imagenet" (7x7 stride 2 and max pooling) or "cifar" (3x3).
        norm: "batch", "layer", "instance", "group", "none" or a layer class.
        norm_kwargs: for the normalization layers, e.g. {"epsilon": 1e-3}.
        activation: any Keras activation.
        shortcut: "conv", "avgpool-conv" or "identity-pad" where the shape changes.
        stride_on: "3x3" (torchvision) or "1x1" (the paper, keras.applications);
            bottlenecks only.
        use_bias: of the convolutions; None: only without a norm. keras.applications: True.
        zero_init_residual: every block starts as its shortcut (arXiv:1706.02677).
        dropout: rate before the logits.
        drop_path: rate of stochastic depth at the last block, growing from 0.
        include_top: False gives features: the last map, or with `pooling` its
            global "avg" or "max", (batch, channels).
        width: multiplies every number of filters.
        preprocess: a layer right after the input.
        data_format: "channels_last", "channels_first", None for Keras's setting.
    """
    data_format = data_format or keras.config.image_data_format()
    options = {
        "norm": norm,
        "norm_kwargs": norm_kwargs,
        "activation": activation,
        "use_bias": use_bias,
        "data_format": data_format,
    }
    blocks = {
        "shortcut": shortcut,
        "zero_init_residual": zero_init_residual,
        "padding": "symmetric",
    }
    if block == "bottleneck":
        blocks["stride_on"] = stride_on
    return staged(
        block=BLOCKS[block],
        depths=depths,
        filters=filters,
        first_filters=filters[0],
        classes=classes,
        input_shape=input_shape,
        name=name,
        stem=stem,
        stem_options=options,
        options={**options, **blocks},
        include_top=include_top,
        pooling=pooling,
        dropout=dropout,
        drop_path=drop_path,
        width=width,
        preprocess=preprocess,
    )


def _imagenet(name: str, block: str, *depths: int) -> Any:
    return register(
        name,
        resnet,
        source="He et al. 2015, arXiv:1512.03385, table 1",
        block=block,
        depths=depths,
        filters=(64, 128, 256, 512),
    )


def _cifar(name: str, blocks: int) -> Any:
    """Depth 6n + 2; shortcuts are option A, the identity with zero channels appended."""
    return register(
        name,
        resnet,
        source="He et al. 2015, arXiv:1512.03385, section 4.2",
        input_shape=(32, 32, 3),
        classes=10,
        block="basic",
        depths=(blocks, blocks, blocks),
        filters=(16, 32, 64),
        stem="cifar",
        shortcut="identity-pad",
    )


resnet18 = _imagenet("resnet18", "basic", 2, 2, 2, 2)
resnet34 = _imagenet("resnet34", "basic", 3, 4, 6, 3)
resnet50 = _imagenet("resnet50", "bottleneck", 3, 4, 6, 3)
resnet101 = _imagenet("resnet101", "bottleneck", 3, 4, 23, 3)
resnet152 = _imagenet("resnet152", "bottleneck", 3, 8, 36, 3)

resnet20 = _cifar("resnet20", 3)
resnet32 = _cifar("resnet32", 5)
resnet44 = _cifar("resnet44", 7)
resnet56 = _cifar("resnet56", 9)
resnet110 = _cifar("resnet110", 18)
