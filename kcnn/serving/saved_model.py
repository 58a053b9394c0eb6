"""A trained model as a TensorFlow SavedModel: raw images in, class probabilities and names out."""

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import keras

from kcnn.serving._folder import check_target, whole_folder
from kcnn.serving._graph import make_portable
from kcnn.serving._output import gives_probabilities

Shape = tuple[int | None, ...]


def export_saved_model(
    model: keras.Model,
    path: str | Path,
    *,
    class_names: Sequence[str],
    image_shape: Sequence[int | None] | None = None,
    from_logits: bool | None = None,
    overwrite: bool = False,
) -> Path:
    """Write `model` to the folder `path` for TensorFlow Serving or `tf.saved_model.load`.

    The model takes raw pixels, 0..255: its normalization is one of its layers. The result
    runs without kcnn, and nothing in it needs XLA.

    Signatures: `serving_default` takes `images`, float32 (n, *image_shape), which is also
    what JSON numbers become; `serving_uint8` takes the same as uint8, a quarter of the
    bytes. Calling the loaded object takes either. Each answers with
      probabilities  float32 (n, classes), also under mixed precision
      label          string (n,), the most probable class
      class_names    string (n, classes), the names in the order of the probabilities
                     (once per image: REST's row format wants one row of everything)
    The names are also the asset `assets/class_names.txt`, one a line.

    Args:
      model: a built Keras model with one image input and one output of shape (n, classes).
        A single sigmoid unit (or its logit) serves as two classes, the second one positive.
      path: the folder to make; TensorFlow Serving wants a version number as its last part.
      class_names: one name per class, in the order of the outputs.
      image_shape: without the batch dimension; needed only where the model does not say it
        or to fix free dimensions.
      from_logits: whether a softmax (sigmoid) is still to be put behind the output; None
        reads it off the model's last activation.
      overwrite: replace a SavedModel at `path`.

    Returns `path`. The folder appears whole or not at all.

    Raises:
      ValueError: a model that is not built or not of that form, names that do not fit.
      FileExistsError: `path` exists (and is no SavedModel, or `overwrite` is false).
      OSError: the folder cannot be written; nothing is left behind.
    """
    if keras.backend.backend() != "tensorflow":
        raise RuntimeError(
            "export_saved_model needs Keras's TensorFlow backend; it runs on "
            f"{keras.backend.backend()!r}. Save the model as .keras, set "
            "KERAS_BACKEND=tensorflow and load it there."
        )
    path = Path(path)
    check_target(path, overwrite=overwrite)
    names = _checked_names(class_names)
    shape = _image_shape(model, image_shape)
    if from_logits is None:
        from_logits = not gives_probabilities(model)
    outputs = getattr(model, "outputs", None)
    if outputs:
        _check_outputs(model, [output.shape for output in outputs], len(names))
    with tempfile.TemporaryDirectory() as scratch:
        asset = Path(scratch, "class_names.txt")
        asset.write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
        _write(path, _served(model, shape, names, from_logits, str(asset)))
    return path


def _served(model: keras.Model, shape: Shape, names: list[str], from_logits: bool, asset: str):
    """A tf.Module of the model's variables, the asset and the traced functions."""
    import tensorflow as tf

    input_dtype = tf.as_dtype(keras.backend.standardize_dtype(_input_dtype(model)))

    def answer(images):
        if input_dtype.is_integer:
            images = tf.cast(tf.round(images), input_dtype)
        outputs = model(images, training=False)
        _check_outputs(model, [output.shape for output in tf.nest.flatten(outputs)], len(names))
        outputs = tf.cast(outputs, tf.float32)
        if outputs.shape[-1] == 1 and len(names) == 2:
            positive = tf.sigmoid(outputs) if from_logits else outputs
            probabilities = tf.concat([1.0 - positive, positive], axis=-1)
        else:
            probabilities = tf.nn.softmax(outputs) if from_logits else outputs
        table = tf.constant(names)
        return {
            "probabilities": probabilities,
            "label": tf.gather(table, tf.argmax(probabilities, axis=-1)),
            "class_names": tf.tile(table[None], [tf.shape(probabilities)[0], 1]),
        }

    def signature(dtype):
        return [tf.TensorSpec([None, *shape], dtype, name="images")]

    module = tf.Module()
    module.model_variables = [variable.value for variable in model.variables]
    module.class_names_file = tf.saved_model.Asset(asset)
    module.answer = tf.function(answer, input_signature=signature(tf.float32), autograph=False)
    module.answer_uint8 = tf.function(
        lambda images: module.answer(tf.cast(images, tf.float32)),
        input_signature=signature(tf.uint8),
        autograph=False,
    )
    call = tf.function(lambda images: module.answer(tf.cast(images, tf.float32)), autograph=False)
    for dtype in (tf.float32, tf.uint8):
        call.get_concrete_function(*signature(dtype))
    module.__call__ = call
    return module


