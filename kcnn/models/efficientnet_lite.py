"""EfficientNet-Lite0 to Lite4: the authors' variant for phones.

Without squeeze-and-excitation, with relu6, and with stem and head of one size.
"""

from typing import Any

from kcnn.models._mobile_names import PYTORCH, TIMM
from kcnn.models._registry import register_model
from kcnn.models.efficientnet import B0, EfficientNetOptions, efficientnet, scaling

__all__ = [
    "efficientnet_lite0",
    "efficientnet_lite1",
    "efficientnet_lite2",
    "efficientnet_lite3",
    "efficientnet_lite4",
]

LITE = tuple(row._replace(excite=0.0) for row in B0)


def _lite(*numbers: Any) -> dict[str, Any]:
    return {
        **scaling(*numbers),
        "rows": LITE,
        "fixed_ends": True,
        "activation": "relu6",
        "source": "EfficientNet-Lite, tensorflow/tpu, 2020; as timm's tf_efficientnet_lite",
        "names": (PYTORCH, TIMM),
    }


_O, _build = EfficientNetOptions, efficientnet
efficientnet_lite0 = register_model("efficientnet_lite0", _build, _O, **_lite(1.0, 1.0, 224, 0.2))
efficientnet_lite1 = register_model("efficientnet_lite1", _build, _O, **_lite(1.0, 1.1, 240, 0.2))
efficientnet_lite2 = register_model("efficientnet_lite2", _build, _O, **_lite(1.1, 1.2, 260, 0.3))
efficientnet_lite3 = register_model("efficientnet_lite3", _build, _O, **_lite(1.2, 1.4, 280, 0.3))
efficientnet_lite4 = register_model("efficientnet_lite4", _build, _O, **_lite(1.4, 1.8, 300, 0.3))
