"""Networks with the weights of a file: Keras's own kinds, or tensors by name."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kcnn.models._memory import without_memory
from kcnn.models._registry import Network
from kcnn.models.weights import fill, head_names, load_weights, named_tensors, tensor_names
from kcnn.preprocessing import Preprocessing

__all__ = ["build_from_file", "top_names"]


def build_from_file(
    entry: Network[...], path: Path, classes: int | None, options: dict[str, Any]
) -> keras.Model:
    """The network with the weights of a `.keras`, `.weights.h5`, `.safetensors`, ... file.

    Without `classes` it has the file's; with another number its head stays new.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file cannot be read, or does not fit the network.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{entry.name}: there is no file {path} to take weights from.")
    if path.suffix == ".keras":
        return _from_model(entry, path, classes, options)
    if path.name.endswith(".weights.h5"):
        return _from_weights(entry, path, classes, options)
    label, tensors = named_tensors(path)
    model = entry(classes, **options)
    head = [name for name in head_names(model) if name in tensors]
    count = int(tensors[head[-1]].shape[0]) if head else None
    if classes is None and count not in (None, entry.options.classes):
        model = entry(count, **options)
    if not options.get("include_top", True):
        head = top_names(entry, options, tensors)
    elif not head or model.get_layer("logits").units == count:
        head = []
    fill(model, label, tensors, skip=head)
    return model


def top_names(entry: Network[...], options: Mapping[str, Any], source: Any) -> list[str]:
    """What the tensors are called that the whole network has and the one without its top not."""
    chosen = {**options, "preprocess": None, "include_top": True}
    whole, body = without_memory(
        lambda: (entry(**chosen), entry(**{**chosen, "include_top": False}))
    )
    return sorted(set(tensor_names(whole, source)) - set(tensor_names(body, source)))


def _from_model(
    entry: Network[...], path: Path, classes: int | None, options: dict[str, Any]
) -> keras.Model:
    """A saved model brings its preprocessing and the shape of its images, too."""
    try:
        source = keras.saving.load_model(path, compile=False)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ValueError(
            f"{entry.name}: {path} cannot be read as a Keras model: {error}"
        ) from error
    count = source.output_shape[-1] if len(source.output_shape) == 2 else None
    if options.get("input_shape") is None and options.get("input_tensor") is None:
        options["input_shape"] = tuple(source.input_shape[1:])
    if options.get("preprocess") is None and (found := Preprocessing.of(source)) is not None:
        options["preprocess"] = found.layer(
            data_format=options.get("data_format"), name="preprocessing"
        )
    model = entry(count if classes is None else classes, **options)
    _copy(entry.name, model, source, label=str(path))
    return model


def _from_weights(
    entry: Network[...], path: Path, classes: int | None, options: dict[str, Any]
) -> keras.Model:
    """Keras keeps no names in this kind of file, so a network of the file's own form reads it."""
    count = _classes_in(entry.name, path)
    own = dict(options) if count else {**options, "include_top": False}
    source = entry(count, **own)
    try:
        source.load_weights(path)
    except (ValueError, KeyError) as error:
        raise ValueError(
            f"{entry.name}: {path} does not fit; build the network as the file's was (norm, width, "
            f"stem, use_bias): {str(error).partition('. ')[0]}."
        ) from error
    if source.output_shape[-1] == (count if classes is None else classes):
        return source
    model = entry(count if classes is None else classes, **options)
    _copy(entry.name, model, source, label=str(path))
    return model


def _classes_in(network: str, path: Path) -> int | None:
    """Units of the last dense layer of a `.weights.h5` file; None where it holds none."""
    import h5py

    try:
        with h5py.File(path) as file:
            matches = (re.fullmatch(r"dense_?(\d*)", name) for name in file.get("layers", {}))
            found = [(int(match[1] or 0), match[0]) for match in matches if match]
            return int(file[f"layers/{max(found)[1]}/vars/1"].shape[0]) if found else None
    except (OSError, KeyError) as error:
        raise ValueError(
            f"{network}: {path} cannot be read as a .weights.h5 file: {error}"
        ) from error


def _copy(network: str, model: keras.Model, source: Any, *, label: str) -> None:
    """Every weight of `model` from the one of `source` at the same path, but for a new head."""
    have = {weight.path: weight for weight in source.weights}
    head: list[Any] = []
    if model.output_shape != source.output_shape:
        head = [w.path for layer in model.layers if layer.name == "logits" for w in layer.weights]
    wanted = [weight for weight in model.weights if weight.path not in head]
    wrong = [
        weight.path
        for weight in wanted
        if weight.path not in have or have[weight.path].shape != weight.shape
    ]
    if len(wrong) == len(wanted):  # not made by kcnn: by the names of keras.applications then
        names = head_names(model, "keras") if head else []
        load_weights(model, source, naming="keras", skip=names)
        return
    if wrong:
        raise ValueError(
            f"{network}: {label} does not fit: {len(wrong)} weights are missing or of another "
            f"shape ({', '.join(wrong[:3])}{', ...' if len(wrong) > 3 else ''}). Nothing was "
            "loaded; build the network as the file's was (norm, width, stem, use_bias)."
        )
    for weight in wanted:
        weight.assign(np.asarray(have[weight.path]))
