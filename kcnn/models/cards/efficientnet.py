"""EfficientNet B0 to B7 and V2-S on ImageNet, as keras.applications publishes them."""

from kcnn.models._card import WeightsCard
from kcnn.models.cards._keras import APPLICATIONS, card, torch
from kcnn.preprocessing import Preprocessing

__all__ = ["CARDS"]

_BORDER = 32  # pixels that the authors cut off: the picture's short side is this much longer


def _card(i: int, size: int, top_1: float, *hashes: str) -> WeightsCard:
    return card(
        f"efficientnet_b{i}",
        f"EfficientNetB{i}",
        f"https://storage.googleapis.com/keras-applications/efficientnetb{i}",
        (hashes[0], hashes[1]),
        preprocessing=torch(size, crop_ratio=size / (size + _BORDER), interpolation="bicubic"),
        licence="Apache-2.0",
        source="Google, github.com/tensorflow/tpu; keras.io/api/applications",
        top_1=top_1,
        # What Keras's network does to the image at its beginning; the preprocessing does it here.
        skip=("normalization*/*",),
    )


CARDS = (
    _card(0, 224, 0.771, "902e53a9f72be733fc0bcb005b3ebbac", "50bc09e76180e00e4465e1a485ddc09d"),
    _card(1, 240, 0.791, "1d254153d4ab51201f1646940f018540", "74c4e6b3e1f6a1eea24c589628592432"),
    _card(2, 260, 0.801, "b15cce36ff4dcbd00b6dd88e7857a6ad", "111f8e2ac8aa800a7a99e3239f7bfb39"),
    _card(3, 300, 0.816, "ffd1fdc53d0ce67064dc6a9c7960ede0", "af6d107764bb5b1abb91932881670226"),
    _card(4, 380, 0.829, "18c95ad55216b8f92d7e70b3a046e2fc", "ebc24e6d6c33eaebbd558eafbeedf1ba"),
    _card(5, 456, 0.836, "ace28f2a6363774853a83a0b21b9421a", "38879255a25d3c92d5e44e04ae6cec6f"),
    _card(6, 528, 0.840, "165f6e37dce68623721b423839de8be5", "9ecce42647a20130c1f39a5d4cb75743"),
    _card(7, 600, 0.843, "8c03f828fec3ef71311cd463b6759d99", "cbcfe4450ddf6f3ad90b1b398090fe4a"),
    card(
        "efficientnet_v2_s",
        "EfficientNetV2S",
        f"{APPLICATIONS}/efficientnet_v2/efficientnetv2-s",
        ("e1d88a8495beba45748fedd0cecbe016", "af0682fb74e8c54910f2d4393339c070"),
        preprocessing=Preprocessing(384, scale=1 / 128, offset=-1.0, interpolation="bicubic"),
        licence="Apache-2.0",
        source="Google, github.com/google/automl; keras.io/api/applications",
        top_1=0.839,
    ),
)
