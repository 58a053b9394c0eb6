"""Images and labels from anywhere behind one small record; statistics; batches.

>>> data = load("digits")
>>> data.image_shape, data.classes
((8, 8, 1), 10)
"""

from kcnn.data._arrays import from_arrays
from kcnn.data._batches import batches
from kcnn.data._load import load
from kcnn.data._record import DataError, Dataset, Split
from kcnn.data._stats import ChannelStats, channel_stats, normalization

__all__ = [
    "ChannelStats",
    "DataError",
    "Dataset",
    "Split",
    "batches",
    "channel_stats",
    "from_arrays",
    "load",
    "normalization",
]
