"""Complex numbers for the compiled kernels: two real values that travel together."""

import keras

__all__ = ["pair"]


def pair(first, second):
    """first + 1j * second."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.complex(first, second)
    import jax

    return jax.lax.complex(first, second)
