"""What `fit` takes: a bounded sample to look at, and numbered batches to train on again."""

from kcnn.callbacks.data._case import Case, draw
from kcnn.callbacks.data._feed import Feed, feed_of, inputs_of, one_batch
from kcnn.callbacks.data._overlap import even_rows, flat_rows, row_keys
from kcnn.callbacks.data._part import Census, Part
from kcnn.callbacks.data._rows import Rows, array_leaf
from kcnn.callbacks.data._sampler import Sampler

__all__ = [
    "Case", "Census", "Feed", "Part", "Rows", "Sampler", "array_leaf", "draw", "even_rows",
    "feed_of", "flat_rows", "inputs_of", "one_batch", "row_keys",
]  # fmt: skip
