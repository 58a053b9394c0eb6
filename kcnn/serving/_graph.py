"""The saved graph without anything that only this process or only XLA can run."""

from __future__ import annotations

from pathlib import Path

__all__ = ["make_portable"]

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
