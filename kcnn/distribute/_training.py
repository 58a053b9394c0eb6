"""`fit`, `evaluate` and `predict` on every replica of every worker."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from kcnn.distribute._cluster import DistributeError, cluster
from kcnn.distribute._progress import signs_of_life
from kcnn.distribute.keras_internals import compiled, many_workers, repaired, strategy_of

__all__ = ["evaluate", "fit", "predict"]

BATCH = 32  # Keras's own
HASHED = 1 << 26  # bytes of an array that are hashed; of a larger one, rows evenly spread
WRITERS = (
    keras.callbacks.CSVLogger,
    keras.callbacks.ModelCheckpoint,
    keras.callbacks.TensorBoard,
)


def fit(
    model: keras.Model,
    x: Any = None,
    y: Any = None,
    *,
    callbacks: Sequence[keras.callbacks.Callback] | None = None,
    **arguments: Any,
) -> Any:
    """`model.fit` on the strategy that `model` was made under; gives the same as on one device.

    `batch_size` and a data set's batches are global ones: the replicas share each. Callbacks that
    write files (`ModelCheckpoint`, `CSVLogger`, `TensorBoard`) run on worker 0 alone, everything
    else on all workers. Logs are the same on all.

    `x` may be a function of a worker's part, (index, count), and the number of replicas, that gives
    the batches of a replica in that part: `lambda part, replicas:
    split.batches(64 // replicas, shard=part)`. Then no worker decodes another's images, where each
    otherwise reads all and keeps its share; all have to come to the same number of batches.
    Likewise `validation_data`.

    Raises:
        DistributeError: on every worker, if one has another model, other data or other arguments;
            a batch that does not divide; `jit_compile`, which TensorFlow's strategies can't do.

    >>> history = fit(model, x, y, epochs=1, verbose=0)
    """
    callbacks = _callback_list(model, callbacks)
    told = {"callbacks": [type(c).__name__ for c in callbacks], **arguments}
    if many_workers(strategy_of(model)) and not cluster().chief:
        callbacks = [c for c in callbacks if not isinstance(c, WRITERS)]
    callbacks = [*callbacks, *signs_of_life()]
    return _run(model, model.fit, told, x=x, y=y, callbacks=callbacks, **arguments)


def evaluate(model: keras.Model, x: Any = None, y: Any = None, **arguments: Any) -> Any:
    """`model.evaluate` likewise.

    >>> sorted(evaluate(model, x, y, return_dict=True, verbose=0))
    ['accuracy', 'loss']
    """
    return _run(model, model.evaluate, arguments, x=x, y=y, **arguments)


def predict(model: keras.Model, x: Any, **arguments: Any) -> Any:
    """`model.predict` likewise: the outputs for all of `x`, in its order, on every worker.

    >>> predict(model, x, verbose=0).shape
    (256, 10)
    """
    return _run(model, model.predict, arguments, x=x, **arguments)


def _callback_list(model: keras.Model, callbacks: Any) -> list[keras.callbacks.Callback]:
    callbacks = [callbacks] if isinstance(callbacks, keras.callbacks.Callback) else callbacks
    callbacks = list(callbacks or ())
    restoring = any(isinstance(c, keras.callbacks.BackupAndRestore) for c in callbacks)
    if restoring and many_workers(strategy_of(model)):
        raise DistributeError(
            "BackupAndRestore writes one file from all workers at once and keeps weights and "
            "epoch apart; use kcnn.distribute.Checkpoint."
        )
    return callbacks


def _run(
    model: keras.Model,
    method: Callable[..., Any],
    told: dict[str, Any],
    **arguments: Any,
) -> Any:
    strategy = strategy_of(model)
    for name in ("x", "validation_data"):
        if inspect.isroutine(arguments.get(name)):
            arguments[name] = _parts(strategy, arguments[name])
    if strategy is None or strategy.num_replicas_in_sync == 1:
        return method(**arguments)
    _refuse(model, strategy.num_replicas_in_sync, method.__name__, arguments)
    if many_workers(strategy):
        _agree(strategy, model, told, arguments)
        if not cluster().chief:
            arguments.setdefault("verbose", 0)
    with repaired():
        return method(**arguments)


def _parts(strategy: Any, make: Callable[[tuple[int, int], int], Any]) -> Any:
    """The data set of which each worker makes its own part."""
    if strategy is None:
        return make((0, 1), 1)
    return strategy.distribute_datasets_from_function(
        lambda c: make((c.input_pipeline_id, c.num_input_pipelines), c.num_replicas_in_sync)
    )


def _refuse(model: keras.Model, replicas: int, name: str, arguments: dict[str, Any]) -> None:
    """DistributeError for what fails, or hangs, only after a while."""
    if compiled(model):
        raise DistributeError(
            f"{name}: the model is compiled with jit_compile=True, which TensorFlow can't do under "
            "a strategy; compile it with jit_compile=False."
        )
    if name != "fit" or not hasattr(arguments["x"], "shape"):
        return  # what remains of a data set or of an evaluation may be shared unevenly
    batch = arguments.get("batch_size") or BATCH
    if batch % replicas:
        near = max(replicas, batch - batch % replicas)
        raise DistributeError(
            f"fit: batch_size={batch} does not divide among {replicas} replicas; take {near} or "
            f"{near + replicas}. It is the batch of all of them together."
        )


def _agree(strategy: Any, model: keras.Model, told: dict[str, Any], given: dict[str, Any]) -> None:
    """Compare what has to be the same on all workers, by one small gather."""
    import tensorflow as tf

    optimizer = getattr(model, "optimizer", None)
    facts = {
        "model": [(w.path.split("/")[-1], w.shape, w.dtype) for w in model.weights],
        "optimizer": optimizer and {**optimizer.get_config(), "name": ""},
        "arguments": sorted((k, v) for k, v in told.items() if k != "verbose" and _plain(v)),
        "x": _content(given.get("x")),
        "y": _content(given.get("y")),
        "validation data": _content(given.get("validation_data")),
    }
    digests = [hashlib.blake2b(repr(f).encode(), digest_size=8).digest() for f in facts.values()]
    own = tf.constant(np.frombuffer(b"".join(digests), np.int64)[None])
    table = strategy.gather(own, axis=0).numpy()
    different = table != table[:1]
    if different.any():
        worker, fact = np.argwhere(different)[0]
        raise DistributeError(
            f"{cluster().name(int(worker))} has another {list(facts)[fact]} than worker 0; give "
            "every worker the same: TensorFlow gives each its share of every batch."
        )


def _plain(value: Any) -> bool:
    return value is None or isinstance(value, (int, float, str, list, tuple))


def _content(data: Any) -> Any:
    """What tells data from other data, cheaply; a pipeline's batches are not looked at."""
    if isinstance(data, (tuple, list, dict)):
        parts = data.values() if isinstance(data, dict) else data
        return [_content(part) for part in parts]
    if hasattr(data, "element_spec"):
        size = getattr(data, "cardinality", -1)  # of a distributed one no method
        return str(data.element_spec), int(size() if callable(size) else size)
    if not hasattr(data, "shape") or not hasattr(data, "dtype"):
        return type(data).__name__
    rows = data[:: max(1, int(np.prod(data.shape)) * 8 // HASHED)]
    content = np.ascontiguousarray(keras.ops.convert_to_numpy(rows)).tobytes()
    return tuple(data.shape), str(data.dtype), hashlib.blake2b(content, digest_size=8).hexdigest()
