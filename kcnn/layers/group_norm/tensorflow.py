"""Group normalization on TensorFlow: a custom gradient, and compiled passes while training.

While a gradient tape records (or `training` is true) each of the `passes` is compiled by XLA,
once for each shape. Everything else, so every exported graph, holds plain operations only. XLA
compiles anew for every shape, so the compiled passes serve

- images of known size with at least `_SMALLEST` values each (smaller ones are not worth
  the compiler's tenth of a second), the first `_SIZES` sizes that a layer meets,
- batch sizes whose odd part is 1, 3, 5 or 25 (32, 48, 50, 100, 160, 256, ...),

and all else (the last part of an epoch, images of changing size) takes the plain operations.
Nothing is compiled where TensorFlow sees a device other than CPUs, has no XLA for them, or finds
KCNN_COMPILED_NORM=0 in the environment. All layers share the passes compiled for a shape, which
go when the last of these layers goes. Compiled whole, in one each way, small maps take about half
the time and large ones a tenth less, but the first step of a ResNet-20 then takes 3.3 times the
processor seconds that it takes with Keras's layer, instead of 1.7.
"""

import functools
import math
import os
import warnings
import weakref
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from kcnn.layers.group_norm import kernel
from kcnn.layers.group_norm.backend import Held
from kcnn.layers.group_norm.layout import Layout
from kcnn.layers.group_norm.passes import FUSED, PLAIN, Fused, Terms, Values, partial_sums
from kcnn.layers.group_norm.reference import NormSpec, reference

try:  # says whether any gradient tape is recording; not part of TensorFlow's public API
    from tensorflow.python.eager.record import could_possibly_record as _recording
except ImportError:  # then `training=True` alone switches the kernels on

    def _recording() -> bool:
        return False


try:  # the tangents of forward-mode differentiation; not public either
    from tensorflow.python.eager.forwardprop_util import pack_tangents as _tangents
except ImportError:
    _tangents = None

__all__ = ["compiles", "group_normalize"]

_SIZES = 8
_SMALLEST = 4096
_ODD_PARTS = (1, 3, 5, 25)
# Inlined, each of some twenty layers' calls would be optimized anew in the first step.
_ONE_GRAPH = {"autograph": False, "experimental_attributes": {"_noinline": True}}
_functions: weakref.WeakValueDictionary[Any, Any] = weakref.WeakValueDictionary()


def group_normalize(
    spec: NormSpec, x: Any, gamma: Any, beta: Any, *, training: bool | None, held: Held | None
) -> Any:
    """y of `reference`, with a gradient that keeps x and the (batch, groups) statistics.

    `held` is the layer's `Held`: what keeps its kernels alive. None: nothing is compiled.
    """
    given = [x, gamma, beta]
    if _tangents is not None and _tangents(given).tangents:  # of these functions it has no kind
        return reference(spec, *given)
    if not training and not _recording():  # no gradient asked for: in an export it would warn
        return kernel.forward(spec, *given)[0]
    compiled = held if held is not None and _compilable(spec, x, held) else None

    def run(*tensors: Any) -> Any:
        y, *statistics = _kernel("forward", spec, compiled, *map(tf.stop_gradient, tensors))

        def gradient(dy: Any) -> Any:
            return _backward(spec, compiled, statistics, dy, *tensors)

        return y, gradient

    return tf.custom_gradient(run)(*given)


def _backward(spec: NormSpec, held: Held | None, statistics: Any, dy: Any, *tensors: Any) -> Any:
    """The gradients of `tensors`; differentiable itself, by way of `reference`."""

    def run(dy: Any, *tensors: Any) -> Any:
        dy_only, x, gamma, *_ = map(tf.stop_gradient, (dy, *tensors))
        found = _kernel("backward", spec, held, dy_only, x, gamma, *statistics)

        def second(*upstream: Any) -> Any:
            with tf.GradientTape() as outer:
                outer.watch([dy, *tensors])
                with tf.GradientTape() as inner:
                    inner.watch(tensors)
                    y = reference(spec, *tensors)
                first = inner.gradient(y, tensors, dy)
            return outer.gradient(
                first, [dy, *tensors], upstream, unconnected_gradients=tf.UnconnectedGradients.ZERO
            )

        return found, second

    return tf.custom_gradient(run)(dy, *tensors)


def _kernel(which: str, spec: NormSpec, held: Held | None, *tensors: Any) -> Any:
    """Run `kernel.forward` or `.backward`: one graph for all layers that are alike."""
    run = functools.partial(getattr(kernel, which), spec)
    batch, *size = tensors[0].shape
    if held is None or (batch is not None and not _compiled_batch(batch)):
        return run(*tensors)
    passes = Compiled(held) if math.prod(size) >= _SMALLEST else PLAIN
    if passes is PLAIN and tf.executing_eagerly():
        return run(*tensors)

    def make() -> Any:
        return tf.function(functools.partial(run, passes=passes), **_ONE_GRAPH)

    return _shared(held, (which, spec, _signature(tensors)), make)(*tensors)


class Compiled(Fused):
    """Each pass compiled by XLA for itself, for batch sizes that are; the plain one for others."""

    def __init__(self, held: Held):
        self.held = held

    def sums(self, view: Layout, terms: Terms, *tensors: Any) -> Any:
        fast = functools.partial(partial_sums, view.space, terms)
        return _by_batch(
            lambda: view.totals(self._compiled((terms, view.space), fast, tensors)),
            lambda: PLAIN.sums(view, terms, *tensors),
            tensors,
        )

    def values(self, dtype: str, values: Values, *tensors: Any) -> Any:
        fast = functools.partial(FUSED.values, dtype, values)
        return _by_batch(
            lambda: self._compiled((values, dtype), fast, tensors),
            lambda: PLAIN.values(dtype, values, *tensors),
            tensors,
        )

    def _compiled(self, name: Any, run: Any, tensors: Any) -> Any:
        def make() -> Any:
            return tf.function(run, jit_compile=True, autograph=False)

        return _shared(self.held, ("compiled", *name, _signature(tensors)), make)(*tensors)


def _by_batch(fast: Any, plain: Any, tensors: Any) -> Any:
    """The one or the other, decided when the batch size is known."""
    if tensors[1].shape[0] is not None:
        return fast()
    batch = tf.shape(tensors[1])[0]
    odd = batch // tf.maximum(tf.bitwise.bitwise_and(batch, -batch), 1)
    return tf.cond(tf.reduce_any(tf.equal(odd, tf.constant(_ODD_PARTS))), fast, plain)


def _shared(held: Held, key: Any, make: Callable[[], Any]) -> Any:
    """One function for all layers that need it, made when the first of them asks.

    One for each signature: TensorFlow warns of functions traced many times.
    """
    function = _functions.get(key)
    if function is None:
        function = _functions[key] = make()
    held.functions[key] = function
    return function


def _compiled_batch(batch: int) -> bool:
    return batch // max(batch & -batch, 1) in _ODD_PARTS


def _signature(tensors: Any) -> tuple[Any, ...]:
    return tuple((tuple(t.shape), t.dtype) for t in tensors)


def _compilable(spec: NormSpec, x: Any, held: Held) -> bool:
    """Whether x's size is known, there is space, and it is not one size too many."""
    size = tuple(x.shape[1:])
    if len(size) < 2 or None in size or 0 in size or not compiles():
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
