"""Group normalization on torch: its own kernel, which has a gradient of its own."""

import torch

from kcnn.layers._norm_spec import NormSpec
from kcnn.layers._pointwise import pointwise

__all__ = ["group_normalize"]


def group_normalize(spec: NormSpec, x, gamma, beta, residual=None, *, training=None):
    """y of `reference`; the channels are viewed, not copied, into second place."""
    kind = torch.float64 if x.dtype == torch.float64 else torch.float32
    y = torch.nn.functional.group_norm(
        x.to(kind).movedim(spec.axis, 1),
        spec.groups,
        gamma.to(kind),
        beta.to(kind),
        spec.epsilon,
    ).movedim(1, spec.axis)
    if residual is not None:
        y = y + residual.to(kind)
    return pointwise(spec.activation)(y).to(getattr(torch, spec.dtype))
