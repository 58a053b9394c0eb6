"""What Keras's TensorFlow trainer gets wrong under `tf.distribute`, and the replacements.

Keras 3 is not repaired on disk: `repaired()` puts each replacement in place for as long as its
block runs, and only where the source of Keras's own function still holds the faulty line.
Everything private of Keras that this room touches is in this file.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import keras

__all__ = [
    "FAULTS",
    "Fault",
    "array_of",
    "begin_at",
    "compiled",
    "global_seed",
    "many_workers",
    "repaired",
    "strategy_of",
]


def strategy_of(model: keras.Model) -> Any:
    """The `tf.distribute` strategy that `model` was made under, or None."""
    return getattr(model, "_distribute_strategy", None)


def compiled(model: keras.Model) -> bool:
    """Whether the model's steps are to be compiled by XLA."""
    return bool(getattr(model, "jit_compile", False))


def array_of(variable: keras.Variable) -> Any:
    """The value of a variable, which under a strategy has a copy on each replica."""
    read = getattr(variable.value, "read_value", None)
    return keras.ops.convert_to_numpy(variable.value if read is None else read())


def begin_at(model: keras.Model, epoch: int) -> None:
    """Let the `fit` that is about to begin start with this epoch, as BackupAndRestore does."""
    model._initial_epoch = epoch


def global_seed() -> int | None:
    """The seed of `tf.random.set_seed`, or None while there is none."""
    from tensorflow.python.eager import context

    seed = context.global_seed()
    return None if seed is None else int(seed)


def _symbolic_build(original: Callable[..., None]) -> Callable[..., None]:
    """Build from what the data set says of its batches.

    Keras takes a batch and reduces it, a structure, to its mean, which several workers refuse; and
    a data set that has given a batch away shuffles otherwise than one that has not. A data set
    that is distributed already has to give one: any replica's has the shapes and dtypes.
    """
    import tensorflow as tf

    def _maybe_symbolic_build(self: Any, iterator: Any = None, data_batch: Any = None) -> None:
        strategy = strategy_of(self)
        if strategy is None or iterator is None:
            return original(self, iterator, data_batch)
        dataset = iterator.data_adapter.get_tf_dataset()
        if isinstance(dataset, tf.data.Dataset):
            data_batch = keras.tree.map_structure(
                lambda spec: None if isinstance(spec, tf.OptionalSpec) else spec,
                dataset.element_spec,
            )
        else:
            data_batch = keras.tree.map_structure(
                lambda value: strategy.experimental_local_results(value)[0], next(iter(dataset))
            )
        with strategy.scope():
            self._symbolic_build(data_batch=data_batch)

    return _maybe_symbolic_build


def _reduce(original: Callable[..., Any]) -> Callable[..., Any]:
    """Average logs over replicas, not over their first axis.

    Keras asks several workers for `axis=0`, which a scalar does not have.
    """

    def reduce_per_replica(values: Any, strategy: Any, reduction: str) -> Any:
        if reduction not in ("auto", "mean") or not many_workers(strategy):
            return original(values, strategy, reduction)
        return keras.tree.map_structure(lambda v: strategy.reduce("MEAN", v, axis=None), values)

    return reduce_per_replica


def _make_function(original: Callable[..., Any]) -> Callable[..., Any]:
    """Several steps in one call: a step that is traced once, inside the loop.

    Keras's step is a `tf.function` of its own, traced within a conditional within a loop; under a
    strategy it then asks for placeholders that nobody feeds.
    """
    import tensorflow as tf

    def _make_function(self: Any, step_function: Callable[..., Any]) -> Callable[..., Any]:
        by_keras = original(self, step_function)
        strategy, steps = self.distribute_strategy, self.steps_per_execution
        if strategy.num_replicas_in_sync == 1 or steps == 1 or self.run_eagerly:
            return by_keras
        from keras.src.backend.tensorflow import trainer

        step_function = self._autoconvert_optionals(step_function)

        @tf.autograph.experimental.do_not_convert
        def step(data: Any) -> Any:
            outputs = strategy.run(step_function, args=(data,))
            return trainer.reduce_per_replica(outputs, strategy, "auto")

        @tf.function(reduce_retracing=True)
        def execution(iterator: Any) -> Any:
            outputs = step(iterator.get_next())
            for _ in tf.range(steps - 1):
                batch = iterator.get_next_as_optional()
                if batch.has_value():
                    outputs = step(batch.get_value())
            return outputs

        distributed = tf.distribute.DistributedIterator
        return lambda it: execution(it) if isinstance(it, distributed) else by_keras(it)

    return _make_function


