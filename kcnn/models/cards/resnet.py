"""ResNet-50, -101 and -152 on ImageNet, as keras.applications publishes them."""

from kcnn.models._card import Download, WeightsCard
from kcnn.models.cards._keras import APPLICATIONS, caffe

__all__ = ["CARDS"]


def _card(depth: int, top_1: float, whole: str, without_top: str) -> WeightsCard:
    file = f"{APPLICATIONS}/resnet/resnet{depth}_weights_tf_dim_ordering_tf_kernels"
    return WeightsCard(
        f"resnet{depth}",
        "imagenet",
        Download(f"{file}.h5", whole),
        caffe(224),
        file_without_top=Download(f"{file}_notop.h5", without_top),
        licence="MIT",
        source="Kaiming He, github.com/KaimingHe/deep-residual-networks; keras.io/api/applications",
        top_1=top_1,
        application=f"ResNet{depth}",
        options={"stride_on": "1x1", "use_bias": True, "norm_kwargs": {"epsilon": 1.001e-5}},
        bgr=True,
    )


CARDS = (
    _card(50, 0.749, "2cb95161c43110f7111970584f804107", "4d473c1dd8becc155b73f8504c6f6626"),
    _card(101, 0.764, "f1aeb4b969a6efcfb50fad2f0c20cfc5", "88cf7a10940856eca736dc7b7e228a21"),
    _card(152, 0.766, "100835be76be38e30d865e96f2aaae62", "ee4c566cf9a93f14d82f913c2dc6dd0c"),
)
