"""A pretrained backbone in the recipe: its features once per image and view, and a new head."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kcnn.data import Dataset
from kcnn.data._record import rarest_label, spread_over_classes
from kcnn.recipe.clock import Clock
from kcnn.recipe.files import read_arrays, write_arrays
from kcnn.recipe.settings import RecipeError, Settings, first_line
from kcnn.recipe.training_data import ImageData, looked_at_once, seed_for
from kcnn.transfer import CachedFeatures, cache_features, head_of, linear_probe, regime

__all__ = ["FeatureData", "Transfer"]

VIEWS = {"quick": 4, "standard": 8, "thorough": 16}  # of each training image
TIME_SHARE = 0.25  # of the time left at most, for the views after the first one
MEMORY = 2**29  # bytes of features that are kept; with more there are fewer views
HEADS_AT_ONCE = 256  # rows of features


class Transfer:
    """A frozen backbone, and what the recipe trains in its place: heads on its features.

    `regime` is what `kcnn.transfer` recommends for so many images.

    Args:
        backbone: takes raw images of the data set's shape, 0..255; without a head.
        dataset: what is to be learned.
    """

    def __init__(self, backbone: keras.Model, dataset: Dataset):
        self.backbone = backbone
        self.dataset = dataset
        self.regime = regime(max(len(dataset.train), dataset.classes), dataset.classes)
        try:
            self.probe = self.model(0.0)
        except ValueError as error:
            said = f"The backbone {backbone.name!r} can't be used: {first_line(error)}"
            raise RecipeError(said) from error
        shape = tuple(self.probe.input_shape[1:])
        if any(a not in (None, b) for a, b in zip(shape, dataset.image_shape, strict=True)):
            raise RecipeError(
                f"The backbone {backbone.name!r} takes images of {shape}; the data have "
                f"{dataset.image_shape}. Give --image-size {shape[0]}."
            )

    def model(self, dropout: float) -> keras.Model:
        """The backbone with a new head: images to logits."""
        return linear_probe(self.backbone, self.dataset.classes, dropout=dropout)

    def head(self, hp: Any) -> keras.Model:
        """The builder of the recipe: a head alone."""
        return head_of(self.model(hp.get("dropout", 0.0)))

    def with_head(self, head: keras.Model) -> keras.Model:
        """The whole model with the weights of a trained head."""
        dropout = next((x.rate for x in head.layers if isinstance(x, keras.layers.Dropout)), 0.0)
        model = self.model(dropout)
        head_of(model).set_weights(head.get_weights())
        return model


class FeatureData:
    """What a frozen backbone makes of a data set: each training image as it is and augmented.

    Features are computed at the first need, and kept in `folder` for a resumed run. There are
    as many views as the budget has, or fewer where `left()`, the seconds left, is not None.
    """

    def __init__(
        self,
        transfer: Transfer,
        images: ImageData,
        settings: Settings,
        folder: Path,
        *,
        left: Callable[[], float | None] = lambda: None,
    ):
        self.images = images
        self.dataset = images.dataset
        self.augmented_by = images.augmented_by
        self.train_images, self.val_images = images.train_images, images.val_images
        features = int(head_of(transfer.probe).input_shape[-1])
        self.problem = replace(images.problem, input_shape=(features,))
        views = VIEWS[settings.budget] if self.augmented_by != "none" else 1
        most = MEMORY // max(1, 4 * features * self.train_images)
        self.views = max(1, min(views, most))
        self._left = left
        self.seed = settings.seed
        self.transfer = transfer
        self._file = folder / "features.npz"
        self._arrays: dict[str, np.ndarray] = {}

    def train(self, batch_size: int, *, purpose: str, skip: int = 0) -> Any:
        import tensorflow as tf

        kept = self._kept()
        with tf.device("CPU:0"):
            x, y = tf.constant(kept["train_x"]), tf.constant(kept["train_y"])
        seed = seed_for(self.seed, purpose)
        order = tf.data.Dataset.range(len(kept["train_x"]))
        order = order.shuffle(len(kept["train_x"]), seed=seed).repeat().batch(batch_size)
        data = order.map(lambda i: (tf.gather(x, i), tf.gather(y, i)))
        return (data.skip(skip) if skip else data).prefetch(2)

    def val(self) -> Any:
        import tensorflow as tf

        kept = self._kept()
        data = tf.data.Dataset.from_tensor_slices((kept["val_x"], kept["val_y"]))
        return data.batch(HEADS_AT_ONCE)

    def sample(self, images: int, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
        kept = self._kept()
        labels = kept["train_y"][: self.train_images]
        chosen = spread_over_classes(rarest_label(labels), images, seed)
        return kept["train_x"][chosen], labels[chosen]

    def augmentation(self, seed: int) -> Any:
        return self.images.augmentation(seed)

    @property
    def seconds_per_image(self) -> float:
        """Of a pass through the backbone."""
        return float(self._kept()["seconds_per_image"])

    def _kept(self) -> dict[str, np.ndarray]:
        if not self._arrays:
            self._arrays = read_arrays(self._file) if self._file.exists() else self._computed()
        return self._arrays

    def _computed(self) -> dict[str, np.ndarray]:
        seen = [self._view(0)]  # traces
        began = Clock.now()
        looked = cache_features(self.transfer.probe, self.images.val())
        seconds = (Clock.now() - began) / self.val_images
        views, left = self.views, self._left()
        if left is not None:
            views = min(views, 1 + int(TIME_SHARE * left / (seconds * self.train_images)))
        seen += [self._view(number) for number in range(1, views)]
        arrays = {
            "train_x": np.concatenate([view.x[0] for view in seen]),
            "train_y": np.concatenate([self.problem.labels(view.y[0]) for view in seen]),
            "val_x": looked.x[0],
            "val_y": looked.y[0],
            "seconds_per_image": np.array(seconds),
        }
        self._file.parent.mkdir(parents=True, exist_ok=True)
        write_arrays(self._file, arrays)
        return arrays

    def _view(self, number: int) -> CachedFeatures:
        """The training images as they are, for number 0, or augmented."""
        seed = self.seed + number
        return cache_features(
            self.transfer.probe,
            self.dataset.train,
            augment=self.augmentation(seed) if number else None,
            batch_size=looked_at_once(self.dataset.image_shape),
            seed=seed,
        )
