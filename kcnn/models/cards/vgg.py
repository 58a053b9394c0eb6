"""VGG-16 and -19 on ImageNet, as keras.applications publishes them."""

from kcnn.models._card import Download, WeightsCard
from kcnn.models.cards._keras import APPLICATIONS, caffe

__all__ = ["CARDS"]


def _card(depth: int, top_1: float, whole: str, without_top: str) -> WeightsCard:
    file = f"{APPLICATIONS}/vgg{depth}/vgg{depth}_weights_tf_dim_ordering_tf_kernels"
    return WeightsCard(
        f"vgg{depth}",
        "imagenet",
        Download(f"{file}.h5", whole),
        caffe(224),
        file_without_top=Download(f"{file}_notop.h5", without_top),
        licence="CC-BY-4.0",
        source="VGG, Oxford, robots.ox.ac.uk/~vgg/research/very_deep; keras.io/api/applications",
        top_1=top_1,
        application=f"VGG{depth}",
        bgr=True,
    )


CARDS = (
    _card(16, 0.713, "64373286793e3c8b2b4e3219cbf3544b", "6d6bbae143d832006294945121d1f1fc"),
    _card(19, 0.713, "cbe5617147190e668d6c5d5026f83318", "253f8cb515780f3b799900260a226db6"),
)
