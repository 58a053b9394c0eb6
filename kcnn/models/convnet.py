"""A small network of convolutions and max poolings, for small images and little time.

After Simonyan & Zisserman 2014, arXiv:1409.1556: each stage halves the map and doubles the filters,
so that all but the first cost the same, together a third of a ResNet-20.
"""

from collections.abc import Sequence

import keras

from kcnn.layers import ConvNormAct
from kcnn.models import _parts
from kcnn.models._options import Options
from kcnn.models._registry import register_model

__all__ = ["conv4"]


def _convnet(
    options: Options, *, name: str, depths: Sequence[int], filters: Sequence[int]
) -> keras.Model:
    """Stages of 3x3 convolutions with 2x2 max pooling between them: images to (batch, classes).

    `depths` counts the convolutions per stage. Global average pooling stands where VGG has dense
    layers. Layers: stage_1_conv_1, stage_1_pool, ..., pool, logits.

    >>> kcnn.create_model("conv4", 5).output_shape
    (None, 5)
    """
    inputs, x = _parts.start(options, name=name, smallest=2 ** (len(depths) - 1))
    for i, (depth, size) in enumerate(zip(depths, filters, strict=True), 1):
        for j in range(1, depth + 1):
            x = ConvNormAct(options.scaled(size), name=f"stage_{i}_conv_{j}", **options.normed)(x)
        if i < len(depths):
            x = keras.layers.MaxPooling2D(2, data_format=options.layout, name=f"stage_{i}_pool")(x)
    return _parts.finish(options, inputs, x, name=name)


conv4 = register_model(
    "conv4",
    _convnet,
    Options,
    source="after Simonyan & Zisserman 2014, arXiv:1409.1556",
    input_shape=(32, 32, 3),
    classes=10,
    depths=(1, 1, 1, 1),
    filters=(32, 64, 128, 256),
    dropout=0.1,
)
