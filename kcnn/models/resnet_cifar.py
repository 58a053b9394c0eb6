"""ResNets for images of 32x32: He et al. 2015, arXiv:1512.03385, section 4.2."""

from typing import Any

from kcnn.models._registry import register_model
from kcnn.models._residual import SMALL
from kcnn.models.resnet import ResNetOptions, resnet

__all__ = ["resnet8", "resnet14", "resnet20", "resnet32", "resnet44", "resnet56", "resnet110"]

# Depth 6n + 2 (the paper begins at n = 3; 1 and 2 are for those with little time); shortcuts are
# option A, the identity with zero channels appended.
_SMALL: dict[str, Any] = {**SMALL, "shortcut": "identity-pad"}
_O = ResNetOptions

resnet8 = register_model("resnet8", resnet, _O, depths=(1, 1, 1), **_SMALL)
resnet14 = register_model("resnet14", resnet, _O, depths=(2, 2, 2), **_SMALL)
resnet20 = register_model("resnet20", resnet, _O, depths=(3, 3, 3), **_SMALL)
resnet32 = register_model("resnet32", resnet, _O, depths=(5, 5, 5), **_SMALL)
resnet44 = register_model("resnet44", resnet, _O, depths=(7, 7, 7), **_SMALL)
resnet56 = register_model("resnet56", resnet, _O, depths=(9, 9, 9), **_SMALL)
resnet110 = register_model("resnet110", resnet, _O, depths=(18, 18, 18), **_SMALL)
