"""A SavedModel, loaded and run by TensorFlow's C++ runtime; the only file that knows TensorFlow.

The graph runs in a `Session`: per call it costs half of what a `tf.function` does. Its
variables become constants, so that the runtime folds normalization into the convolutions.
"""

from __future__ import annotations

import base64
import contextlib
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from kcnn_server.errors import BadRequest, HTTPError, Unavailable

__all__ = ["DEFAULT_SIGNATURE", "Model", "Signature", "Tensor", "load_model", "start_tensorflow"]

DEFAULT_SIGNATURE = "serving_default"
# 8x8 gray pixels, PNG: what a signature of encoded pictures is tried out on.
_BLANK_PICTURE = base64.b64decode(
    b"iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAD0lEQVR42mNowAEYhpYEAILzYAEllbNjAAAAAElFTkSuQmCC"
)
# What a frozen graph cannot hold: its values live outside of the graph.
_STATEFUL = ("HashTable", "VarHandleOp", "LookupTable")


@dataclass(frozen=True)
class Tensor:
    """One input or output of a signature: shape with None for what is free."""

    name: str  # as the signature calls it
    node: str  # as the graph calls it
    dtype: np.dtype  # object for strings
    type_name: str  # DT_FLOAT ...
    shape: tuple[int | None, ...] | None  # None: of any rank


