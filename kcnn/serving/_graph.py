"""Graphs without anything that only this process or only XLA can run; and without variables."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import keras

__all__ = ["freeze", "make_portable"]


_MARKS = (
    "_XlaMustCompile",
    "_XlaScope",
    "_XlaSeparateCompiledGradients",
    "_gradient_op_type",  # names a Python function of this process
)
_PYTHON = frozenset({"PyFunc", "PyFuncStateless", "EagerPyFunc"})


def make_portable(folder: Path) -> int:
    """Take `jit_compile` and custom gradients out of a SavedModel; return how many marks went.

    Layers may compile small kernels by `tf.function(jit_compile=True)`. Without the mark the
    same function runs operation by operation, in every runtime, and a gradient through the
    loaded model is the one of the operations themselves.

    Raises ValueError if the graph holds operations that exist in XLA or in this process alone.
    """
    from tensorflow.core.protobuf import saved_model_pb2

    file = folder / "saved_model.pb"
    saved = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    marked, foreign = 0, set()
    for meta in saved.meta_graphs:
        nodes = list(meta.graph_def.node)
        for function in meta.graph_def.library.function:
            marked += _unmark(function.attr)
            nodes += function.node_def
        for node in nodes:
            marked += _unmark(node.attr)
            if node.op.startswith("Xla") or node.op in _PYTHON:
                foreign.add(node.op)
    if foreign:
        raise ValueError(
            "export: the graph holds operations that only XLA or this Python process runs: "
            f"{', '.join(sorted(foreign))}. Replace the layer that makes them."
        )
    if marked:
        file.write_bytes(saved.SerializeToString(deterministic=True))
        (folder / "fingerprint.pb").unlink(missing_ok=True)  # of the graph as it was before
    return marked


def _unmark(attributes) -> int:
    found = [mark for mark in _MARKS if mark in attributes]
    for mark in found:
        del attributes[mark]
    return bool(found)


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
