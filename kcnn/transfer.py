"""Transfer learning: a pretrained backbone, a new head, and two stages of plain `model.fit`.

    model = linear_probe(backbone, classes=10)          # stage 1: the head alone learns
    model.compile("adam", loss, metrics=["accuracy"])
    model.fit(x, y, epochs=5)
    unfreeze(model, blocks=3, learning_rate=1e-4)       # stage 2: the last blocks, too
    model.fit(x, y, epochs=5)

`fine_tune` does both stages in one call. BatchNorm stays in inference mode throughout.
"""

import numbers
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras

from kcnn.models._blocks_of import blocks_of, features_of
from kcnn.models._frozen import InferenceBody
from kcnn.models._layer_rates import with_rates
from kcnn.models._parts import classifier, one_of

__all__ = ["FineTuning", "Regime", "fine_tune", "linear_probe", "regime", "unfreeze"]

# Images per class from which fine-tuning is recommended. Where the two regimes cross depends on
# how far the new images are from the backbone's. benchmarks/transfer.py (ImageNet to Fashion-MNIST,
# which is far): the frozen backbone beats fine-tuning everything at once with 10 per class and
# loses with 100; after the head's own stage, fine-tuning is level with 2 and ahead from 10.
_ENOUGH = 50


def linear_probe(
    backbone: keras.Model,
    classes: int,
    *,
    input_shape: tuple[int | None, ...] | None = None,
    preprocess: keras.layers.Layer | None = None,
    features: str | None = None,
    pooling: str = "avg",
    dropout: float = 0.0,
    name: str | None = None,
) -> keras.Model:
    """A model whose backbone is frozen and whose head is new: images to float32 logits.

    The backbone's layers are shared, not copied, and are set untrainable. They run in
    inference mode in `fit`, too: BatchNorm uses and keeps its statistics, dropout is off.

    Args:
        backbone: any built functional or Sequential Keras model, with or without its top.
        classes: number of new classes.
        input_shape: of the images that come in; the backbone's if left out.
        preprocess: layer or model from those images to what the backbone expects.
        features: name of the layer to take the features from; found if left out.
        pooling: "avg" or "max" over space, where the features are maps.
        dropout: rate before the new head.
        name: of the model.

    Raises:
        ValueError: a backbone that is not built, unknown layer or pooling, classes below 1.
    """
    one_of("linear_probe", "pooling", pooling, ("avg", "max"))
    if not isinstance(classes, numbers.Integral) or classes < 1:
        raise ValueError(f"linear_probe: classes must be at least 1. Received: {classes!r}.")
    body = features_of(backbone, features)
    body.trainable = False
    shape = tuple(input_shape) if input_shape is not None else tuple(body.inputs[0].shape[1:])
    inputs = keras.Input(shape, name="image")
    x = inputs if preprocess is None else preprocess(inputs)
    x = InferenceBody(body, name="backbone")(x)
    if len(x.shape) == 4:
        pools = (keras.layers.GlobalAveragePooling2D, keras.layers.GlobalMaxPooling2D)
        x = pools[pooling == "max"](name="pool")(x)
    elif len(x.shape) == 3:
        pools = (keras.layers.GlobalAveragePooling1D, keras.layers.GlobalMaxPooling1D)
        x = pools[pooling == "max"](name="pool")(x)
    logits = classifier(x, classes, dropout)
    return keras.Model(inputs, logits, name=name or f"{backbone.name}_probe")


def unfreeze(
    model: keras.Model,
    *,
    blocks: int | str = "all",
    learning_rate: Any = None,
    layer_decay: float = 1.0,
    batchnorm: str = "inference",
) -> keras.Model:
    """Begin stage 2: let the last blocks of the backbone learn, slowly; compiled anew.

    Args:
        model: from `linear_probe`; if compiled, its loss, metrics and optimizer settings
            stay and the optimizer starts afresh. Otherwise compile it yourself.
        blocks: how many of the last blocks learn, or "all"; 0 freezes all of them again.
        learning_rate: of stage 2, a number or a schedule; a tenth of stage 1's if left out.
        layer_decay: each block learns with this share of the rate of the block after it,
            the head with the full rate (arXiv:1801.06146, section 3.1). 1: all the same.
        batchnorm: "inference" keeps every BatchNorm's statistics untouched while its
            scale and shift may learn; "frozen" keeps these, too.

    Returns:
        The same model.

    Raises:
        ValueError: not a model of `linear_probe`, or an argument outside its range.
    """
    one_of("unfreeze", "batchnorm", batchnorm, ("inference", "frozen"))
    if not 0 < layer_decay <= 1:
        raise ValueError(f"unfreeze: layer_decay must be in (0, 1]. Received: {layer_decay!r}.")
    body = _backbone(model)
    groups = blocks_of(body)
    if blocks != "all" and not (isinstance(blocks, int) and 0 <= blocks <= len(groups)):
        raise ValueError(
            f"unfreeze: blocks must be 'all' or from 0 to {len(groups)}, as many as "
            f"{model.name}'s backbone has. Received: {blocks!r}."
        )
    learning = len(groups) if blocks == "all" else int(blocks)
    body.trainable = True
    for group in groups[: len(groups) - learning]:
        for layer in group:
            layer.trainable = False
    if batchnorm == "frozen":
        for layer in body._flatten_layers(include_self=False):
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.trainable = False
    rates = {}
    if layer_decay < 1:
        for distance, group in enumerate(reversed(groups), 1):
            for layer in group:
                for weight in layer.trainable_weights:
                    rates[weight.path] = layer_decay**distance
    _recompile(model, learning_rate, rates)
    return model


