"""Normalization layers and the blocks of convolutional networks, as Keras layers."""

from kcnn.layers._blocks import BasicBlock, BottleneckBlock, PlainBlock
from kcnn.layers._conv import ConvNormAct
from kcnn.layers._group_norm import GroupNorm, InstanceNorm
from kcnn.layers._norm import norm
from kcnn.layers._preact import PreActBlock
from kcnn.layers._stochastic_depth import StochasticDepth

__all__ = [
    "BasicBlock",
    "BottleneckBlock",
    "ConvNormAct",
    "GroupNorm",
    "InstanceNorm",
    "PlainBlock",
    "PreActBlock",
    "StochasticDepth",
    "norm",
]
