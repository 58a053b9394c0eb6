"""EfficientNetV2-S: Tan & Le 2021, arXiv:2104.00298."""

from kcnn.models._mobile import Row
from kcnn.models._mobile_names import TIMM, keras_names
from kcnn.models._naming import Naming
from kcnn.models._registry import register_model
from kcnn.models.efficientnet import EfficientNetOptions, efficientnet

__all__ = ["efficientnet_v2_s"]

# Table 4; the early stages are fused.
V2_S = (
    Row(2, 24, 3, 1, 1, fused=True),
    Row(4, 48, 3, 2, 4, fused=True),
    Row(4, 64, 3, 2, 4, fused=True),
    Row(6, 128, 3, 2, 4, 0.25),
    Row(9, 160, 3, 1, 6, 0.25),
    Row(15, 256, 3, 2, 6, 0.25),
)

KERAS = Naming("keras", keras_names("dwconv2"))

efficientnet_v2_s = register_model(
    "efficientnet_v2_s",
    efficientnet,
    EfficientNetOptions,
    source="Tan & Le 2021, arXiv:2104.00298; as keras.applications",
    names=(KERAS, TIMM),
    rows=V2_S,
    filters=24,
    input_shape=(384, 384, 3),
    norm_kwargs={"epsilon": 1e-3, "momentum": 0.9},
)
