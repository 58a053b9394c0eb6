"""Builds, compiles and traces each model once and lends it out in its initial state."""

import gc
import inspect
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import keras

from kcnn.callbacks import Snapshot
from kcnn.recipe.hyper import HyperParameters
from kcnn.recipe.optimizer import adjustable, optimizer_named, set_training
from kcnn.recipe.problem import Problem
from kcnn.recipe.settings import RecipeError, first_line
from kcnn.recipe.space import TRAINING

__all__ = ["Build", "ModelCache", "as_builder"]

Build = Callable[[HyperParameters], keras.Model]
UNKNOWN = 1e-3  # stands for the learning rate before step 3 has found one
KEPT = 2  # models with their snapshots; the searches come back to the one or two before


@dataclass
class _Entry:
    model: keras.Model
    start: Snapshot


class ModelCache:
    """The models of one run.

    The learning rate and the weight decay are variables of the compiled step, so setting them
    traces nothing. A model is built once for all values of `hp` that its builder reads. The
    weight decay that the builder itself reads is the builder's own affair.

    Args:
        build: called with `hp`; gives a model, compiled or not.
        problem: what it has to fit.
        optimizer: a name or an optimizer, for models that come uncompiled.
        seed: of the initial weights, the same for each model.
        precision: dtype policy while building.
        strategy: of `tf.distribute`, in whose scope models are built and compiled.
        jit: whether the training step is compiled by XLA; None leaves it to Keras.
    """

    def __init__(
        self,
        build: Build,
        problem: Problem,
        *,
        optimizer: str | keras.optimizers.Optimizer = "sgd",
        seed: int = 0,
        precision: str = "float32",
        strategy: Any = None,
        jit: bool | None = None,
    ):
        self.problem = problem
        self._build = build
        self._optimizer = optimizer
        self._seed = seed
        self._precision = precision
        self._strategy = strategy
        self._jit = jit
        self._entries: dict[tuple, _Entry] = {}
        self._read: set[str] = set()
        self.uncompiled = False

    def fresh(self, hp: Mapping[str, Any], *, decay: float | None = None) -> keras.Model:
        """The model of these values in its initial state, set to their rate and weight decay.

        `decay` in the place of the weight decay in `hp`. A rate that is not known yet is 0.
        """
        key = self._key(hp)
        entry = self._entries.pop(key, None)
        if entry is None:
            self.release(KEPT - 1)
            with self._strategy.scope() if self._strategy else nullcontext():
                entry = self._made(hp)
            key = self._key(hp)  # now that it is known what the builder reads
        self._entries[key] = entry  # the last used is the last in order
        entry.start.restore()
        set_training(
            entry.model.optimizer,
            learning_rate=hp.get("learning_rate") or 0.0,
            weight_decay=(hp.get("weight_decay") or 0.0) if decay is None else decay,
        )
        return entry.model

    def final(self, hp: Mapping[str, Any]) -> keras.Model:
        """The model as its builder gives it, compiled or not; no copy of it is kept."""
        return self._called(HyperParameters(hp))

    def check_all_read(self, hp: Mapping[str, Any]) -> None:
        """Refuse a space that names what the builder never asks for.

        Raises:
            RecipeError: with the names.
        """
        ignored = [name for name in hp if name not in (*TRAINING, *self._read)]
        if ignored:
            raise RecipeError(
                f"build ignores {', '.join(map(repr, ignored))}, which the space varies: read "
                f"hp[{ignored[0]!r}] in build, or take it out of the space."
            )

    def release(self, kept: int = 0) -> None:
        """Let all models go but the last ones used."""
        if len(self._entries) > kept:
            while len(self._entries) > kept:
                self._entries.pop(next(iter(self._entries)))
            gc.collect()  # models and their traced functions refer to each other

    def _key(self, hp: Mapping[str, Any]) -> tuple:
        names = sorted((self._read | (set(hp) - set(TRAINING))) - {"learning_rate"})
        return tuple((name, repr(hp.get(name))) for name in names)

    def _made(self, given: Mapping[str, Any]) -> _Entry:
        # A rate that is not known yet: the builder's optimizer needs one, whatever is set later.
        hp = HyperParameters({**given, "learning_rate": given.get("learning_rate") or UNKNOWN})
        model = self._called(hp)
        self._read |= hp.read
        self.problem.check(model)
        decays = "weight_decay" not in hp.read
        if model.compiled:
            model.optimizer = adjustable(model.optimizer, decays=decays)
            model.train_function = None
        else:
            self.uncompiled = True
            chosen = self._optimizer
            base = optimizer_named(chosen) if isinstance(chosen, str) else chosen
            self.problem.compile(model, adjustable(base, decays=decays))
        if self._jit is not None:
            model.jit_compile = self._jit
        if not model.built:
            model(keras.ops.zeros((1, *self.problem.input_shape)), training=False)
        optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
        if not optimizer.built:
            model.optimizer.build(model.trainable_variables)
        return _Entry(model, Snapshot(model))

    def _called(self, hp: HyperParameters) -> keras.Model:
        keras.utils.set_random_seed(self._seed)
        before = keras.config.dtype_policy()
        keras.config.set_dtype_policy(self._precision)
        try:
            model = self._build(hp)
        except RecipeError:
            raise
        except Exception as error:
            raise RecipeError(
                f"build{_place(self._build)} raised {type(error).__name__}: {first_line(error)}"
            ) from error
        finally:
            keras.config.set_dtype_policy(before)
        if not isinstance(model, keras.Model):
            raise RecipeError(
                f"build{_place(self._build)} has to return a keras.Model; it returned a "
                f"{type(model).__name__}."
            )
        return model


def as_builder(model: keras.Model | Build) -> Build:
    """A builder; of a model one that gives this model, from its present weights on."""
    if isinstance(model, keras.Model):
        return lambda hp: model
    if callable(model):
        return model
    raise RecipeError(
        f"build must be a function hp -> keras.Model, or a keras.Model; received "
        f"{type(model).__name__}."
    )


def _place(build: Any) -> str:
    """' (file, line n)' of a function, where it is known."""
    try:
        file = inspect.getsourcefile(build)
        line = inspect.getsourcelines(build)[1]
    except (OSError, TypeError):
        return ""
    return f" ({file}, line {line})"
