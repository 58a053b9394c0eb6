"""kcnn: convolutional networks for Keras 3 that are trained, diagnosed and shipped.

Importing kcnn registers every serializable class, so `keras.models.load_model` finds them; those of
`kcnn.augment` where Keras runs on TensorFlow, which they need. `kcnn.callbacks`, which holds none,
is imported when first asked for; the heavy rooms (`kcnn.data`, `kcnn.recipe`, `kcnn.report`,
`kcnn.serving`) by name.
"""

import importlib
import sys
from typing import TYPE_CHECKING, Any

from kcnn._version import __version__

__all__ = [
    "__version__",
    "callbacks",
    "create_model",
    "initializers",
    "layers",
    "list_models",
    "models",
    "preprocessing",
    "transfer",
]

if TYPE_CHECKING:
    from kcnn import callbacks


def _is_the_command() -> bool:
    """Whether Python looks for `python -m kcnn` right now: see `__main__`."""
    started = sys.orig_argv
    looking = sys.argv[:1] == ["-m"] and "-m" in started
    return looking and started[started.index("-m") + 1] == "kcnn"


if not _is_the_command():
    import keras

    from kcnn import initializers, layers, models, preprocessing, transfer
    from kcnn.models import create_model, list_models

    if keras.backend.backend() == "tensorflow":
        from kcnn import augment as augment


def __getattr__(name: str) -> Any:
    if name == "callbacks":
        return importlib.import_module("kcnn.callbacks")
    raise AttributeError(f"module 'kcnn' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
