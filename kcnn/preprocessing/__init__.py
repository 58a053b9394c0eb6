"""How an image file becomes the pixels a model sees: one record, the same from training to serving.

The record turns bytes into pixels inside a TensorFlow graph (training, validation and an exported
SavedModel run the very same operations) and gives the first layer of a model, on `keras.ops`.
"""

from kcnn.preprocessing._layer import PreprocessingLayer
from kcnn.preprocessing._record import Preprocessing

__all__ = ["Preprocessing", "PreprocessingLayer"]
