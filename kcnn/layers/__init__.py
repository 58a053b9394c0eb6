"""Normalization layers and the blocks of convolutional networks, as Keras layers."""

from kcnn.layers._blocks import BasicBlock, BottleneckBlock, PlainBlock
from kcnn.layers._conv import ConvNormAct
from kcnn.layers._convnext import ConvNeXtBlock
from kcnn.layers._inverted_residual import InvertedResidual
from kcnn.layers._layer_scale import LayerScale
from kcnn.layers._norm import norm
from kcnn.layers._preact import PreActBlock
from kcnn.layers._squeeze_excitation import SqueezeExcitation
from kcnn.layers._standardized import StandardizedConv2D
from kcnn.layers._stochastic_depth import StochasticDepth
from kcnn.layers.group_norm import GroupNorm, InstanceNorm

__all__ = [
    "BasicBlock",
    "BottleneckBlock",
    "ConvNeXtBlock",
    "ConvNormAct",
    "GroupNorm",
    "InstanceNorm",
    "InvertedResidual",
    "LayerScale",
    "PlainBlock",
    "PreActBlock",
    "SqueezeExcitation",
    "StandardizedConv2D",
    "StochasticDepth",
    "norm",
]
