"""ConvNeXt: Liu et al. 2022, arXiv:2201.03545."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras

from kcnn.layers import ConvNeXtBlock, ConvNormAct
from kcnn.models import _parts
from kcnn.models._naming import Naming
from kcnn.models._options import Activation, Norm, Options
from kcnn.models._registry import register_model

__all__ = ["convnext", "convnext_base", "convnext_small", "convnext_tiny"]


@dataclass(frozen=True, kw_only=True)
class ConvNeXtOptions(Options):
    """ConvNeXts; their own norm takes each pixel's channels, Keras's LayerNormalization.

    Attributes:
        drop_path: rate of stochastic depth at the last block, growing from 0; the paper
            trained tiny, small and base with 0.1, 0.4 and 0.5.
        layer_scale: initial weight of each residual branch; None for none.
    """

    norm: Norm = "LayerNormalization"
    activation: Activation = "gelu"
    drop_path: float = 0.0
    layer_scale: float | None = 1e-6


def convnext(
    options: ConvNeXtOptions, *, name: str, depths: Sequence[int], filters: Sequence[int]
) -> keras.Model:
    """A ConvNeXt: (batch, h, w, c) images to (batch, classes) float32 logits.

    As keras.applications has it, without its normalization of the image. Every stage but the
    first begins with a norm and a strided 2x2 convolution. Layers: stem, stage_1_block_1, ...,
    stage_2_norm, stage_2_down, stage_2_block_1, ..., pool, norm, logits.

    >>> kcnn.create_model("convnext_tiny", 10, width=1 / 8, drop_path=0.1).output_shape
    (None, 10)
    """
    inputs, x = _parts.start(options, name=name, smallest=4 * 2 ** (len(depths) - 1))
    rates = iter(_parts.drop_rates(options.drop_path, sum(depths)))
    stem = {**options.normed, "activation": None, "use_bias": True, "padding": "valid"}
    down = {**stem, "norm": "none"}
    sizes = [options.scaled(size) for size in filters]
    x = ConvNormAct(sizes[0], 4, strides=4, name="stem", **stem)(x)
    for i, (depth, size) in enumerate(zip(depths, sizes, strict=True), 1):
        if i > 1:
            x = _parts.norm(options, x, name=f"stage_{i}_norm")
            x = ConvNormAct(size, 2, strides=2, name=f"stage_{i}_down", **down)(x)
        for j in range(1, depth + 1):
            x = ConvNeXtBlock(
                layer_scale=options.layer_scale,
                drop_path=next(rates),
                name=f"stage_{i}_block_{j}",
                **options.normed,
            )(x)

    def normed_features(x: Any) -> Any:
        if options.norm == "instance":  # which leaves nothing of one value by itself
            return x
        return _parts.norm(options, x, name="norm", data_format="channels_last")

    return _parts.finish(options, inputs, x, name=name, before_logits=normed_features)


def _keras(prefix: str) -> Naming:
    """keras.applications puts the network's name before every layer's."""
    block, down = f"{prefix}_stage_{{i0}}_block_{{j0}}", f"{prefix}_downsampling"
    table = {
        "stem.conv": f"{prefix}_stem_conv",
        "stem.norm": f"{prefix}_stem_layernorm",
        "block.depthwise": f"{block}_depthwise_conv",
        "block.norm": f"{block}_layernorm",
        "block.expand": f"{block}_pointwise_conv_1",
        "block.project": f"{block}_pointwise_conv_2",
        "block.scale": f"{block}_layer_scale",
        "norm": f"{prefix}_head_layernorm",
        "logits": f"{prefix}_head_dense",
    }
    for i in (0, 1, 2):
        table[f"stage_{i + 2}_norm"] = f"{down}_layernorm_{i}"
        table[f"stage_{i + 2}_down.conv"] = f"{down}_conv_{i}"
    return Naming("keras", table, {"block.depthwise": "grouped"})


TIMM = Naming(
    "timm",
    {
        "stem.conv": "stem.0",
        "stem.norm": "stem.1",
        "norm": "head.norm",
        **{f"stage_{i}_norm": f"stages.{i - 1}.downsample.0" for i in (2, 3, 4)},
        "down.conv": "stages.{i0}.downsample.1",
        "block.depthwise": "stages.{i0}.blocks.{j0}.conv_dw",
        "block.norm": "stages.{i0}.blocks.{j0}.norm",
        "block.expand": "stages.{i0}.blocks.{j0}.mlp.fc1",
        "block.project": "stages.{i0}.blocks.{j0}.mlp.fc2",
        "block.scale/gamma": "stages.{i0}.blocks.{j0}.gamma",
        "logits": "head.fc",
    },
)


def _sized(name: str, third: int, filters: Sequence[int]) -> dict[str, Any]:
    return {
        "source": "Liu et al. 2022, arXiv:2201.03545; as keras.applications",
        "names": (_keras(f"convnext_{name}"), TIMM),
        "depths": (3, 3, third, 3),
        "filters": filters,
        "norm_kwargs": {"epsilon": 1e-6},
    }


_SMALL, _BASE = (96, 192, 384, 768), (128, 256, 512, 1024)
_O = ConvNeXtOptions
convnext_tiny = register_model("convnext_tiny", convnext, _O, **_sized("tiny", 9, _SMALL))
convnext_small = register_model("convnext_small", convnext, _O, **_sized("small", 27, _SMALL))
convnext_base = register_model("convnext_base", convnext, _O, **_sized("base", 27, _BASE))
