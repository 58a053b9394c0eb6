"""kcnn: convolutional networks for Keras 3 that are trained, diagnosed and shipped.

Importing kcnn registers every serializable class, so `keras.models.load_model` finds them; those of
`kcnn.augment` where Keras runs on TensorFlow, which they need.
The heavy rooms (`kcnn.recipe`, `kcnn.report`, `kcnn.serving`) are imported by name.
"""

import keras

from kcnn import callbacks, initializers, layers, models, preprocessing, transfer
from kcnn._version import __version__
from kcnn.models import create_model, list_models

if keras.backend.backend() == "tensorflow":
    from kcnn import augment as augment

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
