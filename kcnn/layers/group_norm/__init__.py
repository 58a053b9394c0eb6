"""GroupNorm and InstanceNorm, and the kernels that compute them on each backend.

`layer` holds the Keras layers, `backend` picks the kernel, `reference` is the formula itself.
`plain` runs anywhere, each operation a pass of its own; `cpu` is written for XLA on a CPU.
`tensorflow`, `jax` and `torch` give them a gradient and decide between the two.
"""

from kcnn.layers.group_norm.layer import GroupNorm, InstanceNorm, auto_groups, check_groups

__all__ = ["GroupNorm", "InstanceNorm", "auto_groups", "check_groups"]
