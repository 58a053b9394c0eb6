"""Importing TensorFlow for a command: said, since it takes seconds, and without its log lines."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

__all__ = ["start_tensorflow"]


def start_tensorflow() -> None:
    """Import TensorFlow and Keras behind a status line.

    TensorFlow's libraries write to file descriptor 2 before their log level is read; those
    lines are dropped. A Python error during the import is raised as ever.
    """
    from rich.console import Console

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _without_library_output() as terminal, Console(file=terminal).status("starting …"):
        import keras  # noqa: F401
        import tensorflow as tf

        tf.get_logger().setLevel("ERROR")  # keras-cv's maps warn at each tracing


@contextmanager
def _without_library_output() -> Iterator[TextIO]:
    """Send descriptor 2 nowhere; yields a stream to where it went before."""
    with os.fdopen(os.dup(2), "w") as terminal:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)
        try:
            yield terminal
        finally:
            os.dup2(terminal.fileno(), 2)
