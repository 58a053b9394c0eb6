"""Group normalization on JAX: a custom gradient, one compiled kernel each way."""

import functools
from typing import Any

import jax

from kcnn.layers.group_norm.backend import Held
from kcnn.layers.group_norm.kernel import backward, forward
from kcnn.layers.group_norm.passes import FUSED, PLAIN, Passes
from kcnn.layers.group_norm.reference import NormSpec

__all__ = ["compiles", "group_normalize"]


def compiles() -> bool:
    """Whether the passes are written for XLA on a CPU: GPUs and TPUs fuse reductions well."""
    return bool(jax.default_backend() == "cpu")


def group_normalize(
    spec: NormSpec, x: Any, gamma: Any, beta: Any, *, training: bool | None, held: Held | None
) -> Any:
    """y of `reference`, with a gradient that keeps x and the (batch, groups) statistics."""
    return _run(spec, held is not None and compiles(), x, gamma, beta)


def _passes(fused: bool, x: Any) -> Passes:
    return FUSED if fused and len(x.shape) > 2 and 0 not in x.shape else PLAIN


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
@functools.partial(jax.jit, static_argnums=(0, 1))
def _run(spec: NormSpec, fused: bool, x: Any, gamma: Any, beta: Any) -> Any:
    return forward(spec, x, gamma, beta, passes=_passes(fused, x))[0]


@functools.partial(jax.jit, static_argnums=(0, 1))
def _forward(spec: NormSpec, fused: bool, x: Any, gamma: Any, beta: Any) -> Any:
    y, *statistics = forward(spec, x, gamma, beta, passes=_passes(fused, x))
    return y, (x, gamma, beta, statistics)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _backward(spec: NormSpec, fused: bool, saved: Any, dy: Any) -> Any:
    x, gamma, beta, statistics = saved
    dx, *found = backward(spec, dy, x, gamma, *statistics, passes=_passes(fused, x))
    dgamma, dbeta = (g.astype(t.dtype) for g, t in zip(found, (gamma, beta), strict=True))
    return dx.astype(x.dtype), dgamma, dbeta


_run.defvjp(_forward, _backward)
