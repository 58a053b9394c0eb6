"""MobileNetV2 and V3 on ImageNet, as keras.applications publishes them."""

from kcnn.models._card import WeightsCard
from kcnn.models.cards._keras import APPLICATIONS, card, tensorflow

__all__ = ["CARDS"]


def _v3(kind: str, top_1: float, *hashes: str) -> WeightsCard:
    return card(
        f"mobilenet_v3_{kind}",
        f"MobileNetV3{kind.capitalize()}",
        f"{APPLICATIONS}/mobilenet_v3/weights_mobilenet_v3_{kind}_224_1.0_float",
        (hashes[0], hashes[1]),
        without_top="_no_top_v2",
        preprocessing=tensorflow(224),
        licence="Apache-2.0",
        source="Google, github.com/tensorflow/models; keras.applications.MobileNetV3Large's table",
        top_1=top_1,
    )


CARDS = (
    card(
        "mobilenet_v2",
        "MobileNetV2",
        f"{APPLICATIONS}/mobilenet_v2/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224",
        (None, None),  # Keras publishes no hash of these two
        without_top="_no_top",
        preprocessing=tensorflow(224),
        licence="Apache-2.0",
        source="Google, github.com/tensorflow/models; keras.io/api/applications",
        top_1=0.713,
    ),
    _v3("large", 0.756, "59e551e166be033d707958cf9e29a6a7", "07fb09a5933dd0c8eaafa16978110389"),
    _v3("small", 0.681, "8768d4c2e7dee89b9d02b2d03d65d862", "d3e8ec802a04aa4fc771ee12a9a9b836"),
)
