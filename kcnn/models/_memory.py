"""Networks as shapes, without weights in memory."""

import threading
from collections.abc import Callable
from typing import TypeVar

import keras

__all__ = ["without_memory"]

T = TypeVar("T")


def without_memory(build: Callable[[], T]) -> T:
    """What `build()` returns; the models it makes have shapes but no weights in memory.

    In a stateless scope Keras gives a variable its shape and fills it later. It keeps a
    list, one per thread, of those to fill: in a thread of its own that list ends with it.
    """
    results: list[T] = []
    failures: list[BaseException] = []

    def run() -> None:
        try:
            with keras.StatelessScope(initialize_variables=False):
                results.append(build())
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]
    return results[0]
