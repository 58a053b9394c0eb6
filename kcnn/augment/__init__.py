"""Random changes of images that keep their class, batched, for `tf.data` and `model.fit`."""

from kcnn.augment._presets import Augmentation, augmentation

__all__ = ["Augmentation", "augmentation"]
