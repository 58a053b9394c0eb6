"""What `fit` takes, in numbered batches that can be shown again."""

from kcnn.callbacks.data._feed import Feed, as_array, feed_of, inputs_of, one_batch

__all__ = ["Feed", "as_array", "feed_of", "inputs_of", "one_batch"]
