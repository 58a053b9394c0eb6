"""AlexNet: Krizhevsky, Sutskever & Hinton 2012, in the one-column form of arXiv:1404.5997."""

from collections.abc import Sequence

import keras

from kcnn.layers import ConvNormAct
from kcnn.models import _parts
from kcnn.models._registry import register_model
from kcnn.models.vgg import TORCHVISION, VGGOptions, dense_top

__all__ = ["alexnet"]


def _alexnet(options: VGGOptions, *, name: str, filters: Sequence[int]) -> keras.Model:
    """Five convolutions, three max poolings, three dense layers: images to (batch, classes).

    The convolutions are 11x11 stride 4, 5x5, and three of 3x3; the grid before the dense
    layers is 6x6. The local response normalization of 2012 is left out, as in the form of
    2014 and in torchvision. Layers: conv_1, pool_1, conv_2, ..., dense_1, dense_2, logits.

    >>> kcnn.create_model("alexnet", 10, width=1 / 16).output_shape
    (None, 10)
    """
    inputs, x = _parts.start(options, name=name, smallest=63)
    layout = options.layout
    common = {**options.normed, "use_bias": True}
    sizes = [options.scaled(size) for size in filters]
    x = keras.layers.ZeroPadding2D(2, data_format=layout, name="conv_1_pad")(x)
    x = ConvNormAct(sizes[0], 11, strides=4, padding="valid", name="conv_1", **common)(x)
    for i, size in enumerate(sizes[1:], 2):
        if i <= 3:
            x = keras.layers.MaxPooling2D(3, 2, data_format=layout, name=f"pool_{i - 1}")(x)
        x = ConvNormAct(size, 5 if i == 2 else 3, name=f"conv_{i}", **common)(x)
    x = keras.layers.MaxPooling2D(3, 2, data_format=layout, name="pool_5")(x)
    if not options.include_top:
        return _parts.finish(options, inputs, x, name=name)
    top = dense_top(x, options, grid=6, dropout_first=True)
    return _parts.model_of(options, inputs, top, name=name)


alexnet = register_model(
    "alexnet",
    _alexnet,
    VGGOptions,
    source="Krizhevsky 2014, arXiv:1404.5997; as torchvision",
    names=(TORCHVISION,),
    filters=(64, 192, 384, 256, 256),
)
