"""Plain networks: ResNets without their shortcuts, to see depth alone make things worse.

He, Zhang, Ren & Sun 2015, arXiv:1512.03385, sections 3.3 and 4.2 (the degradation problem).
"""

from collections.abc import Sequence
from typing import Any

import keras

from kcnn.layers import PlainBlock
from kcnn.models._registry import register_model
from kcnn.models._residual import SMALL, StagedOptions, staged

__all__ = ["plain", "plain18", "plain20", "plain32", "plain34", "plain44", "plain56", "plain110"]


def plain(
    options: StagedOptions,
    *,
    name: str,
    depths: Sequence[int],
    filters: Sequence[int] = (64, 128, 256, 512),
) -> keras.Model:
    """A stack of 3x3 convolutions: (batch, h, w, c) images to (batch, classes) float32 logits.

    `depths` counts pairs of convolutions per stage. There is nothing to skip, so it has no
    shortcut, zero_init_residual or drop_path. Layers as in a ResNet.

    >>> kcnn.create_model("plain20").output_shape
    (None, 10)
    """
    return staged(options, name=name, block=PlainBlock, depths=depths, filters=filters)


_LARGE: dict[str, Any] = {"source": "He et al. 2015, arXiv:1512.03385, section 3.3"}
_O = StagedOptions

plain18 = register_model("plain18", plain, _O, depths=(2, 2, 2, 2), **_LARGE)
plain34 = register_model("plain34", plain, _O, depths=(3, 4, 6, 3), **_LARGE)
plain20 = register_model("plain20", plain, _O, depths=(3, 3, 3), **SMALL)
plain32 = register_model("plain32", plain, _O, depths=(5, 5, 5), **SMALL)
plain44 = register_model("plain44", plain, _O, depths=(7, 7, 7), **SMALL)
plain56 = register_model("plain56", plain, _O, depths=(9, 9, 9), **SMALL)
plain110 = register_model("plain110", plain, _O, depths=(18, 18, 18), **SMALL)
