"""Networks as shapes, without weights in memory."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import keras

__all__ = ["without_memory"]

T = TypeVar("T")


def without_memory(build: Callable[[], T]) -> T:
    """What `build()` returns; the models it makes have shapes but no weights in memory.

    In a stateless scope Keras gives a variable its shape and fills it later. It keeps a
    list, one per thread, of those to fill: in a thread of its own that list ends with it.
    """

    def run() -> T:
        with keras.StatelessScope(initialize_variables=False):
            return build()

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(run).result()