@dataclass
class Signature:
    name: str
    method: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    batched: bool = False  # the rows of a batch are answered independently, row by row
    _call: object = None

    @property
    def takes_pictures(self) -> bool:
        """Whether its one input is encoded pictures, one string each."""
        inputs = self.inputs
        return len(inputs) == 1 and inputs[0].name == "image_bytes" and inputs[0].dtype == object

    def run(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The outputs for one array per input; an HTTPError says why there are none."""
        from tensorflow.python.framework import errors

        try:
            return self._call(*arrays)  # type: ignore[operator]
        except (errors.ResourceExhaustedError, MemoryError) as error:
            raise Unavailable("Out of memory; send fewer or smaller images.") from error
        except (errors.InvalidArgumentError, errors.OutOfRangeError, ValueError) as error:
            raise BadRequest(_first_line(error)) from error
        except errors.OpError as error:
            raise HTTPError(_first_line(error)) from error


@dataclass
class Model:
    """One version of a model in memory."""

    version: int
    folder: Path
    signatures: dict[str, Signature]
    class_names: list[str] = field(default_factory=list)
    _session: object = None
    retired: bool = False
    _users: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def acquire(self) -> bool:
        """Keep it in memory until `release`; False if it is gone already."""
        with self._lock:
            if self._session is None:
                return False
            self._users += 1
            return True

    def release(self) -> None:
        with self._lock:
            self._users -= 1
        self._close_if_unused()

    def retire(self) -> None:
        """Free its memory as soon as the last request that holds it is answered."""
        with self._lock:
            self.retired = True
        self._close_if_unused()

    def _close_if_unused(self) -> None:
        with self._lock:
            if not self.retired or self._users or self._session is None:
                return
            session, self._session = self._session, None
        for signature in self.signatures.values():
            signature._call = None
        session.close()  # type: ignore[attr-defined]


def start_tensorflow() -> None:
    """Import TensorFlow without Keras, which it would import for a name nobody here uses."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if "tensorflow" in sys.modules:
        return
    sys.modules.setdefault("keras", None)  # type: ignore[arg-type]  # "not to be found"
    with _without_library_output():
        import tensorflow as tf
    tf.get_logger().setLevel("ERROR")


@contextlib.contextmanager
def _without_library_output() -> Iterator[None]:
    """Nothing of what libraries write to descriptor 2: our log is one line of JSON per event."""
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def load_model(folder: Path, version: int, *, threads: int) -> Model:
    """Load one version, run each of its signatures once and return it.

    Raises whatever TensorFlow does about a folder that is no whole SavedModel.
    """
    import tensorflow as tf
    from tensorflow.core.protobuf.rewriter_config_pb2 import RewriterConfig

    config = tf.compat.v1.ConfigProto(
        intra_op_parallelism_threads=threads, inter_op_parallelism_threads=threads
    )
    rewriting = config.graph_options.rewrite_options
    # A second round over the graph takes as long as the first and finds nothing to make faster.
    rewriting.meta_optimizer_iterations = RewriterConfig.ONE
    rewriting.disable_meta_optimizer = True  # while no more than the variables are read
    session, meta = _opened(folder, config)
    signatures = _signatures(meta)
    if not signatures:
        session.close()
        raise ValueError("it has no serving signature")
    rewriting.disable_meta_optimizer = False
    frozen = _frozen(session, signatures, config)
    session.close()
    session = frozen or _opened(folder, config)[0]
    for signature in signatures.values():
        signature._call = session.make_callable(
            [session.graph.get_tensor_by_name(t.node) for t in signature.outputs],
            feed_list=[session.graph.get_tensor_by_name(t.node) for t in signature.inputs],
        )
        _try_out(signature)
    return Model(version, folder, signatures, _class_names(folder), session)


def _opened(folder: Path, config):
    """A session of the SavedModel in `folder`, and what that says of itself."""
    import tensorflow as tf

    v1 = tf.compat.v1
    graph = tf.Graph()
    with graph.as_default():
        session = v1.Session(graph=graph, config=config)
        return session, v1.saved_model.load(session, ["serve"], str(folder))


def _frozen(session, signatures: dict[str, Signature], config):
    """A session of the same graph with constants for variables, or None where that cannot be."""
    import tensorflow as tf

    v1 = tf.compat.v1
    nodes = {t.node.split(":")[0] for s in signatures.values() for t in (*s.inputs, *s.outputs)}
    try:
        constant = v1.graph_util.convert_variables_to_constants(
            session, session.graph.as_graph_def(), sorted(nodes)
        )
    except (ValueError, KeyError, tf.errors.OpError, NotImplementedError):
        return None
    functions = [node for f in constant.library.function for node in f.node_def]
    if any(mark in node.op for node in [*constant.node, *functions] for mark in _STATEFUL):
        return None
    graph = tf.Graph()
    with graph.as_default():
        tf.import_graph_def(constant, name="")
    return v1.Session(graph=graph, config=config)


def _signatures(meta) -> dict[str, Signature]:
    found = {}
    for name, definition in sorted(meta.signature_def.items()):
        if name.startswith("__"):  # TensorFlow's own, like the init op
            continue
        found[name] = Signature(
            name,
            definition.method_name,
            _tensors(definition.inputs),
            _tensors(definition.outputs),
        )
    return {name: s for name, s in found.items() if s.inputs and s.outputs}


def _tensors(infos) -> tuple[Tensor, ...]:
    import tensorflow as tf
    from tensorflow.core.framework import types_pb2

    tensors = []
    for name, info in sorted(infos.items()):
        shape = None
        if not info.tensor_shape.unknown_rank:
            shape = tuple(None if d.size < 0 else d.size for d in info.tensor_shape.dim)
        dtype = np.dtype(tf.as_dtype(info.dtype).as_numpy_dtype)
        type_name = types_pb2.DataType.Name(info.dtype)
        tensors.append(Tensor(name, info.name, dtype, type_name, shape))
    return tuple(tensors)


def _try_out(signature: Signature) -> None:
    """Run it on two blank rows: errors show now, and whether it answers row by row."""
    if any(t.shape is None or t.shape[:1] != (None,) for t in signature.inputs):
        return
    rows = 2
    blank = []
    for tensor in signature.inputs:
        shape = [rows, *(size or 32 for size in tensor.shape[1:])]  # type: ignore[index]
        if tensor.dtype == object:
            value = _BLANK_PICTURE if signature.takes_pictures else b""
            blank.append(np.full(shape, value, object))
        else:
            blank.append(np.zeros(shape, tensor.dtype))
    try:
        outputs = signature.run(blank)
    except BadRequest:
        return  # blank rows may be no valid input of a model that is not ours
    signature.batched = all(o.ndim and len(o) == rows for o in outputs)


def _class_names(folder: Path) -> list[str]:
    file = folder / "assets" / "class_names.txt"
    return file.read_text(encoding="utf-8").split("\n")[:-1] if file.is_file() else []


def _first_line(error: Exception) -> str:
    text = getattr(error, "message", None) or str(error)
    return text.strip().split("\n")[0][:500]
