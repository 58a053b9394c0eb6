"""A sound set-up for the digits, the same with one fault planted, and the six steps over them."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import keras
import numpy as np
import tensorflow as tf
from images import accuracy, network, standardized

from kcnn.augment import augmentation
from kcnn.data import Dataset
from kcnn.recipe import check_initial_loss, overfit_small_sample, read_curves, sweep_learning_rates

__all__ = ["FAULTS", "SOUND", "STEPS", "Caught", "SetUp", "through_the_steps"]

RATES = (0.1, 0.01, 0.001)
STEPS = {1: "initial loss", 2: "small sample", 3: "learning rates", 6: "curves"}


@dataclass(frozen=True)
class SetUp:
    """What a user writes around `fit`; every field but the last four is a place for a fault.

    Attributes:
        scaled: standardize the pixels; False leaves them 0..255.
        from_logits: what the loss is told of the network's end.
        lag: images by which the labels are out of step.
        shuffled: False takes the images as they lie, class by class.
        unit_range: the augmentation returns 0..1 where the network expects 0..255.
    """

    rate: float = 0.1
    scaled: bool = True
    from_logits: bool = True
    lag: int = 0
    shuffled: bool = True
    unit_range: bool = False
    batch_size: int = 64
    weight_decay: float = 1e-4
    width: float = 1.0
    dropout: float = 0.0

    def model(self, data: Dataset, seed: int) -> keras.Model:
        """A small network without normalization, compiled as the set-up says."""
        keras.utils.set_random_seed(seed)
        filters = [max(4, round(self.width * n)) for n in (16, 32, 32)]
        pixels = standardized(data) if self.scaled else keras.layers.Identity()
        model = network(
            data,
            norm="none",
            filters=filters,
            flatten=True,
            dropout=self.dropout,
            preprocess=pixels,
        )
        model.compile(
            keras.optimizers.SGD(self.rate, momentum=0.9, weight_decay=self.weight_decay),
            keras.losses.SparseCategoricalCrossentropy(from_logits=self.from_logits),
            metrics=["accuracy"],
            jit_compile=False,
        )
        return model

    def rows(self, data: Dataset) -> tuple[np.ndarray, np.ndarray]:
        """The training images and their labels, as they lie."""
        x, y = data.train.x.astype("float32"), np.roll(data.train.y, self.lag)
        order = np.arange(len(y)) if self.shuffled else np.argsort(y, kind="stable")
        return x[order], y[order]

    def batches(self, data: Dataset, seed: int) -> tf.data.Dataset:
        """The training images and labels as `fit` gets them: moved by a pixel at random."""
        x, y = self.rows(data)
        rows = tf.data.Dataset.from_tensor_slices((x, y))
        if self.shuffled:
            rows = rows.shuffle(len(x), seed=seed)
        crop = augmentation("crop", data.image_shape, seed=seed)

        def augment(images, labels):
            moved = crop(images)
            return (moved / 255.0 if self.unit_range else moved), labels

        return rows.batch(self.batch_size).map(augment).prefetch(2)


SOUND = SetUp()
FAULTS = {
    "rate 100 times too high": replace(SOUND, rate=100 * SOUND.rate),
    "rate 1,000 times too low": replace(SOUND, rate=SOUND.rate / 1000),
    "loss takes logits for probabilities": replace(SOUND, from_logits=False),
    "labels out of step by one": replace(SOUND, lag=1),
    "no shuffling, class by class": replace(SOUND, shuffled=False),
    "pixels 0..255 as they are": replace(SOUND, scaled=False),
    "augmentation gives 0..1": replace(SOUND, unit_range=True),
}


@dataclass(frozen=True)
class Caught:
    """The step that said something (0: none), what it said, when, and the training's end."""

    step: int
    said: str
    seconds: float
    whole: float
    accuracy: float
    updates: int


def through_the_steps(setup: SetUp, data: Dataset, seed: int, epochs: int) -> Caught:
    """Each step in turn; the training runs to its end in any case, to compare."""
    model, batches = setup.model(data, seed), setup.batches(data, seed)
    began = time.perf_counter()
    step, said, seconds = early(model, setup, batches, data, seed)
    seconds = seconds or time.perf_counter() - began
    began = time.perf_counter()
    tests = data.test.x.astype("float32"), data.test.y
    history = model.fit(
        batches, epochs=epochs, validation_data=tests, shuffle=False, verbose=0
    ).history
    whole = time.perf_counter() - began
    if not step:
        reading = read_curves(history)
        if reading.verdict != "healthy":
            step, said, seconds = 6, reading.verdict, seconds + whole
    return Caught(step, said, seconds, whole, accuracy(model, *tests), epochs * len(batches))


def early(model, setup: SetUp, batches, data: Dataset, seed: int) -> tuple[int, str, float]:
    """Steps 1 to 3; the model is as before afterwards."""
    began = time.perf_counter()
    first = check_initial_loss(model, batches, classes=data.classes)
    if not first.ok:
        return 1, first.findings[0].seen, time.perf_counter() - began
    sample = overfit_small_sample(model, *setup.rows(data), seed=seed)
    if not sample.ok:
        return 2, sample.findings[0].seen, time.perf_counter() - began
    rates = sorted({setup.rate, *RATES}, reverse=True)
    found = sweep_learning_rates(model, batches, rates=rates, seed=seed)
    own = next(curve for curve in found.result.curves if curve.lr == setup.rate)
    if not found.ok:
        return 3, found.findings[0].seen, time.perf_counter() - began
    if own.verdict != "clear and stable":
        said = f"rate {own.lr:g}: {own.verdict}; better {found.result.suggestion:g}"
        return 3, said, time.perf_counter() - began
    return 0, "nothing", 0.0
