"""Group normalization on whatever backend Keras runs on."""

import keras

from kcnn.layers._norm_spec import reference

__all__ = ["group_normalize"]


def group_normalize(spec, x, gamma, beta, residual=None, *, training=None):
    """activation(gamma * (x - mean) / sqrt(var + epsilon) + beta [+ residual]).

    Args:
        spec: a `NormSpec`.
        x: (batch, *space) with the channels at spec.axis, a floating type.
        gamma, beta: (channels,), in the type to compute in.
        residual: of x's shape, or None.
        training: whether a gradient will surely be asked for (a hint).

    Returns:
        A tensor of x's shape and of spec.dtype.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        from kcnn.layers._norm_tensorflow import group_normalize as run
    elif backend == "jax":
        from kcnn.layers._norm_jax import group_normalize as run
    elif backend == "torch":
        from kcnn.layers._norm_torch import group_normalize as run
    else:
        return reference(spec, x, gamma, beta, residual)
    return run(spec, x, gamma, beta, residual, training=training)
