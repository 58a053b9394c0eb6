"""Plain networks: ResNets without their shortcuts, to see depth alone make things worse.

He, Zhang, Ren & Sun 2015, arXiv:1512.03385, sections 3.3 and 4.2 (the degradation problem).
"""

from collections.abc import Sequence
from typing import Any

import keras

from kcnn.layers import PlainBlock
from kcnn.models._registry import register
from kcnn.models._residual import staged

__all__ = [
    "plain",
    "plain18",
    "plain20",
    "plain32",
    "plain34",
    "plain44",
    "plain56",
    "plain110",
]


def plain(
    *,
    depths: Sequence[int],
    filters: Sequence[int],
    classes: int,
    input_shape: Sequence[int | None],
    name: str,
    stem: str = "imagenet",
    norm: Any = "batch",
    norm_kwargs: dict[str, Any] | None = None,
    activation: Any = "relu",
    use_bias: bool | None = None,
    dropout: float = 0.0,
    include_top: bool = True,
    pooling: str | None = None,
    width: float = 1.0,
    preprocess: keras.layers.Layer | None = None,
    data_format: str | None = None,
) -> keras.Model:
    """A stack of 3x3 convolutions: (batch, h, w, c) images to (batch, classes) float32 logits.

    Arguments as for `resnet`: `depths` counts pairs of convolutions per stage. There is
    nothing to skip, so it has no shortcut, zero_init_residual or drop_path.
    """
    options = {
        "norm": norm,
        "norm_kwargs": norm_kwargs,
        "activation": activation,
        "use_bias": use_bias,
        "data_format": data_format or keras.config.image_data_format(),
    }
    return staged(
        block=PlainBlock,
        depths=depths,
        filters=filters,
        first_filters=filters[0],
        classes=classes,
        input_shape=input_shape,
        name=name,
        stem=stem,
        stem_options=options,
        options={**options, "padding": "symmetric"},
        include_top=include_top,
        pooling=pooling,
        dropout=dropout,
        drop_path=0.0,
        width=width,
        preprocess=preprocess,
    )


def _imagenet(name: str, *depths: int) -> Any:
    return register(
        name,
        plain,
        source="He et al. 2015, arXiv:1512.03385, section 3.3",
        depths=depths,
        filters=(64, 128, 256, 512),
    )


def _cifar(name: str, blocks: int) -> Any:
    return register(
        name,
        plain,
        source="He et al. 2015, arXiv:1512.03385, section 4.2",
        input_shape=(32, 32, 3),
        classes=10,
        depths=(blocks, blocks, blocks),
        filters=(16, 32, 64),
        stem="cifar",
    )


plain18 = _imagenet("plain18", 2, 2, 2, 2)
plain34 = _imagenet("plain34", 3, 4, 6, 3)

plain20 = _cifar("plain20", 3)
plain32 = _cifar("plain32", 5)
plain44 = _cifar("plain44", 7)
plain56 = _cifar("plain56", 9)
plain110 = _cifar("plain110", 18)
