"""MobileNetV2 and V3 on ImageNet, as keras.applications publishes them."""

from kcnn.models._card import Download, WeightsCard
from kcnn.models.cards._keras import APPLICATIONS, tensorflow

__all__ = ["CARDS"]

_V2 = f"{APPLICATIONS}/mobilenet_v2/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224"


def _v3(kind: str, top_1: float, whole: str, without_top: str) -> WeightsCard:
    file = f"{APPLICATIONS}/mobilenet_v3/weights_mobilenet_v3_{kind}_224_1.0_float"
    return WeightsCard(
        f"mobilenet_v3_{kind}",
        "imagenet",
        Download(f"{file}.h5", whole),
        tensorflow(224),
        file_without_top=Download(f"{file}_no_top_v2.h5", without_top),
        licence="Apache-2.0",
        source="Google, github.com/tensorflow/models; keras.applications.MobileNetV3Large's table",
        top_1=top_1,
        application=f"MobileNetV3{kind.capitalize()}",
    )


CARDS = (
    WeightsCard(
        "mobilenet_v2",
        "imagenet",
        Download(f"{_V2}.h5"),  # Keras publishes no hash of these two
        tensorflow(224),
        file_without_top=Download(f"{_V2}_no_top.h5"),
        licence="Apache-2.0",
        source="Google, github.com/tensorflow/models; keras.io/api/applications",
        top_1=0.713,
        application="MobileNetV2",
    ),
    _v3("large", 0.756, "59e551e166be033d707958cf9e29a6a7", "07fb09a5933dd0c8eaafa16978110389"),
    _v3("small", 0.681, "8768d4c2e7dee89b9d02b2d03d65d862", "d3e8ec802a04aa4fc771ee12a9a9b836"),
)
