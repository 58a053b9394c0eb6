"""What Keras does not tell in public of models: layers, graphs, what `compile` was given."""

import contextlib
from collections.abc import Iterator
from typing import Any

import keras

__all__ = [
    "arguments_of", "calls_of", "draws_random_numbers", "followers_of", "functional_of",
    "graph_links", "layers_of", "loss_weights_of", "metrics_given_to", "operations_of", "origin_of",
    "stored_kernel_of",
]  # fmt: skip


def layers_of(model: keras.Model) -> list[Any]:
    """The model and all layers in it, those inside of layers too.

    Without Keras's own walk: nested models opened, layers inside of other layers not.
    """
    walk = getattr(model, "_flatten_layers", None)
    if walk is not None:
        return list(walk())
    found = [model]
    for layer in getattr(model, "layers", ()):
        found += layers_of(layer)
    return found


def loss_weights_of(model: keras.Model) -> Any:
    """`loss_weights` as given to `compile`; None where there are none, or nothing tells."""
    return getattr(getattr(model, "_compile_loss", None), "_user_loss_weights", None)


def draws_random_numbers(layer: Any) -> bool:
    """Whether a layer has a seed generator of its own; False where nothing tells."""
    return bool(getattr(layer, "_seed_generators", None))


def functional_of(model: Any) -> keras.Model | None:
    """The Functional model behind a Functional or built Sequential one; None for others."""
    if isinstance(model, keras.Sequential):
        return getattr(model, "_functional", None)
    inputs = getattr(model, "_inputs_struct", None)
    return model if isinstance(model, keras.Model) and inputs is not None else None


def calls_of(layer: Any) -> list[Any]:
    """The places in graphs where a layer was called; none where nothing tells."""
    return list(getattr(layer, "_inbound_nodes", ()))


@contextlib.contextmanager
def graph_links(model: keras.Model) -> Iterator[None]:
    """What is traced through the model's layers inside is forgotten at the end."""
    links = [
        (nodes, len(nodes))
        for layer in layers_of(model)
        for name in ("_inbound_nodes", "_outbound_nodes")
        if (nodes := getattr(layer, name, None)) is not None
    ]
    try:
        yield
    finally:
        for nodes, count in links:
            del nodes[count:]


def operations_of(model: Any) -> list[Any]:
    """Layers and other operations of a Functional model, in order; none of others."""
    return list(getattr(model, "_operations", ()))


def followers_of(layer: Any) -> list[Any]:
    """Operations that take a layer's output in the graphs it stands in."""
    nodes = getattr(layer, "_outbound_nodes", ())
    return [node.operation for node in nodes if node.operation is not layer]


def origin_of(tensor: Any) -> tuple[Any, list[Any], int] | None:
    """What made a symbolic tensor: the operation, what it took, and which of its outputs it is.

    None for other tensors.
    """
    history = getattr(tensor, "_keras_history", None)
    if history is None:
        return None
    call = calls_of(history.operation)[history.node_index]
    return history.operation, list(call.input_tensors), history.tensor_index


def stored_kernel_of(layer: Any) -> Any:
    """The variable behind a `kernel` that is computed (quantized, low-rank), or `kernel` itself."""
    kernel = getattr(layer, "_kernel", None)
    return getattr(layer, "kernel", None) if kernel is None else kernel


def arguments_of(layer: Any) -> dict[str, Any] | None:
    """The arguments a layer without a `get_config` of its own was made with, where known."""
    return getattr(getattr(layer, "_auto_config", None), "config", None)


def metrics_given_to(model: keras.Model) -> list[Any]:
    """`metrics` and `weighted_metrics` as given to `compile`, flat; none where nothing tells."""
    compiled = getattr(model, "_compile_metrics", None)
    given = (
        getattr(compiled, "_user_metrics", None),
        getattr(compiled, "_user_weighted_metrics", None),
    )
    return [one for one in keras.tree.flatten([part or [] for part in given]) if one is not None]
