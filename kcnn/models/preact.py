"""Pre-activation networks: ResNet V2 and wide ResNets.

He, Zhang, Ren & Sun 2016, arXiv:1603.05027; Zagoruyko & Komodakis 2016, arXiv:1605.07146.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras

from kcnn.layers import PreActBlock
from kcnn.models import _parts
from kcnn.models._registry import register_model
from kcnn.models._residual import ResidualOptions, staged
from kcnn.models.resnet import KERAS

__all__ = ["preact", "resnet50v2", "resnet101v2", "resnet152v2", "wide_resnet28_10"]


@dataclass(frozen=True, kw_only=True)
class PreActOptions(ResidualOptions):
    """Pre-activation networks; `use_bias` is that of the stem, the projections and the last
    convolution of each block.

    Attributes:
        block_dropout: rate before the last convolution of each block (wide ResNets: 0.3
            without augmentation).
    """

    block_dropout: float = 0.0


def preact(
    options: PreActOptions,
    *,
    name: str,
    bottleneck: bool,
    depths: Sequence[int],
    filters: Sequence[int],
    first_filters: int = 64,
    strided_last: bool = False,
) -> keras.Model:
    """A pre-activation network: (batch, h, w, c) images to (batch, classes) float32 logits.

    The stem has `first_filters` and neither norm nor activation. With `strided_last` each
    stage but the last halves the image in its last block (the authors' own network and
    keras.applications) instead of each but the first in its first.
    Layers: stem, stage_1_block_1, ..., norm, pool, logits.

    >>> kcnn.create_model("resnet50v2", 10, width=1 / 8).output_shape
    (None, 10)
    """
    use_bias = options.norm == "none" if options.use_bias is None else options.use_bias

    def ending(x: Any) -> Any:
        return _parts.norm(options, x, name="norm", activation=options.activation)

    return staged(
        options,
        name=name,
        block=PreActBlock,
        block_options={
            "use_bias": use_bias,
            "bottleneck": bottleneck,
            "dropout": options.block_dropout,
        },
        stem_options={"use_bias": use_bias, "norm": "none", "activation": None},
        depths=depths,
        filters=filters,
        first_filters=first_filters,
        ending=ending,
        strided_last=strided_last,
    )


_V2: dict[str, Any] = {
    "names": (KERAS,),
    "source": "He et al. 2016, arXiv:1603.05027; as keras.applications",
    "bottleneck": True,
    "filters": (64, 128, 256, 512),
    "strided_last": True,
    "use_bias": True,
}

resnet50v2 = register_model("resnet50v2", preact, PreActOptions, depths=(3, 4, 6, 3), **_V2)
resnet101v2 = register_model("resnet101v2", preact, PreActOptions, depths=(3, 4, 23, 3), **_V2)
resnet152v2 = register_model("resnet152v2", preact, PreActOptions, depths=(3, 8, 36, 3), **_V2)

wide_resnet28_10 = register_model(
    "wide_resnet28_10",
    preact,
    PreActOptions,
    source="Zagoruyko & Komodakis 2016, arXiv:1605.07146, table 1",
    input_shape=(32, 32, 3),
    classes=10,
    bottleneck=False,
    depths=(4, 4, 4),
    filters=(160, 320, 640),
    first_filters=16,
    stem="cifar",
)
