"""Group normalization on TensorFlow: a custom gradient, and compiled kernels while training.

While a gradient tape records (or `training` is true) the kernels of `_norm_fused` run,
compiled by XLA once for each batch shape. Everything else, so every exported graph, holds
plain operations only. XLA compiles anew for every shape, so the compiled kernels serve

- images of known size with at least `_SMALLEST` values each (smaller ones are not worth
  the compiler's quarter of a second), the first `_SIZES` sizes that a layer meets,
- batch sizes whose odd part is 1, 3, 5 or 25 (32, 48, 50, 100, 160, 256, ...),

and all else (the last part of an epoch, images of changing size) takes the plain operations.
With a GPU in sight, or KCNN_COMPILED_NORM=0 in the environment, nothing is compiled.
"""

import functools
import math
import os
from collections import defaultdict

import tensorflow as tf

from kcnn.layers import _norm_fused, _norm_plain
from kcnn.layers._norm_spec import NormSpec, kept_for_backward, reference

try:  # says whether any gradient tape is recording; not part of TensorFlow's public API
    from tensorflow.python.eager.record import could_possibly_record as _recording
except ImportError:  # then `training=True` alone switches the kernels on

    def _recording():
        return False


__all__ = ["group_normalize"]

_SIZES = 8
_SMALLEST = 4096
_ODD_PARTS = (1, 3, 5, 25)
_seen: dict[tuple, set] = defaultdict(set)


def group_normalize(spec: NormSpec, x, gamma, beta, residual=None, *, training=None):
    """y of `reference`, with a gradient that keeps x and the (batch, groups) statistics."""
    compiled = bool(training or _recording()) and _compilable(spec, x)
    tensors = [x, gamma, beta] + ([] if residual is None else [residual])

    @tf.custom_gradient
    def run(*tensors):
        y, *statistics = _dispatch("forward", spec, compiled, *map(tf.stop_gradient, tensors))

        def gradient(dy):
            return _backward(spec, compiled, y, statistics, dy, *tensors)

        return y, gradient

    return run(*tensors)


def _backward(spec, compiled, y, statistics, dy, *tensors):
    """The gradients of `tensors`; differentiable itself, by way of `reference`."""

    @tf.custom_gradient
    def run(dy, *tensors):
        x, gamma, beta, *rest = map(tf.stop_gradient, tensors)
        residual, output = kept_for_backward(spec, rest[0] if rest else None, tf.stop_gradient(y))
        found = _dispatch(
            "backward",
            spec,
            compiled,
            *(tf.stop_gradient(dy), x, gamma, beta, residual, output),
            *map(tf.stop_gradient, statistics),
        )
        if len(found) < len(tensors):  # nothing between the residual and y
            found = (*found, dy)
        found = [tf.cast(g, t.dtype) for g, t in zip(found, tensors, strict=True)]

        def second(*upstream):
            with tf.GradientTape() as outer:
                outer.watch([dy, *tensors])
                with tf.GradientTape() as inner:
                    inner.watch(tensors)
                    y = reference(spec, *tensors)
                first = inner.gradient(y, tensors, dy)
            return outer.gradient(
                first,
                [dy, *tensors],
                upstream,
                unconnected_gradients=tf.UnconnectedGradients.ZERO,
            )

        return found, second

    return run(dy, *tensors)


def _dispatch(which, spec, compiled, *tensors):
    """Run the plain or the compiled kernel; which one may depend on the batch size."""
    batch = tensors[0].shape[0]
    if not compiled or not (batch is None or _compiled_batch(batch)):
        return getattr(_norm_plain, which)(spec, *tensors)
    choose = _kernel if batch is not None else _by_batch
    return choose(which, spec, _signature(tensors))(*tensors)


@functools.cache
def _by_batch(which, spec, signature):
    """The compiled kernel or the plain one, decided when the batch size is known.

    Functions, so that layers like each other are traced once; the plain one is not inlined,
    so that TensorFlow prepares it for running only if a batch of such a size ever comes.
    """
    fast = _kernel(which, spec, signature)
    plain = functools.partial(getattr(_norm_plain, which), spec)
    plain = tf.function(plain, autograph=False, experimental_attributes={"_noinline": True})

    def choose(*tensors):
        batch = tf.shape(tensors[0])[0]
        odd = batch // tf.maximum(tf.bitwise.bitwise_and(batch, -batch), 1)
        known = tf.reduce_any(tf.equal(odd, tf.constant(_ODD_PARTS)))
        return tf.cond(known, lambda: fast(*tensors), lambda: plain(*tensors))

    return tf.function(choose, autograph=False)


def _compiled_batch(batch):
    return batch // max(batch & -batch, 1) in _ODD_PARTS


def _signature(tensors):
    return tuple(None if t is None else (tuple(t.shape), t.dtype) for t in tensors)


@functools.cache
def _kernel(which, spec, signature):
    """The compiled function of one normalization, shared by all layers like it.

    One function for each signature: TensorFlow warns of functions traced many times.
    """

    def kernel(*tensors):
        return getattr(_norm_fused, which)(spec, *tensors)

    return tf.function(kernel, jit_compile=True, autograph=False)


def _compilable(spec, x):
    """Whether x's size is known, its channels at one end, and not one size too many."""
    if spec.axis not in (1, len(x.shape) - 1) or len(x.shape) < 3 or not _wanted():
        return False
    size = tuple(x.shape[1:])
    if None in size or math.prod(size) < _SMALLEST:
        return False
    seen = _seen[spec]
    if size not in seen and len(seen) >= _SIZES:
        return False
    seen.add(size)
    return True


@functools.cache
def _wanted():
    if os.environ.get("KCNN_COMPILED_NORM", "1") == "0":
        return False
    return not tf.config.list_physical_devices("GPU")
