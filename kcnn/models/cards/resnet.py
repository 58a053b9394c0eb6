"""ResNet-50, -101 and -152, and their V2, on ImageNet, as keras.applications publishes them."""

from typing import Any

from kcnn.models._card import WeightsCard
from kcnn.models.cards._keras import APPLICATIONS, caffe, card, tensorflow

__all__ = ["CARDS"]

_V1: dict[str, Any] = {
    "preprocessing": caffe(224),
    "licence": "MIT",
    "source": "Kaiming He, github.com/KaimingHe/deep-residual-networks; keras.io/api/applications",
    "options": {"stride_on": "1x1", "use_bias": True, "norm_kwargs": {"epsilon": 1.001e-5}},
    "bgr": True,
}
_V2: dict[str, Any] = {
    "preprocessing": tensorflow(224),
    "licence": "BSD-3-Clause",
    "source": "Facebook, github.com/facebook/fb.resnet.torch; keras.io/api/applications",
    "options": {"use_bias": True, "norm_kwargs": {"epsilon": 1.001e-5}},
}


def _card(number: str, top_1: float, *hashes: str) -> WeightsCard:
    return card(
        f"resnet{number}",
        f"ResNet{number.upper()}",
        f"{APPLICATIONS}/resnet/resnet{number}_weights_tf_dim_ordering_tf_kernels",
        (hashes[0], hashes[1]),
        top_1=top_1,
        **(_V2 if number.endswith("v2") else _V1),
    )


CARDS = (
    _card("50", 0.749, "2cb95161c43110f7111970584f804107", "4d473c1dd8becc155b73f8504c6f6626"),
    _card("101", 0.764, "f1aeb4b969a6efcfb50fad2f0c20cfc5", "88cf7a10940856eca736dc7b7e228a21"),
    _card("152", 0.766, "100835be76be38e30d865e96f2aaae62", "ee4c566cf9a93f14d82f913c2dc6dd0c"),
    _card("50v2", 0.760, "3ef43a0b657b3be2300d5770ece849e0", "fac2f116257151a9d068a22e544a4917"),
    _card("101v2", 0.772, "6343647c601c52e1368623803854d971", "c0ed64b8031c3730f411d2eb4eea35b5"),
    _card("152v2", 0.780, "a49b44d1979771252814e80f8ec446f9", "ed17cf2e0169df9d443503ef94b23b33"),
)
