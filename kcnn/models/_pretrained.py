"""Networks with weights: of a card, by its name, or of a file."""

import functools
import importlib
import pkgutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kcnn.layers._checks import nearest
from kcnn.models import cards as _cards
from kcnn.models._card import WeightsCard
from kcnn.models._registry import Network, find
from kcnn.models._weight_files import build_from_file, top_names
from kcnn.models.weights import head_names, load_weights, read_tensors
from kcnn.preprocessing import Preprocessing

__all__ = ["build_pretrained", "register_weights", "weights_cards"]

_ADDED: list[WeightsCard] = []
_FILES = (".keras", ".h5", ".safetensors", ".npz", ".pt", ".pth", ".bin")


@functools.cache
def _found() -> tuple[WeightsCard, ...]:
    """The cards in the folder `cards`."""
    names = sorted(m.name for m in pkgutil.iter_modules(_cards.__path__) if m.name[0] != "_")
    modules = [importlib.import_module(f"{_cards.__name__}.{name}") for name in names]
    return tuple(card for module in modules for card in module.CARDS)


def weights_cards(network: str) -> tuple[WeightsCard, ...]:
    """The cards of a network, those of `register_weights` first."""
    return tuple(card for card in (*_ADDED, *_found()) if card.network == network)


def register_weights(card: WeightsCard) -> WeightsCard:
    """Make a card of your own known to `create_model(card.network, pretrained=card.name)`.

    Raises:
        ValueError: the network has a card of this name, or there is no such network.

    >>> from kcnn.models import Download, WeightsCard
    >>> file = Download("https://example.org/mine.npz")
    >>> settings = {"licence": "MIT", "source": "our own photographs"}
    >>> card = WeightsCard("resnet20", "mine", file, Preprocessing(32, scale=1 / 255), **settings)
    >>> register_weights(card) in kcnn.models.model_info("resnet20").pretrained
    True
    """
    find(card.network)
    if any(card.name == other.name for other in weights_cards(card.network)):
        raise ValueError(
            f"register_weights: {card.network} has weights named {card.name!r} already; choose "
            "another name."
        )
    _ADDED.append(card)
    return card


def build_pretrained(
    network: str, source: Any, classes: int | None, options: dict[str, Any]
) -> keras.Model:
    """`find(network)(classes, **options)` with the weights of `source` in it.

    A card also brings its preprocessing, unless the options have one, and its image size. A
    head for another number of classes than the weights' stays new.

    Raises:
        ValueError: no such card or file, a file that does not fit, an option that the weights
            cannot have.
        WeightsError: the card's file cannot be had.
    """
    entry = find(network)
    card = _card(network, source)
    if card is not None:
        return _of_card(entry, card, classes, options)
    path = Path(source).expanduser()
    if path.suffix == ".h5" and not path.name.endswith(".weights.h5") and path.is_file():
        return _of_card(entry, _published(network, path), classes, options, path)
    return build_from_file(entry, path, classes, options)


def _published(network: str, path: Path) -> WeightsCard:
    """The card for a file of keras.applications' that lies elsewhere."""
    for card in weights_cards(network):
        if card.application is not None:
            return card
    raise ValueError(
        f"{network}: {path} has the form of keras.applications' weights, which has no {network}; "
        "take a .keras or .weights.h5 file."
    )


def _card(network: str, source: Any) -> WeightsCard | None:
    """The card that `source` names, or None where it is a file."""
    known = {card.name: card for card in weights_cards(network)}
    if source is True and known:
        return next(iter(known.values()))
    if isinstance(source, str) and source in known:
        return known[source]
    is_file = not isinstance(source, str | bool) or (
        isinstance(source, str) and (Path(source).suffix in _FILES or Path(source).is_file())
    )
    if is_file:
        return None
    have = f"It has {', '.join(map(repr, known))}" if known else "It has none of its own"
    raise ValueError(
        f"{network}: there are no weights {source!r}.{nearest(source, known)} {have}; a path to "
        f"a file ({', '.join(_FILES)}) will do, too."
    )


def _of_card(
    entry: Network[...],
    card: WeightsCard,
    classes: int | None,
    options: dict[str, Any],
    path: Path | None = None,
) -> keras.Model:
    for key, value in card.options.items():
        if options.get(key, value) not in (value, None):
            raise ValueError(
                f"{entry.name}: the weights {card.name!r} need {key}={value!r}. "
                f"Received: {options[key]!r}; leave it out, or build without pretrained=."
            )
    options = {**options, **card.options}
    top = options.get("include_top", True)
    classes = card.classes if classes is None else classes
    preprocessing = _sized(card.preprocessing, options)
    if options.get("input_shape") is None and options.get("input_tensor") is None:
        height, width, channels = preprocessing.image_shape
        first = _layout(options) == "channels_first"
        options["input_shape"] = (channels, height, width) if first else (height, width, channels)
    if options.get("preprocess") is None:
        options["preprocess"] = preprocessing.layer(
            data_format=_layout(options), name="preprocessing"
        )
    file = card.file if top or card.file_without_top is None else card.file_without_top
    maybe_whole = path is not None or file is card.file
    path = path or file.path()  # first: it may not be had
    model = entry(classes, **options)
    source = _tensors_of(card, path)
    left = [*card.skip]
    if not top and maybe_whole:
        left += top_names(entry, options, source)
    elif top and classes != card.classes:
        left += head_names(model, "keras" if card.application else None)
    load_weights(model, source, naming="keras" if card.application else None, skip=left)
    if card.bgr:
        kernel = next(w for w in model.weights if len(w.shape) == 4)
        kernel.assign(np.asarray(kernel)[:, :, ::-1])
    return model


def _layout(options: Mapping[str, Any]) -> str:
    return str(options.get("data_format") or keras.config.image_data_format())


def _sized(preprocessing: Preprocessing, options: Mapping[str, Any]) -> Preprocessing:
    """With the size of the images that come in, where that is said and fixed."""
    tensor, shape = options.get("input_tensor"), options.get("input_shape")
    shape = tensor.shape[1:] if tensor is not None else shape
    if shape is None:
        return preprocessing
    size = tuple(shape[1:] if _layout(options) == "channels_first" else shape[:2])
    return preprocessing if None in size else preprocessing.replace(size=size)


def _tensors_of(card: WeightsCard, path: Path) -> Any:
    """What `load_weights` takes from: a network of keras.applications, or tensors by name."""
    return read_tensors(path) if card.application is None else _application(card, path)


def _application(card: WeightsCard, path: Path) -> keras.Model:
    """The network of keras.applications with the weights of one of its files."""
    build = getattr(keras.applications, str(card.application))
    height, width, channels = card.preprocessing.image_shape
    first = keras.config.image_data_format() == "channels_first"
    shape = (channels, height, width) if first else (height, width, channels)
    top = not path.stem.endswith(("notop", "no_top", "no_top_v2"))
    try:
        return build(weights=str(path), include_top=top, input_shape=shape)
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(
            f"{path} is no file of weights of keras.applications.{card.application}: {error}"
        ) from error
