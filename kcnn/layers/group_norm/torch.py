"""Group normalization on torch: its own kernel, which has a gradient of its own."""

from typing import Any

import torch

from kcnn.layers.group_norm.backend import Held
from kcnn.layers.group_norm.reference import NormSpec

__all__ = ["group_normalize"]


def group_normalize(
    spec: NormSpec, x: Any, gamma: Any, beta: Any, *, training: bool | None, held: Held | None
) -> Any:
    """y of `reference`; the channels are viewed, not copied, into second place.

    torch's kernels subtract large from large: E[x^2] - E[x]^2 forward for channels last,
    and sum(dy x) - mean sum(dy) backward. At a mean of 1e3 nothing is left of the digits.
    What they normalize may be shifted freely, so the mean is taken off before.
    """
    kind = torch.float64 if x.dtype == torch.float64 else torch.float32
    y = x.to(kind).movedim(spec.axis, 1)
    if y.numel():
        y = y - _group_mean(spec, y.detach())
    if torch.is_grad_enabled() and not y.requires_grad:
        # Without a gradient to write, torch 2.13's channels-last backward kernel crashes.
        y = y.detach().requires_grad_()
    y = torch.nn.functional.group_norm(
        y, spec.groups, gamma.to(kind), beta.to(kind), spec.epsilon
    ).movedim(1, spec.axis)
    return y.to(getattr(torch, spec.dtype))


def _group_mean(spec: NormSpec, x: Any) -> Any:
    """(batch, channels, *space) -> the means of the groups, (batch, channels, 1, ...)."""
    ones = [1] * (x.ndim - 2)
    means = x.mean(tuple(range(2, x.ndim))) if x.ndim > 2 else x
    means = means.reshape(-1, spec.groups, spec.depth).mean(-1, keepdim=True)
    return means.expand(-1, -1, spec.depth).reshape(-1, spec.channels, *ones)
