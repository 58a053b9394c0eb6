"""The protocol of every augmentation layer: keras-cv's dictionaries, Keras's `training` flag."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from kcnn.augment._arguments import as_choice, as_number
from kcnn.augment._batch import opened
from kcnn.augment._boxes import FORMATS
from kcnn.augment._draws import Draws
from kcnn.augment._kernels import to_dtype
from kcnn.augment._run import run
from kcnn.augment._steps import Step, Warp

__all__ = ["AugmentationLayer", "Sometimes"]

Shape = tuple[int | None, ...]


class AugmentationLayer(keras.layers.Layer):
    """Base of the layers of `kcnn.augment`: batched, each image with its own random numbers.

    Takes images (b, h, w, c) or one (h, w, c), of any number type, values in 0..255; or a
    dictionary with them under "images" as Keras's and keras-cv's layers do. What belongs to the
    images goes along: "labels" (`mixes_labels` says whether they change), "segmentation_masks" (the
    images' shape with their own channels or none; the nearest pixel, their own type),
    "bounding_boxes" ("boxes" (b, n, 4) and "labels" or "classes" (b, n), in
    `bounding_box_format`; ragged ones come back filled up, and those that left the image with the
    class -1). Gives back the same structure; other keys stay as they are.

    With `training=False` images pass through unchanged; without the flag they change, as in Keras's
    own layers (so call a model with `training=False` to export it). `dtype` is that of the images
    given back, float32 unless said otherwise; "uint8" rounds. The same `seed` gives the same
    images, call after call; in a `map` with parallel calls, batches take random numbers in the
    order in which they run. TensorFlow only.

    data_format: "channels_last" or "channels_first"; Keras's own setting by default.
    value_range: (0, 255), as Keras's and keras-cv's layers may be told; nothing else.
    bounding_box_format: as in `keras.utils.bounding_boxes`: "xyxy", "yxyx", "xywh", "center_xywh",
        "center_yxhw", or "rel_" and one of these.

    >>> class Mirror(AugmentationLayer):
    ...     def steps(self, draws):
    ...         return kcnn.augment.RandomFlip("horizontal", rate=1.0).steps(draws)
    >>> bool((Mirror()(images)[:, :, 0] == images[:, :, -1]).numpy().all())
    True
    """

    moves_pixels = False  # then masks and boxes move along
    mixes_labels = False  # then one image alone won't do, and labels change
    refuses: frozenset[str] = frozenset()  # keys of a dictionary that can't go along

    def __init__(
        self,
        *,
        seed: int | None = None,
        data_format: str | None = None,
        bounding_box_format: str | None = None,
        value_range: Sequence[float] = (0, 255),
        **kwargs: Any,
    ) -> None:
        if keras.backend.backend() != "tensorflow":
            raise RuntimeError(
                f"{type(self).__name__}: needs the TensorFlow backend of Keras; it runs on "
                f"{keras.backend.backend()}. Other backends can be fed by a tf.data pipeline made "
                "in a process of its own."
            )
        kwargs.setdefault("dtype", "float32")
        super().__init__(autocast=False, **kwargs)  # labels in a dictionary keep their type
        if tuple(value_range) != (0, 255):
            raise ValueError(
                f"{type(self).__name__}: value_range={value_range}; images are in 0..255 here. "
                "Augment first and scale afterwards."
            )
        self.seed = seed
        data_format = data_format or keras.config.image_data_format()
        known = ("channels_last", "channels_first")
        self.data_format = as_choice(data_format, known, self, "data_format")
        if bounding_box_format is not None:
            as_choice(bounding_box_format, FORMATS, self, "bounding_box_format")
        self.bounding_box_format = bounding_box_format
        self.random = keras.random.SeedGenerator(seed)
        self.built = True

    @property
    def channels_first(self) -> bool:
        """Whether images are (b, c, h, w)."""
        return bool(self.data_format == "channels_first")

    def steps(self, draws: Draws) -> Sequence[Step]:
        """What to do with a batch, from fresh random numbers."""
        raise NotImplementedError

    def call(self, inputs: Any, training: bool = True) -> Any:
        named = isinstance(inputs, dict)
        given = dict(inputs) if named else {"images": inputs}
        self._check(given)
        if training:
            batch, closed = opened(given, self)
            outputs = closed(run(batch, self._all_steps(batch.images), self.compute_dtype))
        else:
            images = tf.convert_to_tensor(given["images"])
            outputs = {"images": to_dtype(images, self.compute_dtype)}
        return {**given, **outputs} if named else outputs["images"]

    def _check(self, given: dict[str, Any]) -> None:
        """Refuse what can't be augmented at all."""
        if "images" not in given:
            raise ValueError(
                f"{self.name}: got a dictionary with {sorted(given)}; expected 'images' in it."
            )
        if isinstance(given["images"], tf.RaggedTensor):
            raise ValueError(
                f"{self.name}: got ragged images; expected one size. Resize them before batching, "
                "or map the layer over single images."
            )
        refused = sorted(self.refuses & set(given))
        if refused:
            raise ValueError(
                f"{self.name}: {type(self).__name__} can't move {' or '.join(refused)} along; "
                "leave them out of the dictionary, or use a layer that keeps pixels in place."
            )

    def _all_steps(self, images: Any) -> list[Step]:
        draws = Draws(tf.cast(self.random.next(), tf.int32), images)
        steps: list[Step] = []
        for layer in self._chain():
            for step in layer.steps(draws):
                steps.append(step)
                if isinstance(step, Warp):
                    draws.resized(step.size)
        return steps

    def _chain(self) -> Sequence[AugmentationLayer]:
        """The layers whose steps these are."""
        return (self,)

    def output_size(self, height: int | None, width: int | None) -> tuple[int | None, int | None]:
        """The size of the images given back for images of this size, in pixels."""
        return height, width

    def compute_output_shape(self, input_shape: Any) -> Any:
        if not isinstance(input_shape, dict):
            return self._resized(input_shape, len(input_shape))
        rank = len(input_shape["images"])
        pictures = {"images", "segmentation_masks"} & set(input_shape)
        return {**input_shape, **{key: self._resized(input_shape[key], rank) for key in pictures}}

    def _resized(self, shape: Shape, rank: int) -> Shape:
        """`shape` with the height and width given back; masks may lack the images' channels."""
        at = rank - (2 if self.channels_first and len(shape) == rank else 3)
        return (*shape[:at], *self.output_size(*shape[at : at + 2]), *shape[at + 2 :])

    def get_config(self) -> dict[str, Any]:
        """The arguments of every constructor from here down that are kept under their own names."""
        kinds = [kind for kind in type(self).__mro__ if issubclass(kind, AugmentationLayer)]
        names = {name for kind in kinds for name in inspect.signature(kind.__init__).parameters}
        return {**super().get_config(), **{n: getattr(self, n) for n in names & set(vars(self))}}


class Sometimes(AugmentationLayer):
    """Base of layers that change an image with probability `rate`, each by itself."""

    def __init__(self, *, rate: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rate = as_number(rate, self, "rate", 0.0, 1.0)
