"""ConvNeXt tiny, small and base on ImageNet, as keras.applications publishes them."""

from kcnn.models._card import WeightsCard
from kcnn.models.cards._keras import APPLICATIONS, card, torch

__all__ = ["CARDS"]


def _card(size: str, top_1: float, *hashes: str) -> WeightsCard:
    return card(
        f"convnext_{size}",
        f"ConvNeXt{size.capitalize()}",
        f"{APPLICATIONS}/convnext/convnext_{size}",
        (hashes[0], hashes[1]),
        preprocessing=torch(224, interpolation="bicubic"),
        licence="MIT",
        source="Meta, github.com/facebookresearch/ConvNeXt; keras.io/api/applications",
        top_1=top_1,
        skip=("layer_normalization*/*",),  # Keras's network without its top ends in one
    )


CARDS = (
    _card(
        "tiny",
        0.813,
        "8ae6e78ce2933352b1ef4008e6dd2f17bc40771563877d156bc6426c7cf503ff",
        "d547c096cabd03329d7be5562c5e14798aa39ed24b474157cef5e85ab9e49ef1",
    ),
    _card(
        "small",
        0.823,
        "ce1277d8f1ee5a0ef0e171469089c18f5233860ceaf9b168049cb9263fd7483c",
        "6fc8009faa2f00c1c1dfce59feea9b0745eb260a7dd11bee65c8e20843da6eab",
    ),
    _card(
        "base",
        0.853,
        "52cbb006d3dadd03f6e095a8ca1aca47aecdd75acb4bc74bce1f5c695d0086e6",
        "40a20c5548a5e9202f69735ecc06c990e6b7c9d2de39f0361e27baeb24cb7c45",
    ),
)
