"""The network as one function without variables, XLA or custom gradients, for converters."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import keras

from kcnn.serving._graph import make_portable

__all__ = ["freeze"]


class _Frozen(keras.Model):
    """A function of the graph as a Keras model, so that Keras's own exporters take it."""

    def __init__(self, function: Any):
        super().__init__(dtype="float32", autocast=False, name="frozen")
        self.function = function

    def build(self, input_shape: Any) -> None:
        self.built = True  # there are no weights: they are constants

    def call(self, images: Any) -> dict[str, Any]:
        outputs = keras.tree.flatten(self.function(images))
        return {"probabilities": outputs[0]}


def freeze(probabilities: keras.Model, image_shape: tuple[int | None, ...]) -> keras.Model:
    """`probabilities` with its weights as constants, on TensorFlow.

    The way goes through a SavedModel, since only there all marks of XLA and of custom gradients
    can be taken out; converters make extra outputs of the ones and fail at the others. Tensors
    that a layer keeps outside its variables (`keras.layers.Normalization`) become constants too,
    where tf2onnx would make inputs of them.
    """
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    spec = tf.TensorSpec([None, *image_shape], tf.float32, name="images")
    function = tf.function(lambda images: {"probabilities": probabilities(images)}, autograph=False)
    module = tf.Module()
    module.model_variables = [variable.value for variable in probabilities.variables]
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    with tempfile.TemporaryDirectory() as folder:
        signature = function.get_concrete_function(spec)
        tf.saved_model.save(module, folder, signatures=signature, options=options)
        make_portable(Path(folder))
        loaded = tf.saved_model.load(folder)  # holds the variables until they are constants
        frozen = _Frozen(convert_variables_to_constants_v2(loaded.signatures["serving_default"]))
    frozen.build((None, *image_shape))
    return frozen
