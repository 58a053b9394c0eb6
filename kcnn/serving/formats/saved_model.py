"""TensorFlow's SavedModel: pictures or their encoded bytes in, probabilities and names out."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import numpy as np

from kcnn.serving._check import check
from kcnn.serving._graph import make_portable
from kcnn.serving._servable import Servable

__all__ = ["TOP", "write"]

TOP = 5  # classes named in each answer, fewer where there are fewer


def write(servable: Servable, folder: Path, pictures: np.ndarray) -> dict[str, Any]:
    """Write saved_model.pb and variables/ into `folder`, whose assets/ is filled already."""
    import tensorflow as tf

    signatures = _save(servable, folder)
    gc.collect()  # what was traced, some hundred MB, is let go before as much is loaded
    default = tf.saved_model.load(str(folder)).signatures["serving_default"]
    done = check(
        servable,
        pictures,
        lambda images: default(images=tf.constant(images))["probabilities"].numpy(),
        what="the SavedModel",
        exact=True,
    )
    return {"file": ".", "signatures": signatures, "check": done}


def _save(servable: Servable, folder: Path) -> list[str]:
    """Write the files; the names of the signatures."""
    import tensorflow as tf

    module, signatures = _module(servable, folder / "assets")
    # Gradients are not exported: they would carry the layers' custom backward kernels along.
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    tf.saved_model.save(module, str(folder), signatures=signatures, options=options)
    make_portable(folder)
    return list(signatures)


def _module(servable: Servable, assets: Path) -> tuple[Any, dict[str, Any]]:
    """A tf.Module of the model's variables and the assets; the signatures by name."""
    import tensorflow as tf

    preprocessing = servable.preprocessing
    height, width, channels = servable.image_shape
    free = height is None

    def function(call: Any, name: str, shape: list[int | None], dtype: Any) -> Any:
        spec = tf.TensorSpec(shape, dtype, name=name)
        return tf.function(call, autograph=False).get_concrete_function(spec)

    # The network is traced once, here; what follows calls this function.
    probabilities = function(
        servable.probabilities, "images", [None, height, width, channels], tf.float32
    )

    def fitted(images: Any) -> Any:
        """Any size to the model's; images that have it already stay as they are."""
        images = tf.cast(images, tf.float32)
        if free:
            return images
        same = tf.reduce_all(tf.equal(tf.shape(images)[1:3], [height, width]))
        images = tf.cond(same, lambda: images, lambda: preprocessing.resized(images))
        return tf.ensure_shape(images, [None, height, width, channels])

    def answer(images: Any) -> dict[str, Any]:
        return _answer(probabilities(fitted(images)), servable.class_names)

    def pixels(image_bytes: Any) -> Any:
        picture = preprocessing.from_bytes(image_bytes)
        return tf.ensure_shape(tf.cast(picture, tf.float32), [height, width, channels])

    def alone(image_bytes: Any) -> Any:
        return probabilities(pixels(image_bytes)[None])[0]

    def answer_bytes(image_bytes: Any) -> dict[str, Any]:
        if free:  # pictures of many sizes make no batch: each goes through the model by itself
            spec = tf.TensorSpec([len(servable.class_names)], tf.float32)
            found = tf.map_fn(alone, image_bytes, fn_output_signature=spec)
        else:
            spec = tf.TensorSpec([height, width, channels], tf.float32)
            found = probabilities(tf.map_fn(pixels, image_bytes, fn_output_signature=spec))
        return _answer(found, servable.class_names)

    image = [None, None, None, channels]
    signatures = {
        "serving_default": function(answer, "images", image, tf.float32),
        "serving_uint8": function(answer, "images", image, tf.uint8),
    }
    if channels in (1, 3):  # what encoded pictures have
        signatures["serving_bytes"] = function(answer_bytes, "image_bytes", [None], tf.string)
    module = tf.Module()
    module.model_variables = [variable.value for variable in servable.probabilities.variables]
    module.class_names_file = tf.saved_model.Asset(str(assets / "class_names.txt"))
    module.card_file = tf.saved_model.Asset(str(assets / "card.json"))
    module.__call__ = tf.function(answer, autograph=False)
    for dtype in (tf.float32, tf.uint8):
        module.__call__.get_concrete_function(tf.TensorSpec(image, dtype, name="images"))
    return module, signatures


def _answer(probabilities: Any, class_names: tuple[str, ...]) -> dict[str, Any]:
    import tensorflow as tf

    names = tf.constant(list(class_names))
    top, order = tf.math.top_k(probabilities, k=min(TOP, len(class_names)))
    return {
        "probabilities": probabilities,
        "class": tf.cast(order[:, 0], tf.int64),
        "label": tf.gather(names, order[:, 0]),
        "top_probabilities": top,
        "top_labels": tf.gather(names, order),
    }