@dataclass(frozen=True)
class FineTuning:
    """The two histories of `fine_tune`, each metric by epoch as `fit` gives it."""

    head: Mapping[str, list[float]]
    whole: Mapping[str, list[float]]


def fine_tune(
    model: keras.Model,
    x: Any,
    y: Any = None,
    *,
    head_epochs: int = 3,
    epochs: int = 5,
    blocks: int | str = "all",
    learning_rate: Any = None,
    layer_decay: float = 1.0,
    batchnorm: str = "inference",
    **fit: Any,
) -> FineTuning:
    """Both stages: `fit` with the head alone, `unfreeze`, then `fit` again.

    Args:
        model: from `linear_probe`, compiled with stage 1's optimizer, loss and metrics.
        x, y, **fit: for `model.fit` of both stages.
        head_epochs, epochs: of the stages.
        blocks, learning_rate, layer_decay, batchnorm: of stage 2, as for `unfreeze`.

    Raises:
        ValueError: a model that is not compiled, or not from `linear_probe`.
    """
    if getattr(model, "optimizer", None) is None:
        raise ValueError(f"fine_tune: compile {model.name} first; its optimizer is stage 1's.")
    unfreeze(model, blocks=0, learning_rate=_rate(model.optimizer))
    head = model.fit(x, y, epochs=head_epochs, **fit).history
    unfreeze(
        model,
        blocks=blocks,
        learning_rate=learning_rate,
        layer_decay=layer_decay,
        batchnorm=batchnorm,
    )
    return FineTuning(head, model.fit(x, y, epochs=epochs, **fit).history)


@dataclass(frozen=True)
class Regime:
    """Which way to transfer: `name` is "linear_probe" or "fine_tune", `reason` says why."""

    name: str
    reason: str
    images_per_class: float


def regime(n_images: int, classes: int) -> Regime:
    """Recommend one of the two regimes of transfer for a data set of this size.

    A rule of thumb, on the careful side: 50 images per class and more are fine-tuned. For
    images unlike those the backbone has seen `fine_tune` can pay with fewer; try both.

    Raises:
        ValueError: fewer than one class, or fewer images than classes.
    """
    if classes < 1 or n_images < classes:
        raise ValueError(
            "regime: there must be at least one class and one image of each. "
            f"Received: n_images={n_images}, classes={classes}."
        )
    each = n_images / classes
    if each < _ENOUGH:
        reason = (
            f"{each:.0f} images per class are too few to move millions of weights without "
            "fitting the noise: keep the pretrained features and train a new head on them."
        )
        return Regime("linear_probe", reason, each)
    reason = (
        f"{each:.0f} images per class are enough to adapt the features: train the head first, "
        "then the last blocks or all of them at a tenth of the rate."
    )
    return Regime("fine_tune", reason, each)


def _backbone(model: keras.Model) -> Any:
    for layer in getattr(model, "layers", []):
        if isinstance(layer, InferenceBody):
            return layer.body
    raise ValueError(
        f"unfreeze: {getattr(model, 'name', model)!r} was not made by linear_probe; it has no "
        "backbone inside."
    )


def _rate(optimizer: Any) -> Any:
    """The learning rate in an optimizer's configuration: a number, or a schedule's."""
    return getattr(optimizer, "inner_optimizer", optimizer).get_config()["learning_rate"]


def _recompile(model: Any, learning_rate: Any, rates: Mapping[str, float]) -> None:
    if not model.compiled:
        if rates:
            raise ValueError(f"unfreeze: compile {model.name} first to use layer_decay.")
        return
    config = model.get_compile_config()
    if learning_rate is None:
        rate = _rate(model.optimizer)
        if not isinstance(rate, numbers.Real):
            raise ValueError(
                "unfreeze: the optimizer follows a schedule; say learning_rate= for stage 2."
            )
        learning_rate = float(rate) / 10
    optimizer = with_rates(model.optimizer, rates, learning_rate)
    config["optimizer"] = keras.saving.serialize_keras_object(optimizer)
    model.compile_from_config(config)
