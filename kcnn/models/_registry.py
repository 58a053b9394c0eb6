"""The names of the networks: each is a few numbers for one family's builder."""

import dataclasses
import fnmatch
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, ParamSpec

import keras

from kcnn.layers._checks import nearest
from kcnn.models._naming import Naming
from kcnn.models._options import Options

__all__ = ["Network", "find", "list_models", "model_options", "namings", "register_model"]

P = ParamSpec("P")

# What Keras and PyTorch users write -> what it is called here.
ELSEWHERE = {
    "weights": "pretrained= in create_model, or kcnn.models.load_weights for a file",
    "alpha": "width=",
    "num_classes": "classes=",
    "dropout_rate": "dropout=",
    "drop_rate": "dropout=",
    "drop_connect_rate": "drop_path=",
    "drop_path_rate": "drop_path=",
    "norm_layer": "norm=",
    "act_layer": "activation=",
    "include_preprocessing": "preprocess=, a layer of its own",
    "in_chans": "input_shape=, the channels last",
}


@dataclass(eq=False, repr=False)
class Network(Generic[P]):
    """A registered network: call it to build the model.

    Attributes:
        name: in the registry.
        build: the family's builder.
        options: the published options, an `Options` record or the family's own kind of it.
        numbers: the architecture, for the builder.
        source: the publication.
        names: what its tensors are called elsewhere.

    >>> kcnn.models.resnet20(classes=3).output_shape
    (None, 3)
    """

    name: str
    build: Callable[..., keras.Model]
    options: Options
    numbers: Mapping[str, Any]
    source: str
    names: Sequence[Naming] = ()

    def __post_init__(self) -> None:
        self.__name__ = self.name
        self.__doc__ = _documentation(self)
        self.__signature__ = _signature(self.options)

    def __repr__(self) -> str:
        return f"<kcnn network {self.name}>"

    def __call__(self, *args: P.args, **options: P.kwargs) -> keras.Model:
        changes: Any = options
        chosen = self.choose(*args, **changes)
        chosen.check(self.name)
        return self.build(chosen, name=self.name, **self.numbers)

    def choose(self, *classes: Any, **changes: Any) -> Options:
        """The published options with `changes`; None for classes, input_shape or norm is none.

        Raises:
            ValueError: for an option that the network has not (the nearest is named).
        """
        if classes:
            (changes["classes"],) = classes
        known = self.options.names()
        for key in changes:
            if key not in known:
                theirs = f" That is {ELSEWHERE[key]} here." if key in ELSEWHERE else ""
                raise ValueError(
                    f"{self.name}: unknown option {key!r}.{theirs or nearest(key, known)} "
                    f"It takes {', '.join(sorted(known))}."
                )
        for key in ("classes", "input_shape", "norm"):
            if changes.get(key) is None:
                changes.pop(key, None)
        if "input_shape" not in changes:
            layout = changes.get("data_format") or keras.config.image_data_format()
            if layout == "channels_first":
                height, width, channels = self.options.input_shape
                changes["input_shape"] = (channels, height, width)
        if changes.get("norm", self.options.norm) != self.options.norm:
            changes.setdefault("norm_kwargs", None)  # the published ones are the published norm's
        return dataclasses.replace(self.options, **changes)


_NETWORKS: dict[str, Network[...]] = {}


def register_model(
    name: str,
    build: Callable[..., keras.Model],
    options: Callable[P, Options],
    *,
    source: str = "",
    names: Sequence[Naming] = (),
    **numbers: Any,
) -> Network[P]:
    """Give a builder with these numbers a name, for `create_model` and everything after it.

    Args:
        name: not taken yet.
        build: makes the model from (options, *, name, **numbers).
        options: `kcnn.models.Options`, or a frozen dataclass derived from it with what the
            family lets its users choose besides.
        source: the publication.
        names: what `load_weights` finds its tensors by in published files.
        **numbers: those named as a field of `options` are the published values of these;
            the others go to `build`: they are the architecture and nobody's choice.

    Returns:
        The network: `network(classes=10)` is `create_model(name, classes=10)`.

    Raises:
        ValueError: the name is taken.

    >>> def linear(options, *, name):
    ...     inputs = keras.Input(options.input_shape)
    ...     logits = keras.layers.Dense(options.classes)(keras.layers.Flatten()(inputs))
    ...     return keras.Model(inputs, logits, name=name)
    >>> network = register_model("linear", linear, Options, input_shape=(8, 8, 3))
    >>> kcnn.create_model("linear", classes=4).output_shape
    (None, 4)
    """
    if name in _NETWORKS:
        raise ValueError(f"A model named {name!r} is registered already; choose another name.")
    record: Any = options
    published = {key: numbers.pop(key) for key in [*numbers] if key in record.names()}
    network: Network[P] = Network(name, build, record(**published), numbers, source, names)
    _NETWORKS[name] = network
    return network


def namings() -> list[Naming]:
    """The tables of every family, each once, in the order of the families."""
    every = [naming for network in _NETWORKS.values() for naming in network.names]
    return list(dict.fromkeys(every))


def list_models(pattern: str = "*") -> list[str]:
    """Names of the registered networks that match a shell pattern, sorted naturally.

    >>> list_models("vgg*")[:2]
    ['vgg11', 'vgg13']
    """
    return sorted(fnmatch.filter(_NETWORKS, pattern), key=_natural)


def model_options(name: str) -> tuple[str, ...]:
    """Names of the options that `create_model` takes for this network, sorted.

    >>> "stem" in model_options("resnet20")
    True
    """
    return tuple(sorted(find(name).options.names()))


def find(name: str) -> Network[...]:
    """The network registered as `name`; ValueError naming the nearest if there is none."""
    try:
        return _NETWORKS[name]
    except (KeyError, TypeError):
        hint = nearest(name, _NETWORKS)
        raise ValueError(
            f"create_model: there is no model {name!r}.{hint} list_models() names all of them."
        ) from None


def _signature(options: Options) -> inspect.Signature:
    """Every option with its published value as the default."""
    either, by_name = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY
    parameters = [
        inspect.Parameter(
            field.name,
            by_name if field.kw_only else either,
            default=getattr(options, field.name),
            annotation=field.type,
        )
        for field in dataclasses.fields(options)
    ]
    return inspect.Signature(parameters, return_annotation=keras.Model)


def _documentation(network: Network[...]) -> str:
    """The builder's docstring, and those of the options records from the general one down."""
    kinds = [cls for cls in type(network.options).__mro__ if issubclass(cls, Options)]
    parts = [
        f"{network.name}: {network.source}.",
        network.build.__doc__,
        *(cls.__doc__ for cls in reversed(kinds)),
    ]
    return "\n\n".join(inspect.cleandoc(part) for part in parts if part)


def _natural(name: str) -> tuple[str, list[int], str]:
    """Sort key that puts resnet20 before resnet110."""
    numbers = [int(digits) for digits in re.findall(r"\d+", name)]
    return re.sub(r"\d+", "", name), numbers, name
