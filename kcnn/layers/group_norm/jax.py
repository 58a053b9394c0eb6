"""Group normalization on JAX: a custom gradient, one compiled kernel each way."""

import functools

import jax
import jax.numpy as jnp

from kcnn.layers.group_norm import cpu, plain
from kcnn.layers.group_norm.reference import NormSpec, kept_for_backward

__all__ = ["compiles", "group_normalize"]


def compiles():
    """Whether the kernels for XLA on a CPU are used: GPUs and TPUs fuse reductions well."""
    return jax.default_backend() == "cpu"


def group_normalize(spec: NormSpec, x, gamma, beta, residual=None, *, training=None, held=None):
    """y of `reference`, with a gradient that keeps x and the (batch, groups) statistics."""
    return _run(spec, held is not None and compiles(), x, gamma, beta, residual)


def _kernels(spec, by_hand, x):
    at_an_end = len(x.shape) > 2 and spec.axis in (1, len(x.shape) - 1)
    return cpu if by_hand and at_an_end and 0 not in x.shape else plain


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
@functools.partial(jax.jit, static_argnums=(0, 1))
def _run(spec, by_hand, x, gamma, beta, residual):
    return _kernels(spec, by_hand, x).forward(spec, x, gamma, beta, residual)[0]


@functools.partial(jax.jit, static_argnums=(0, 1))
def _forward(spec, by_hand, x, gamma, beta, residual):
    y, *statistics = _kernels(spec, by_hand, x).forward(spec, x, gamma, beta, residual)
    # An empty array remembers whether there is a residual, and its type.
    like = None if residual is None else jnp.zeros((0,), residual.dtype)
    return y, (x, gamma, beta, *kept_for_backward(spec, residual, y), statistics, like)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _backward(spec, by_hand, saved, dy):
    x, gamma, beta, residual, y, statistics, like = saved
    kernel = _kernels(spec, by_hand, x).backward
    found = kernel(spec, dy, x, gamma, beta, residual, y, *statistics)
    dx, dgamma, dbeta, dz = found if len(found) == 4 else (*found, dy)
    return (
        dx.astype(x.dtype),
        dgamma.astype(gamma.dtype),
        dbeta.astype(beta.dtype),
        None if like is None else dz.astype(like.dtype),
    )


_run.defvjp(_forward, _backward)
