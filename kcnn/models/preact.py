"""Pre-activation networks: ResNet V2 and wide ResNets.

He, Zhang, Ren & Sun 2016, arXiv:1603.05027; Zagoruyko & Komodakis 2016, arXiv:1605.07146.
"""

from collections.abc import Sequence
from typing import Any

import keras

from kcnn.layers import PreActBlock
from kcnn.layers import norm as make_norm
from kcnn.models._parts import scaled
from kcnn.models._registry import register
from kcnn.models._residual import staged

__all__ = ["preact", "resnet50v2", "resnet101v2", "resnet152v2", "wide_resnet28_10"]


def preact(
    *,
    bottleneck: bool,
    depths: Sequence[int],
    filters: Sequence[int],
    first_filters: int,
    strided_last: bool,
    classes: int,
    input_shape: Sequence[int | None],
    name: str,
    stem: str = "imagenet",
    norm: Any = "batch",
    norm_kwargs: dict[str, Any] | None = None,
    activation: Any = "relu",
    shortcut: str = "conv",
    use_bias: bool | None = None,
    zero_init_residual: bool = False,
    block_dropout: float = 0.0,
    dropout: float = 0.0,
    drop_path: float = 0.0,
    include_top: bool = True,
    pooling: str | None = None,
    width: float = 1.0,
    preprocess: keras.layers.Layer | None = None,
    data_format: str | None = None,
) -> keras.Model:
    """A pre-activation network: (batch, h, w, c) images to (batch, classes) float32 logits.

    Arguments as for `resnet`, and besides:

    Args:
        first_filters: of the stem, which has neither norm nor activation.
        strided_last: each stage but the last halves the image in its last block (the
            authors' own network and keras.applications) instead of each but the first
            in its first.
        use_bias: of the stem, the projections and the last convolution of each block.
        block_dropout: rate before the last convolution of each block (wide ResNets: 0.3
            without augmentation).
    """
    data_format = data_format or keras.config.image_data_format()
    if use_bias is None:
        use_bias = norm == "none"
    common = {"use_bias": use_bias, "data_format": data_format}
    blocks = {
        **common,
        "bottleneck": bottleneck,
        "norm": norm,
        "norm_kwargs": norm_kwargs,
        "activation": activation,
        "shortcut": shortcut,
        "zero_init_residual": zero_init_residual,
        "padding": "symmetric",
        "dropout": block_dropout,
    }
    channels = scaled(filters[-1], width) * (4 if bottleneck else 1)

    def ending(x: Any) -> Any:
        layer = make_norm(
            norm,
            channels=channels,
            data_format=data_format,
            activation=activation,
            name="norm",
            **(norm_kwargs or {}),
        )
        return layer(x)

    return staged(
        block=PreActBlock,
        depths=depths,
        filters=filters,
        first_filters=first_filters,
        classes=classes,
        input_shape=input_shape,
        name=name,
        stem=stem,
        stem_options={**common, "norm": "none", "activation": None},
        options=blocks,
        ending=ending,
        strided_last=strided_last,
        include_top=include_top,
        pooling=pooling,
        dropout=dropout,
        drop_path=drop_path,
        width=width,
        preprocess=preprocess,
    )


def _imagenet(name: str, *depths: int) -> Any:
    return register(
        name,
        preact,
        source="He et al. 2016, arXiv:1603.05027; as keras.applications",
        bottleneck=True,
        depths=depths,
        filters=(64, 128, 256, 512),
        first_filters=64,
        strided_last=True,
        use_bias=True,
    )


resnet50v2 = _imagenet("resnet50v2", 3, 4, 6, 3)
resnet101v2 = _imagenet("resnet101v2", 3, 4, 23, 3)
resnet152v2 = _imagenet("resnet152v2", 3, 8, 36, 3)

wide_resnet28_10 = register(
    "wide_resnet28_10",
    preact,
    source="Zagoruyko & Komodakis 2016, arXiv:1605.07146, table 1",
    input_shape=(32, 32, 3),
    classes=10,
    bottleneck=False,
    depths=(4, 4, 4),
    filters=(160, 320, 640),
    first_filters=16,
    strided_last=False,
    stem="cifar",
)
