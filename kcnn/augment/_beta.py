"""Draws from Beta(alpha, alpha) in operations that XLA compiles, as TensorFlow's gamma is not."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import tensorflow as tf

__all__ = ["symmetric_beta"]

_TRIALS = 8  # each is accepted with 95 % or more


def _log_gamma(alpha: float, shape: tuple[Any, ...], next_seed: Callable[[], Any]) -> Any:
    """Logarithms of draws from Gamma(alpha). Marsaglia & Tsang, doi:10.1145/358407.358414.

    Gamma(alpha) is Gamma(alpha + 1) * u^(1 / alpha), u uniform; in logarithms so that no alpha
    is too small. The first accepted of all trials is taken at once: small batches are held up by
    the number of operations.
    """
    d = alpha + 2.0 / 3.0
    normal = tf.random.stateless_normal((_TRIALS, *shape), next_seed())
    log_u = tf.math.log(_uniform((_TRIALS + 1, *shape), next_seed()))
    root = 1.0 + normal / math.sqrt(9.0 * d)
    log_v = 3.0 * tf.math.log(tf.maximum(root, 1e-6))
    limit = 0.5 * normal**2 + d * (1.0 - tf.exp(log_v) + log_v)
    accepted = tf.logical_and(root > 0.0, log_u[:-1] < limit)
    first = tf.one_hot(tf.argmax(accepted, axis=0), _TRIALS, axis=0)
    return math.log(d) + tf.reduce_sum(log_v * first, axis=0) + log_u[-1] / alpha


def _uniform(shape: Any, seed: Any) -> Any:
    """Uniform in (0, 1]: its logarithm is finite."""
    return 1.0 - tf.random.stateless_uniform(shape, seed)


def symmetric_beta(alpha: float, batch: Any, next_seed: Callable[[], Any]) -> Any:
    """(batch,) float32 draws from Beta(alpha, alpha); `next_seed()` gives a new seed each time."""
    one, other = tf.unstack(_log_gamma(alpha, (2, batch), next_seed))
    return tf.sigmoid(one - other)