def _loss(original: Callable[..., Any]) -> Callable[..., Any]:
    """Divide a loss by the number of its terms on all replicas.

    Keras divides by the replica's own number and by that of replicas: in a batch that does not
    divide evenly, an image of a small share then counts for more than one of a large share.
    """
    from keras import ops

    means = ("sum_over_batch_size", "mean", "mean_with_sample_weight")

    def reduce_values(values: Any, sample_weight: Any = None, reduction: Any = means[0]) -> Any:
        loss = original(values, sample_weight, reduction)
        context = _one_of_several_replicas()
        if context is None or reduction not in means or not len(values.shape):
            return loss
        weighted = reduction == means[2] and sample_weight is not None
        terms = ops.cast(ops.sum(sample_weight) if weighted else ops.size(values), "float32")
        terms = ops.stop_gradient(terms)
        share = ops.divide_no_nan(terms, context.all_reduce("MEAN", terms))  # 1 in an even batch
        return loss * ops.cast(share, loss.dtype)

    return reduce_values


def _shown(original: Callable[..., Any]) -> Callable[..., Any]:
    """The loss to show: that of the whole batch, which each replica's is a summand of."""

    def unscale_loss_for_distribution(value: Any) -> Any:
        context = _one_of_several_replicas()
        return original(value) if context is None else context.all_reduce("SUM", value)

    return unscale_loss_for_distribution


def many_workers(strategy: Any) -> bool:
    """Whether `strategy` is one of several processes."""
    import tensorflow as tf

    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return False
    return bool(strategy.extended._in_multi_worker_mode())


def _one_of_several_replicas() -> Any:
    """The replica that this code computes for, or None if there is one alone."""
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    return context if context is not None and context.num_replicas_in_sync > 1 else None


@functools.lru_cache(maxsize=32)  # the recipe enters `repaired` for each of its trainings
def _source(function: Callable[..., Any]) -> str:
    return inspect.getsource(function)


@dataclass(frozen=True)
class Fault:
    """A function of Keras, the line of it that is wrong, and what makes ours from Keras's."""

    module: str
    name: str
    line: str
    mend: Callable[[Callable[..., Any]], Callable[..., Any]]

    def place(self) -> tuple[Any, str]:
        """The module or class that holds the function, and its name there."""
        holder: Any = importlib.import_module(self.module)
        *classes, name = self.name.split(".")
        for part in classes:
            holder = getattr(holder, part)
        return holder, name

    def present(self) -> bool:
        """Whether the installed Keras still has the faulty line."""
        try:
            holder, name = self.place()
            return self.line in _source(getattr(holder, name))
        except (ImportError, AttributeError, OSError, TypeError):
            return False  # moved or rewritten: no longer the function that ours replaces


_TRAINER = "keras.src.backend.tensorflow.trainer"
_LOSS = "keras.src.losses.loss"
FAULTS = (
    Fault(
        _TRAINER,
        "TensorFlowTrainer._maybe_symbolic_build",
        "self.distribute_strategy.reduce(",
        _symbolic_build,
    ),
    Fault(_TRAINER, "reduce_per_replica", 'strategy.reduce("MEAN", v, axis=0)', _reduce),
    Fault(
        _TRAINER,
        "TensorFlowTrainer._make_function",
        "next_optional_outputs = tf.cond(",
        _make_function,
    ),
    Fault(_LOSS, "reduce_values", "loss = scale_loss_for_distribution(loss)", _loss),
    Fault(_LOSS, "unscale_loss_for_distribution", "num_replicas", _shown),
)


@contextlib.contextmanager
def repaired() -> Iterator[None]:
    """Keras with the faults above mended, for as long as the block runs; blocks may nest.

    >>> with repaired():
    ...     history = model.fit(x, y, verbose=0)
    """
    with contextlib.ExitStack() as undo:
        for fault in FAULTS if keras.backend.backend() == "tensorflow" else ():
            if fault.present():  # not so where an outer block has put ours in place
                holder, name = fault.place()
                original = getattr(holder, name)
                undo.callback(setattr, holder, name, original)
                setattr(holder, name, fault.mend(original))
        yield
