"""GroupNorm and InstanceNorm, and what computes them on each backend.

`layer` holds the Keras layers, `reference` the formula itself. `kernel` is the same with a
gradient, by four `passes` over tensors seen through a `layout`; the passes run as plain
operations anywhere, or compiled by XLA on a CPU. `backend` picks `tensorflow`, `jax` or `torch`.
"""

from kcnn.layers.group_norm.layer import GroupNorm, InstanceNorm, auto_groups, check_groups

__all__ = ["GroupNorm", "InstanceNorm", "auto_groups", "check_groups"]
