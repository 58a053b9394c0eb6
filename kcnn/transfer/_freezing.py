"""A backbone that learns, or no longer, and at which rate."""

import numbers
from typing import Any

import keras

from kcnn.transfer._heads import backbone_of

__all__ = ["compile_anew", "learning_rate_of", "unfreeze"]


def unfreeze(model: keras.Model, *, learning_rate: Any = None) -> keras.Model:
    """Begin stage 2: let the whole backbone learn, slowly; the model is compiled anew.

    Every BatchNorm's statistics stay; its scale and shift learn. To freeze it all again, set
    `trainable` of the backbone you gave to False and compile.

    Args:
        model: from `linear_probe`; if compiled, its loss, metrics and optimizer settings
            stay and the optimizer starts afresh. Otherwise compile it yourself.
        learning_rate: of stage 2, a number or a schedule; a tenth of stage 1's if left out.

    Returns:
        The same model.

    Raises:
        ValueError: not a model of `linear_probe`.

    >>> body = kcnn.create_model("resnet8", classes=10, input_shape=(8, 8, 3))
    >>> probe = kcnn.transfer.linear_probe(body, 10)
    >>> len(probe.trainable_weights), len(kcnn.transfer.unfreeze(probe).trainable_weights)
    (2, 23)
    """
    body: Any = backbone_of(model, "unfreeze")
    body.trainable = False  # or setting True where it is True already stops at the outermost
    body.trainable = True
    if not model.compiled:
        return model
    if learning_rate is None:
        rate = learning_rate_of(model.optimizer)
        if not isinstance(rate, numbers.Real):
            raise ValueError(
                "unfreeze: the optimizer follows a schedule; say learning_rate= for stage 2."
            )
        learning_rate = float(rate) / 10
    compile_anew(model, model, learning_rate)
    return model


def learning_rate_of(optimizer: Any) -> Any:
    """The learning rate in an optimizer's configuration: a number, or a schedule's."""
    return getattr(optimizer, "inner_optimizer", optimizer).get_config()["learning_rate"]


def compile_anew(model: Any, like: Any, learning_rate: Any) -> None:
    """Compile `model` as `like` is, with a fresh optimizer at this rate."""
    optimizer = getattr(like.optimizer, "inner_optimizer", like.optimizer)
    fresh = type(optimizer).from_config({**optimizer.get_config(), "learning_rate": learning_rate})
    config = {**like.get_compile_config(), "optimizer": keras.saving.serialize_keras_object(fresh)}
    model.compile_from_config(config)
