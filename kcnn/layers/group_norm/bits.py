"""What the compiled kernels need and `keras.ops` lacks, on TensorFlow and JAX."""

from typing import Any

import keras
from keras import ops

__all__ = ["bits_of_bfloat16", "narrowed", "pair", "widened"]


def _on_tensorflow() -> bool:
    return bool(keras.backend.backend() == "tensorflow")


def _reinterpreted(x: Any, dtype: str) -> Any:
    """The bits of x as another type of the same size."""
    if _on_tensorflow():
        import tensorflow as tf

        return tf.bitcast(x, dtype)
    import jax

    return jax.lax.bitcast_convert_type(x, dtype)


def pair(first: Any, second: Any) -> Any:
    """first + 1j * second: two real values that travel together."""
    if _on_tensorflow():
        import tensorflow as tf

        return tf.complex(first, second)
    import jax

    return jax.lax.complex(first, second)


def bits_of_bfloat16(x: Any) -> Any:
    """bfloat16 as uint16; x itself if of another type.

    On a CPU, XLA can't move bfloat16: it converts to float32 and back even to cut a tensor.
    """
    bfloat16 = keras.backend.standardize_dtype(x.dtype) == "bfloat16"
    return _reinterpreted(x, "uint16") if bfloat16 else x


def widened(x: Any, dtype: Any) -> Any:
    """What `bits_of_bfloat16` returned, as `dtype`: a bfloat16 is the upper half of a float32."""
    if keras.backend.standardize_dtype(x.dtype) != "uint16":
        return ops.cast(x, dtype)
    bits = ops.left_shift(ops.cast(x, "uint32"), ops.convert_to_tensor(16, "uint32"))
    return ops.cast(_reinterpreted(bits, "float32"), dtype)


def narrowed(x: Any, dtype: Any, by_bits: bool = True) -> Any:
    """x as `dtype`; to bfloat16 by integers, rounded to nearest, ties to even.

    XLA's own conversion keeps the loop that it is part of from being vectorized.
    """
    if not by_bits or keras.backend.standardize_dtype(dtype) != "bfloat16" or x.dtype != "float32":
        return ops.cast(x, dtype)

    def constant(value: int) -> Any:
        return ops.convert_to_tensor(value, "uint32")

    bits = _reinterpreted(x, "uint32")
    odd = ops.bitwise_and(ops.right_shift(bits, constant(16)), constant(1))
    upper = ops.right_shift(bits + odd + constant(0x7FFF), constant(16))
    upper = ops.where(ops.isnan(x), constant(0x7FC0), upper)
    return _reinterpreted(ops.cast(upper, "uint16"), "bfloat16")
