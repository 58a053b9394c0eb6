"""Which blocks of a frozen backbone learn, at which rate."""

import numbers
from collections.abc import Mapping
from typing import Any

import keras

from kcnn.layers._checks import one_of
from kcnn.transfer._blocks import Block, blocks_of
from kcnn.transfer._heads import backbone_of
from kcnn.transfer._rates import with_rates

__all__ = ["learning_rate_of", "unfreeze"]


def unfreeze(
    model: keras.Model,
    *,
    blocks: int | str = "all",
    learning_rate: Any = None,
    layer_decay: float = 1.0,
    batchnorm: str = "inference",
) -> keras.Model:
    """Begin stage 2: let the last blocks of the backbone learn, slowly; compiled anew.

    Called again with more `blocks` each time, it unfreezes gradually.

    Args:
        model: from `linear_probe`; if compiled, its loss, metrics and optimizer settings
            stay and the optimizer starts afresh. Otherwise compile it yourself.
        blocks: how many of the last blocks learn, or "all"; 0 freezes all of them again.
        learning_rate: of stage 2, a number or a schedule; a tenth of stage 1's if left out.
        layer_decay: each block learns with this share of the rate of the block after it,
            the head with the full rate (arXiv:1801.06146, section 3.1). 1: all the same.
            It holds the early blocks back, which pays with very few images alone: in
            benchmarks/transfer.py 0.8 gains with 2 per class and costs with 10.
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
    body: Any = backbone_of(model, "unfreeze")
    groups = blocks_of(body)
    if blocks != "all" and not (isinstance(blocks, int) and 0 <= blocks <= len(groups)):
        raise ValueError(
            f"unfreeze: blocks must be 'all' or from 0 to {len(groups)}, as many as "
            f"{model.name}'s backbone has. Received: {blocks!r}."
        )
    learning = len(groups) if blocks == "all" else int(blocks)
    body.trainable = False  # or setting True where it is True already stops at the outermost
    body.trainable = True
    for group in groups[: len(groups) - learning]:
        for layer in group:
            layer.trainable = False
    if batchnorm == "frozen":
        for layer in body._flatten_layers(include_self=False):
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.trainable = False
    _recompile(model, learning_rate, _shares(groups, layer_decay))
    return model


def learning_rate_of(optimizer: Any) -> Any:
    """The learning rate in an optimizer's configuration: a number, or a schedule's."""
    return getattr(optimizer, "inner_optimizer", optimizer).get_config()["learning_rate"]


def _shares(groups: list[Block], layer_decay: float) -> dict[str, float]:
    """The share of the learning rate by the path of each weight that learns."""
    if layer_decay == 1:
        return {}
    return {
        weight.path: layer_decay**distance
        for distance, group in enumerate(reversed(groups), 1)
        for layer in group
        for weight in layer.trainable_weights
    }


def _recompile(model: Any, learning_rate: Any, shares: Mapping[str, float]) -> None:
    if not model.compiled:
        if shares:
            raise ValueError(f"unfreeze: compile {model.name} first to use layer_decay.")
        return
    config = model.get_compile_config()
    if learning_rate is None:
        rate = learning_rate_of(model.optimizer)
        if not isinstance(rate, numbers.Real):
            raise ValueError(
                "unfreeze: the optimizer follows a schedule; say learning_rate= for stage 2."
            )
        learning_rate = float(rate) / 10
    optimizer = with_rates(model.optimizer, shares, learning_rate)
    config["optimizer"] = keras.saving.serialize_keras_object(optimizer)
    model.compile_from_config(config)
