"""What the cards of keras.applications' weights share: addresses and preprocessings."""

from typing import Any

from kcnn.models._card import Download, WeightsCard
from kcnn.preprocessing import Preprocessing

__all__ = ["APPLICATIONS", "CENTRE", "caffe", "card", "tensorflow", "torch"]

APPLICATIONS = "https://storage.googleapis.com/tensorflow/keras-applications"
# The picture's middle, 224 of 256 pixels, as keras.io's table of accuracies was made.
CENTRE: dict[str, Any] = {"resize": "crop", "crop_ratio": 0.875}


def caffe(size: int) -> Preprocessing:
    """Mean colour taken off; Keras has it in the order blue, green, red."""
    return Preprocessing(size, mean=(123.68, 116.779, 103.939), **CENTRE)


def tensorflow(size: int) -> Preprocessing:
    """-1 to 1."""
    return Preprocessing(size, scale=1 / 127.5, offset=-1.0, **CENTRE)


def torch(size: int, **options: Any) -> Preprocessing:
    """Mean 0 and deviation 1 over ImageNet, by channel."""
    return Preprocessing(
        size,
        scale=1 / 255,
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
        **{**CENTRE, **options},
    )


def card(
    network: str, application: str, file: str, hashes: tuple[str | None, str | None], **rest: Any
) -> WeightsCard:
    """The card of `keras.applications.<application>`: `file` without its endings, two hashes."""
    ending = rest.pop("without_top", "_notop")
    return WeightsCard(
        network,
        "imagenet",
        Download(f"{file}.h5", hashes[0]),
        file_without_top=Download(f"{file}{ending}.h5", hashes[1]),
        application=application,
        **rest,
    )
