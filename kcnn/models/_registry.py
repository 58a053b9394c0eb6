"""The names of the networks: each entry is a few numbers for one family's builder."""

import difflib
import fnmatch
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras

_ENTRIES: dict[str, "Entry"] = {}


@dataclass(frozen=True)
class Entry:
    """One registered network: the numbers that make its family's builder build it.

    `numbers` are the published arguments, `options` what a user may choose,
    `input_shape` (height, width, channels) and `classes` the published ones,
    `source` the publication.
    """

    name: str
    family: Callable[..., keras.Model]
    numbers: Mapping[str, Any]
    options: tuple[str, ...]
    input_shape: tuple[int, int, int]
    classes: int
    source: str

    def __call__(
        self,
        classes: int | None = None,
        *,
        input_shape: tuple[int | None, ...] | None = None,
        name: str | None = None,
        **options: Any,
    ) -> keras.Model:
        """Build the network; see `create_model` for the arguments."""
        for key in options:
            if key not in self.options:
                raise ValueError(
                    f"{self.name}: unknown option {key!r}.{nearest(key, self.options)} "
                    f"It takes {', '.join(self.options)}."
                )
        if input_shape is None:
            height, width, channels = self.input_shape
            first = (
                options.get("data_format") or keras.config.image_data_format()
            ) == "channels_first"
            input_shape = (channels, height, width) if first else self.input_shape
        return self.family(
            classes=self.classes if classes is None else classes,
            input_shape=input_shape,
            name=name or self.name,
            **{**self.numbers, **options},
        )


def register(
    name: str,
    family: Callable[..., keras.Model],
    *,
    source: str,
    input_shape: tuple[int, int, int] = (224, 224, 3),
    classes: int = 1000,
    **numbers: Any,
) -> Entry:
    """Give a family's builder with these numbers a name; ValueError if it is taken.

    The builder's keyword arguments that have a default are the options a user
    may choose; those without one are the architecture and stay as registered.
    """
    if name in _ENTRIES:
        raise ValueError(f"A model named {name!r} is registered already; choose another name.")
    parameters = inspect.signature(family).parameters.values()
    options = tuple(sorted(p.name for p in parameters if p.default is not p.empty))
    _ENTRIES[name] = Entry(name, family, numbers, options, input_shape, classes, source)
    return _ENTRIES[name]


def create_model(
    name: str,
    *,
    classes: int | None = None,
    input_shape: tuple[int | None, int | None, int] | None = None,
    norm: Any = None,
    width: float = 1.0,
    preprocess: keras.layers.Layer | None = None,
    **options: Any,
) -> keras.Model:
    """Build the network registered as `name`; its output is logits in float32.

    Args:
        name: one of `list_models()`.
        classes: number of classes; the published number if left out.
        input_shape: (height, width, channels), height and width may be None
            for a free image size; (channels, height, width) with
            `data_format="channels_first"`. The published shape if left out.
        norm: "batch", "layer", "instance", "group", "none" or a layer class;
            the published one if left out.
        width: multiplies every number of filters.
        preprocess: a layer put right after the input, for example a
            `keras.layers.Normalization`.
        **options: what the family takes besides (`activation`, `dropout`,
            `stem`, `include_top`, `pooling`, `data_format`, ...); a wrong one
            is answered with the list.

    Raises:
        ValueError: unknown name, option or norm (the nearest is named),
            `classes` below 1, or images too small for the downsampling.
    """
    entry = find(name)
    if norm is not None:
        options["norm"] = norm
    return entry(classes, input_shape=input_shape, width=width, preprocess=preprocess, **options)


def list_models(pattern: str = "*") -> list[str]:
    """Names of the registered networks that match a shell pattern, sorted naturally."""
    return sorted(fnmatch.filter(_ENTRIES, pattern), key=_natural)


def model_options(name: str) -> tuple[str, ...]:
    """Names of the options that `create_model` takes for this network."""
    return find(name).options


def find(name: str) -> Entry:
    """The entry registered as `name`; ValueError naming the nearest if there is none."""
    try:
        return _ENTRIES[name]
    except (KeyError, TypeError):
        hint = nearest(name, _ENTRIES)
        raise ValueError(
            f"create_model: there is no model {name!r}.{hint} list_models() names all of them."
        ) from None


def nearest(word: object, words: Any) -> str:
    """' Did you mean 'x'?', or nothing when no word comes close."""
    word = str(word).lower()
    close = difflib.get_close_matches(word, [str(w) for w in words], 5, 0.5)
    if not close:
        return ""

    def likeness(other: str) -> tuple[float, int]:
        match = difflib.SequenceMatcher(None, other, word)
        return match.ratio(), match.get_matching_blocks()[0].size

    return f" Did you mean {max(close, key=likeness)!r}?"


def _natural(name: str) -> tuple[str, list[int], str]:
    """Sort key that puts resnet20 before resnet110."""
    numbers = [int(digits) for digits in re.findall(r"\d+", name)]
    return re.sub(r"\d+", "", name), numbers, name
