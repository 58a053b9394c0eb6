"""ResNet-50, -101 and -152 V2 on ImageNet, as keras.applications publishes them."""

from kcnn.models._card import Download, WeightsCard
from kcnn.models.cards._keras import APPLICATIONS, tensorflow

__all__ = ["CARDS"]


def _card(depth: int, top_1: float, whole: str, without_top: str) -> WeightsCard:
    file = f"{APPLICATIONS}/resnet/resnet{depth}v2_weights_tf_dim_ordering_tf_kernels"
    return WeightsCard(
        f"resnet{depth}v2",
        "imagenet",
        Download(f"{file}.h5", whole),
        tensorflow(224),
        file_without_top=Download(f"{file}_notop.h5", without_top),
        licence="BSD-3-Clause",
        source="Facebook, github.com/facebook/fb.resnet.torch; keras.io/api/applications",
        top_1=top_1,
        application=f"ResNet{depth}V2",
        options={"use_bias": True, "norm_kwargs": {"epsilon": 1.001e-5}},
    )


CARDS = (
    _card(50, 0.760, "3ef43a0b657b3be2300d5770ece849e0", "fac2f116257151a9d068a22e544a4917"),
    _card(101, 0.772, "6343647c601c52e1368623803854d971", "c0ed64b8031c3730f411d2eb4eea35b5"),
    _card(152, 0.780, "a49b44d1979771252814e80f8ec446f9", "ed17cf2e0169df9d443503ef94b23b33"),
)
