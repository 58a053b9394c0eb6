"""Group normalization and its gradient in two passes each; see `passes` for what XLA gains.

Statistics are relative to `shift`, the mean of some pixels; the mean of all is shift + rest.
x - shift is exact to float32 relative to the spread of the values however large their mean is;
and as rest^2 <= 17 variance whatever the values are (`shift` is of every 17th pixel),
E[(x - shift)^2] - rest^2 loses four bits at worst, and as good as none where these pixels are
like the others.
"""

from typing import Any

from keras import ops

from kcnn.layers.group_norm.layout import Layout
from kcnn.layers.group_norm.passes import (
    PLAIN,
    Passes,
    affine,
    gradient_affine,
    gradient_moments,
    moments,
)
from kcnn.layers.group_norm.reference import NormSpec

__all__ = ["backward", "forward"]


def forward(
    spec: NormSpec, x: Any, gamma: Any, beta: Any, *, passes: Passes = PLAIN
) -> tuple[Any, Any, Any, Any]:
    """Returns y, and (batch, groups) each: shift, rest and 1 / sqrt(var + epsilon)."""
    view = Layout(spec, x, passes.fused)
    shift = view.part_means()
    x3, wide_shift = view.flat(x), view.wide(view.channels(shift))
    rest, squares = map(view.group_means, passes.sums(view, moments, wide_shift, x3))
    inv = ops.rsqrt(ops.maximum(squares - ops.square(rest), 0.0) + spec.epsilon)
    scale = view.channels(inv) * gamma
    offset = beta - view.channels(rest) * scale
    vectors = map(view.wide, (scale, offset))
    y = passes.values(spec.dtype, affine, wide_shift, x3, *vectors)
    return view.restored(y), shift, rest, inv


def backward(
    spec: NormSpec,
    dy: Any,
    x: Any,
    gamma: Any,
    shift: Any,
    rest: Any,
    inv: Any,
    *,
    passes: Passes = PLAIN,
) -> tuple[Any, Any, Any]:
    """Returns (dx, dgamma, dbeta), given what `forward` returned."""
    view = Layout(spec, x, passes.fused)
    dy3, x3, wide_shift = view.flat(dy), view.flat(x), view.wide(view.channels(shift))
    sums, sums_of_d = passes.sums(view, gradient_moments, wide_shift, dy3, x3)
    wide_rest, wide_inv = view.channels(rest), view.channels(inv)
    sums_of_d = sums_of_d - wide_rest * sums
    dgamma = ops.sum(sums_of_d * wide_inv, axis=0)
    dbeta = ops.sum(sums, axis=0)
    mean = view.group_means(sums * gamma)
    mean_d = view.group_means(sums_of_d * gamma) * ops.square(inv)
    vectors = [
        wide_inv * gamma,
        view.channels(inv * mean_d),
        view.channels(inv * (rest * mean_d - mean)),
    ]
    dx = passes.values(x.dtype, gradient_affine, wide_shift, dy3, x3, *map(view.wide, vectors))
    return view.restored(dx), dgamma, dbeta
