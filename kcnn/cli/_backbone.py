"""Which pretrained network is meant by --pretrained."""

from pathlib import Path
from typing import Any

from kcnn_cli._builder import APPLICATIONS, application_named

__all__ = ["backbone_of", "preprocessing_of"]


def backbone_of(pretrained: str, model: str | None, image_size: int | None) -> Any:
    """The backbone that takes raw images, with its preprocessing inside.

    Args:
        pretrained: a name of `kcnn models` that has weights, keras.applications.NAME, a .keras
            file, or a file of weights for `model`.
        model: a name of `kcnn models`, for a file of weights.
        image_size: of the images; the published one if None.

    Raises:
        ValueError: no such network or file, or weights that can't be had.
    """
    if pretrained.startswith(APPLICATIONS):
        return _application(pretrained.removeprefix(APPLICATIONS), image_size)
    from kcnn.models import create_model

    shape = None if image_size is None else (image_size, image_size, 3)
    file = Path(pretrained)
    if file.suffix == ".keras":
        from kcnn.serving import load_keras_file

        return load_keras_file(file)
    if file.is_file() or "/" in pretrained:
        if model is None:
            raise ValueError(f"{pretrained} holds weights: say of which network with --model.")
        return create_model(model, pretrained=file, input_shape=shape)
    return create_model(pretrained.replace("-", "_"), pretrained=True, input_shape=shape)


def preprocessing_of(backbone: Any) -> Any:
    """How files become the backbone's images: its own size and resizing, pixels as they are."""
    from kcnn.preprocessing import Preprocessing

    found = Preprocessing.of(backbone)
    height, width, channels = backbone.input_shape[1:]
    if found is None:
        return Preprocessing((height or 224, width or 224), channels or 3)
    return found.replace(size=(height, width), scale=1.0, offset=0.0, mean=None, std=None)


def _application(name: str, image_size: int | None) -> Any:
    """A network of keras.applications with its ImageNet weights, raw images in."""
    import keras

    from kcnn.models.cards._keras import caffe, tensorflow, torch
    from kcnn.recipe.settings import first_line

    make, takes_pixels = application_named(name)
    size = image_size or 224
    try:
        network = make(weights="imagenet", include_top=False, input_shape=(size, size, 3))
    except ValueError:
        raise
    except Exception as error:  # Keras says in no other way that a download failed
        raise ValueError(
            f"The weights of {APPLICATIONS}{name} can't be had: {first_line(error)}. Go online "
            "once, or give a .keras file."
        ) from error
    if takes_pixels:
        return network
    kind = name.lower()
    bgr = kind.startswith("vgg") or (kind.startswith("resnet") and not kind.endswith("v2"))
    rule = caffe if bgr else torch if kind.startswith("densenet") else tensorflow
    preprocessing = rule(size)
    images = keras.Input((size, size, 3), name="image")
    pixels = preprocessing.layer()(images)
    if bgr:
        pixels = pixels[..., ::-1]  # these were trained on blue, green, red
    return keras.Model(images, network(pixels), name=kind)