def _write(path: Path, module) -> None:
    import tensorflow as tf

    signatures = {
        "serving_default": module.answer.get_concrete_function(),
        "serving_uint8": module.answer_uint8.get_concrete_function(),
    }
    # Gradients are not exported: they would carry the layers' custom backward kernels along.
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    try:
        with whole_folder(path) as folder:
            tf.saved_model.save(module, str(folder), signatures=signatures, options=options)
            make_portable(folder)
    except tf.errors.OpError as error:
        free = shutil.disk_usage(path.parent).free / 2**20
        raise OSError(
            f"export_saved_model: {path} could not be written ({error.message}); "
            f"{free:.0f} MiB are free there. Nothing was left behind."
        ) from error


def _checked_names(class_names: Sequence[str]) -> list[str]:
    if isinstance(class_names, str):
        raise ValueError(
            f"export_saved_model: class_names={class_names!r} is one string; pass a list of names."
        )
    names = list(class_names)
    for name in names:
        if not isinstance(name, str) or not name.strip() or len(name.splitlines()) != 1:
            raise ValueError(
                f"export_saved_model: class name {name!r} must be a non-empty string of one "
                "line (the asset class_names.txt holds one name a line)."
            )
    if len(names) < 2:
        raise ValueError(f"export_saved_model: {len(names)} class names; at least 2 are needed.")
    return names


def _input_dtype(model: keras.Model) -> str:
    inputs = getattr(model, "inputs", None)
    return inputs[0].dtype if inputs else "float32"


def _image_shape(model: keras.Model, image_shape: Sequence[int | None] | None) -> Shape:
    """The input shape without its batch dimension, checked against the model's own."""
    who = f"export_saved_model: model {model.name!r}"
    if not model.built:
        raise ValueError(f"{who} is not built, so it has no weights; train or call it first.")
    own = getattr(model, "inputs", None)
    if own is not None and len(own) != 1:
        raise ValueError(f"{who} has {len(own)} inputs; one image input is expected.")
    declared = tuple(own[0].shape[1:]) if own else None
    if image_shape is None:
        if declared is None:
            raise ValueError(f"{who} does not say its input shape; pass image_shape=(h, w, c).")
        return declared
    wanted = tuple(image_shape)
    if declared is not None and (
        len(wanted) != len(declared)
        or any(d is not None and w != d for w, d in zip(wanted, declared, strict=True))
    ):
        raise ValueError(
            f"{who} takes images of shape {declared}, but image_shape={wanted}; "
            "leave image_shape out or make it fit."
        )
    return wanted


def _check_outputs(model: keras.Model, shapes: Sequence, classes: int) -> None:
    who = f"export_saved_model: model {model.name!r}"
    shapes = [tuple(shape) for shape in shapes]
    if len(shapes) != 1 or len(shapes[0]) != 2:
        raise ValueError(f"{who} gives {shapes}; one output of shape (batch, classes) is expected.")
    units = shapes[0][-1]
    if units != classes and (units, classes) != (1, 2):
        raise ValueError(
            f"{who} has {units} outputs, but {classes} class names were given; "
            "pass one name per output, in their order."
        )
