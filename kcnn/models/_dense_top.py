"""The three dense layers that AlexNet and VGG end with."""

from typing import Any

import keras

from kcnn.layers._conv import kaiming_for
from kcnn.models import _parts
from kcnn.models._grid_pool import GridAveragePooling
from kcnn.models._options import Options

__all__ = ["dense_top"]

HIDDEN = 4096  # units of each of the two hidden layers


def dense_top(x: Any, options: Options, *, grid: int, dropout_first: bool = False) -> Any:
    """(batch, h, w, c) -> (batch, classes): a grid of cells, two hidden layers, logits.

    The weights fit a map of `grid` x `grid` cells; with "avg" or "max" `pooling` they fit
    one cell. Dropout stands after each hidden layer or, with `dropout_first`, before it.
    """
    if options.pooling is None:
        x = GridAveragePooling(grid, data_format=options.layout, name="grid")(x)
        # Flatten always gives (height, width, channels) order, whatever the data format.
        x = keras.layers.Flatten(data_format=options.layout, name="flatten")(x)
    else:
        x = _parts.pool(x, options.pooling, options.layout)
    dropout = options.dropout
    for i in (1, 2):
        if dropout and dropout_first:
            x = keras.layers.Dropout(dropout, name=f"dropout_{i}")(x)
        x = keras.layers.Dense(
            options.scaled(HIDDEN),
            activation=options.activation,
            # By fan out 25,088 inputs to 4,096 outputs would explode.
            kernel_initializer=kaiming_for(options.activation, mode="fan_in"),
            name=f"dense_{i}",
        )(x)
        if dropout and not dropout_first:
            x = keras.layers.Dropout(dropout, name=f"dropout_{i}")(x)
    return _parts.classifier(x, options.classes, 0.0, options.classifier_activation)
