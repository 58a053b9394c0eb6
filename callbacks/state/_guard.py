"""Hear that a `fit` ends by an exception, which Keras tells no callback."""

import sys
import weakref
from collections.abc import Callable
from typing import Any

import keras

from kcnn.callbacks.keras_internals import TEST, TRAIN

__all__ = ["AbortGuard"]

HOOKS = tuple(
    f"on_{part}_{when}"
    for part in ("epoch", "train_batch", "test_batch", "test", "train")
    for when in ("begin", "end")
    if (part, when) != ("train", "begin")
)


class AbortGuard:
    """Calls `on_abort()` when an exception or interrupt leaves a running `fit`.

    `fit` drops all callbacks when one of them, or a step, raises: no `on_train_end` comes.
    The guard stands around what `fit` calls: the callback list's hooks, the training step
    and the validation step. An exception outside of these (in the loading of data on the
    JAX and PyTorch backends, say) is heard when Python frees the callback list, which is
    after the exception has been handled.

    Create it in `on_train_begin` itself; call `watch_validation` in `on_test_begin` and
    `release` in `on_train_end`.
    """

    def __init__(self, model: keras.Model, on_abort: Callable[[], Any]):
        self.model = model
        self.on_abort = on_abort
        self.alive = True
        self._wrapped: list[tuple[Any, str, Any]] = []
        hooks = sys._getframe(2).f_locals.get("self")
        if isinstance(hooks, keras.callbacks.CallbackList):
            for name in HOOKS:
                self._wrap(hooks, name)
            self._finalizer = weakref.finalize(hooks, self._abort)
            self._finalizer.atexit = False
        self._wrap(model, TRAIN)

    def watch_validation(self) -> None:
        """Guard the validation step too, which Keras makes late."""
        if self.alive:
            self._wrap(self.model, TEST)

    def release(self) -> None:
        """Take the guard away; `fit` has ended well."""
        self.alive = False
        for owner, name, own in reversed(self._wrapped):
            wrapper = vars(owner).get(name)
            if getattr(wrapper, "guard", None) is self:
                if isinstance(owner, keras.callbacks.CallbackList):
                    del vars(owner)[name]
                else:
                    setattr(owner, name, own)
        self._wrapped.clear()
        if hasattr(self, "_finalizer"):
            self._finalizer.detach()

    def _abort(self) -> None:
        if self.alive:
            self.release()
            self.on_abort()

    def _wrap(self, owner: Any, name: str) -> None:
        own = getattr(owner, name, None)
        if own is None or getattr(own, "guard", None) is self:
            return

        def guarded(*args, **kwargs):
            try:
                return own(*args, **kwargs)
            except StopIteration:  # the end of the data, part of a normal fit
                raise
            except BaseException as error:
                if type(error).__name__ != "OutOfRangeError":
                    self._abort()
                raise

        guarded.guard = self  # type: ignore[attr-defined]
        self._wrapped.append((owner, name, own))
        if isinstance(owner, keras.callbacks.CallbackList):
            vars(owner)[name] = guarded
        else:
            setattr(owner, name, guarded)
