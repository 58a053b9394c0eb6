"""Fine-tuning in its two stages: the head on cached features, then the backbone with it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras

from kcnn.transfer._cache import CachedFeatures, cache_features
from kcnn.transfer._freezing import compile_anew, learning_rate_of, unfreeze
from kcnn.transfer._heads import backbone_of, head_of

__all__ = ["FineTuning", "fine_tune", "fit_head"]


@dataclass(frozen=True)
class FineTuning:
    """The two histories of `fine_tune`, each metric by epoch as `fit` gives it."""

    head: Mapping[str, list[float]]
    whole: Mapping[str, list[float]]


def fit_head(
    model: keras.Model,
    features: CachedFeatures,
    *,
    epochs: int,
    batch_size: int = 32,
    validation: CachedFeatures | None = None,
    seed: int = 0,
    **fit: Any,
) -> Mapping[str, list[float]]:
    """Train the head of `model` on features of `cache_features`; the backbone is not run.

    The steps are those of `model.fit` with the backbone frozen, at a fraction of the time.

    Args:
        model: from `linear_probe`, compiled; its head learns with a fresh copy of its
            optimizer, its loss and its metrics.
        features, validation: of this model.
        epochs, batch_size, seed: of the training; seed is the order's.
        **fit: for `fit` of the head, for example class_weight or verbose.

    Returns:
        The history, each metric by epoch.

    Raises:
        ValueError: a model that is not compiled, or not from `linear_probe`.

    >>> body = kcnn.create_model("resnet8", classes=10, input_shape=(8, 8, 3))
    >>> probe = kcnn.transfer.linear_probe(body, 10)
    >>> probe.compile("adam", keras.losses.CategoricalCrossentropy(from_logits=True))
    >>> features = kcnn.transfer.cache_features(probe, images, one_hot)
    >>> len(kcnn.transfer.fit_head(probe, features, epochs=2, verbose=0)["loss"])
    2
    """
    if getattr(model, "optimizer", None) is None:
        raise ValueError(f"fit_head: compile {model.name} first.")
    head = head_of(model)
    compile_anew(head, model, learning_rate_of(model.optimizer))
    history: Mapping[str, list[float]] = head.fit(
        features.batches(batch_size, shuffle=True, seed=seed),
        epochs=epochs,
        validation_data=None if validation is None else validation.batches(batch_size),
        shuffle=False,  # the batches are: Keras would shuffle their order by its own seed, too
        **fit,
    ).history
    return history


def fine_tune(
    model: keras.Model,
    x: Any,
    y: Any = None,
    *,
    head_epochs: int = 3,
    epochs: int = 5,
    learning_rate: Any = None,
    batch_size: int = 32,
    validation_data: Any = None,
    views: int = 1,
    class_weight: Mapping[int, float] | None = None,
    verbose: Any = "auto",
    **fit: Any,
) -> FineTuning:
    """Both stages: the head alone on cached features, `unfreeze`, then `fit` of the whole.

    Args:
        model: from `linear_probe`, compiled with stage 1's optimizer, loss and metrics.
        x, y: images and labels; or x alone: a `Split` of kcnn.data or batches of both, such
            as a `tf.data.Dataset`.
        head_epochs, epochs: of the stages.
        learning_rate: of stage 2, as for `unfreeze`.
        batch_size: of arrays and of a Split, and of the cached features.
        validation_data: (images, labels), a Split or batches.
        views: how many times stage 1 sees each image, where x augments them anew each time.
        class_weight, verbose: for `fit` of both stages.
        **fit: for `model.fit` of stage 2, such as callbacks.

    Raises:
        ValueError: a model that is not compiled, or not from `linear_probe`.

    >>> done = kcnn.transfer.fine_tune(probe, images, one_hot, epochs=5)  # doctest: +SKIP
    >>> len(done.whole["loss"])  # doctest: +SKIP
    5
    """
    if getattr(model, "optimizer", None) is None:
        raise ValueError(f"fine_tune: compile {model.name} first; its optimizer is stage 1's.")
    both = {"class_weight": class_weight, "verbose": verbose}
    backbone_of(model, "fine_tune").trainable = False
    compile_anew(model, model, learning_rate_of(model.optimizer))
    validation = None
    if validation_data is not None:
        pair = validation_data if isinstance(validation_data, tuple) else (validation_data,)
        validation = cache_features(model, *pair, batch_size=batch_size)
    features = cache_features(model, x, y, views=views, batch_size=batch_size)
    head = fit_head(
        model,
        features,
        epochs=head_epochs,
        batch_size=batch_size,
        validation=validation,
        **both,
    )
    unfreeze(model, learning_rate=learning_rate)
    if hasattr(x, "batches"):
        x = x.batches(batch_size, shuffle=True)
    if hasattr(validation_data, "batches"):
        validation_data = validation_data.batches(batch_size)
    # Batches come in an order of their own; Keras warns where it is asked to shuffle them.
    arrays = {"shuffle": False} if y is None else {"batch_size": batch_size}
    whole = model.fit(
        x, y, epochs=epochs, validation_data=validation_data, **both, **arrays, **fit
    ).history
    return FineTuning(head, whole)
