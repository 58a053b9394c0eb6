"""Group normalization on TensorFlow: a custom gradient, and compiled kernels while training.

While a gradient tape records (or `training` is true) the kernels of `cpu` run,
compiled by XLA once for each batch shape. Everything else, so every exported graph, holds
plain operations only. XLA compiles anew for every shape, so the compiled kernels serve

- images of known size with at least `_SMALLEST` values each (smaller ones are not worth
  the compiler's quarter of a second), the first `_SIZES` sizes that a layer meets,
- batch sizes whose odd part is 1, 3, 5 or 25 (32, 48, 50, 100, 160, 256, ...),

and all else (the last part of an epoch, images of changing size) takes the plain operations.
Nothing is compiled where TensorFlow sees a device other than CPUs, has no XLA for them, or finds
KCNN_COMPILED_NORM=0 in the environment. Layers like each other share their kernels, which go when
the last of these layers goes.
"""

import functools
import math
import os
import warnings
import weakref

import tensorflow as tf

from kcnn.layers.group_norm import cpu, plain
from kcnn.layers.group_norm.reference import NormSpec, kept_for_backward, reference

try:  # says whether any gradient tape is recording; not part of TensorFlow's public API
    from tensorflow.python.eager.record import could_possibly_record as _recording
except ImportError:  # then `training=True` alone switches the kernels on

    def _recording():
        return False


try:  # the tangents of forward-mode differentiation; not public either
    from tensorflow.python.eager.forwardprop_util import pack_tangents as _tangents
except ImportError:
    _tangents = None

__all__ = ["compiles", "group_normalize"]

_SIZES = 8
_SMALLEST = 4096
_ODD_PARTS = (1, 3, 5, 25)
_kernels: weakref.WeakValueDictionary = weakref.WeakValueDictionary()


def group_normalize(spec: NormSpec, x, gamma, beta, residual=None, *, training=None, held=None):
    """y of `reference`, with a gradient that keeps x and the (batch, groups) statistics.

    `held` is the layer's `Held`: what keeps its kernels alive. None: nothing is compiled.
    """
    given = [x, gamma, beta] + ([] if residual is None else [residual])
    if _tangents is not None and _tangents(given).tangents:  # of these functions it has no kind
        return reference(spec, *given)
    wanted = held is not None and bool(training or _recording())
    compiled = held if wanted and _compilable(spec, x, held) else None

    @tf.custom_gradient
    def run(*tensors):
        y, *statistics = _dispatch("forward", spec, compiled, *map(tf.stop_gradient, tensors))

        def gradient(dy):
            return _backward(spec, compiled, y, statistics, dy, *tensors)

        return y, gradient

    return run(*given)


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


def _dispatch(which, spec, held, *tensors):
    """Run the plain or the compiled kernel; which one may depend on the batch size."""
    batch = tensors[0].shape[0]
    if held is None or not (batch is None or _compiled_batch(batch)):
        return getattr(plain, which)(spec, *tensors)
    make = _kernel if batch is not None else _by_batch
    return _shared(make, which, spec, _signature(tensors), held)(*tensors)


def _shared(make, which, spec, signature, held):
    """One function for all layers like this one, made when the first of them asks.

    One for each signature: TensorFlow warns of functions traced many times.
    """
    key = make.__name__, which, spec, signature
    function = _kernels.get(key)
    if function is None:
        function = _kernels[key] = make(which, spec, signature, held)
    held.functions[key] = function
    return function


def _by_batch(which, spec, signature, held):
    """The compiled kernel or the plain one, decided when the batch size is known.

    The plain one is not inlined, so that TensorFlow prepares it for running only if a batch of
    such a size ever comes.
    """
    fast = _shared(_kernel, which, spec, signature, held)
    slow = functools.partial(getattr(plain, which), spec)
    slow = tf.function(slow, autograph=False, experimental_attributes={"_noinline": True})

    def choose(*tensors):
        batch = tf.shape(tensors[0])[0]
        odd = batch // tf.maximum(tf.bitwise.bitwise_and(batch, -batch), 1)
        known = tf.reduce_any(tf.equal(odd, tf.constant(_ODD_PARTS)))
        return tf.cond(known, lambda: fast(*tensors), lambda: slow(*tensors))

    return tf.function(choose, autograph=False)


def _kernel(which, spec, signature, held):
    """The compiled function of one normalization."""

    def kernel(*tensors):
        return getattr(cpu, which)(spec, *tensors)

    return tf.function(kernel, jit_compile=True, autograph=False)


def _compiled_batch(batch):
    return batch // max(batch & -batch, 1) in _ODD_PARTS


def _signature(tensors):
    return tuple(None if t is None else (tuple(t.shape), t.dtype) for t in tensors)


def _compilable(spec, x, held):
    """Whether x's size is known, its channels at one end, and not one size too many."""
    if spec.axis not in (1, len(x.shape) - 1) or len(x.shape) < 3:
        return False
    size = tuple(x.shape[1:])
    if None in size or math.prod(size) < _SMALLEST or not compiles():
        return False
    if size not in held.sizes and len(held.sizes) >= _SIZES:
        return False
    held.sizes.add(size)
    return True


@functools.cache
def compiles() -> bool:
    """Whether kernels are compiled at all: CPUs alone, XLA for them, and nobody against it."""
    if os.environ.get("KCNN_COMPILED_NORM", "1") == "0":
        return False
    if any("CPU" not in device.device_type for device in tf.config.list_physical_devices()):
        return False
    try:
        with tf.init_scope():
            tf.function(lambda: tf.constant(1.0) + 1.0, jit_compile=True, autograph=False)()
    except (tf.errors.OpError, ValueError) as error:
        warnings.warn(
            f"GroupNorm: this TensorFlow has no XLA for the CPU ({type(error).__name__}); plain "
            "operations are used, at a lower speed.",
            stacklevel=2,
        )
        return False
    return True
