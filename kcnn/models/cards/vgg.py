"""VGG-16 and -19 on ImageNet, as keras.applications publishes them."""

from kcnn.models._card import WeightsCard
from kcnn.models.cards._keras import APPLICATIONS, caffe, card

__all__ = ["CARDS"]


def _card(depth: int, top_1: float, *hashes: str) -> WeightsCard:
    return card(
        f"vgg{depth}",
        f"VGG{depth}",
        f"{APPLICATIONS}/vgg{depth}/vgg{depth}_weights_tf_dim_ordering_tf_kernels",
        (hashes[0], hashes[1]),
        preprocessing=caffe(224),
        licence="CC-BY-4.0",
        source="VGG, Oxford, robots.ox.ac.uk/~vgg/research/very_deep; keras.io/api/applications",
        top_1=top_1,
        bgr=True,
    )


CARDS = (
    _card(16, 0.713, "64373286793e3c8b2b4e3219cbf3544b", "6d6bbae143d832006294945121d1f1fc"),
    _card(19, 0.713, "cbe5617147190e668d6c5d5026f83318", "253f8cb515780f3b799900260a226db6"),
)
