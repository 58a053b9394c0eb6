"""Images and labels from anywhere: checked, split, and fed to a model batch by batch.

>>> data = load("digits")
>>> data.image_shape, data.classes
((8, 8, 1), 10)
"""

from kcnn.data._arrays import from_arrays
from kcnn.data._cache import clear_cache
from kcnn.data._load import load
from kcnn.data._record import DataError, Dataset, DataWarning, Split
from kcnn.data._rows import Arrays, Files, Stream
from kcnn.data._source import LoadOptions, Part, SourceData, register_source
from kcnn.data._stats import ChannelStats, channel_stats
from kcnn.preprocessing import Preprocessing

__all__ = [
    "Arrays",
    "ChannelStats",
    "DataError",
    "DataWarning",
    "Dataset",
    "Files",
    "LoadOptions",
    "Part",
    "Preprocessing",
    "SourceData",
    "Split",
    "Stream",
    "channel_stats",
    "clear_cache",
    "from_arrays",
    "load",
    "register_source",
]
