"""What the tensors of networks of inverted residuals are called elsewhere."""

import keras

from kcnn.layers import InvertedResidual
from kcnn.models._naming import Naming

__all__ = ["PYTORCH", "TIMM", "keras_names", "keras_rows"]


def keras_names(depthwise: str = "dwconv") -> dict[str, str]:
    """keras.applications' names; V2 calls its depthwise convolutions dwconv2."""
    return {
        "stem.conv": "stem_conv",
        "stem.norm": "stem_bn",
        "block.expand.conv": "block{i}{letter}_expand_conv",
        "block.expand.norm": "block{i}{letter}_expand_bn",
        "block.depthwise.conv": "block{i}{letter}_" + depthwise,
        "block.depthwise.norm": "block{i}{letter}_bn",
        "block.excite.reduce": "block{i}{letter}_se_reduce",
        "block.excite.expand": "block{i}{letter}_se_expand",
        "block.project.conv": "block{i}{letter}_project_conv",
        "block.project.norm": "block{i}{letter}_project_bn",
        "head.conv": "top_conv",
        "head.norm": "top_bn",
        "logits": "predictions",
    }


def keras_rows(block: str, norm: str) -> dict[str, str]:
    """keras.applications' names of MobileNets' blocks; the first one has no number."""
    rows = {}
    for ours, theirs in (("block", block), ("stage_1_block_1", "expanded_conv")):
        for part in ("expand", "depthwise", "project"):
            rows[f"{ours}.{part}.conv"] = f"{theirs}_{part}"
            rows[f"{ours}.{part}.norm"] = f"{theirs}_{part}_{norm}"
        rows[f"{ours}.excite.reduce"] = f"{theirs}_squeeze_excite_conv"
        rows[f"{ours}.excite.expand"] = f"{theirs}_squeeze_excite_conv_1"
    return rows


def timm_names(model: keras.Model) -> dict[str, str]:
    """timm's names: it numbers the norms of a block in the order of its convolutions."""
    table = {
        "stem.conv": "conv_stem",
        "stem.norm": "bn1",
        "block.excite.reduce": "blocks.{i0}.{j0}.se.conv_reduce",
        "block.excite.expand": "blocks.{i0}.{j0}.se.conv_expand",
        "head.conv": "conv_head",
        "head.norm": "bn2",
        "head_dense": "conv_head",
        "logits": "classifier",
    }
    for layer in model.layers:
        if isinstance(layer, InvertedResidual):
            first = {"expand": "conv_exp" if layer.fused else "conv_pw", "depthwise": "conv_dw"}
            last = "conv_pwl" if layer.expand is not None else "conv_pw"
            if layer.expand is None and layer.fused:
                last = "conv"
            parts = [(part, name) for part, name in first.items() if getattr(layer, part)]
            for k, (part, name) in enumerate([*parts, ("project", last)], 1):
                table[f"{layer.name}.{part}.conv"] = "blocks.{i0}.{j0}." + name
                table[f"{layer.name}.{part}.norm"] = "blocks.{i0}.{j0}." + f"bn{k}"
    return table


TIMM = Naming("timm", timm_names)
# The package efficientnet_pytorch, from which many files of Lite's weights come.
PYTORCH = Naming(
    "efficientnet_pytorch",
    {
        "stem.conv": "_conv_stem",
        "stem.norm": "_bn0",
        "block.expand.conv": "_blocks.{n}._expand_conv",
        "block.expand.norm": "_blocks.{n}._bn0",
        "block.depthwise.conv": "_blocks.{n}._depthwise_conv",
        "block.depthwise.norm": "_blocks.{n}._bn1",
        "block.excite.reduce": "_blocks.{n}._se_reduce",
        "block.excite.expand": "_blocks.{n}._se_expand",
        "block.project.conv": "_blocks.{n}._project_conv",
        "block.project.norm": "_blocks.{n}._bn2",
        "head.conv": "_conv_head",
        "head.norm": "_bn1",
        "logits": "_fc",
    },
)
