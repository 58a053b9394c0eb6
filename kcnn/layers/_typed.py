"""What lets an editor, `inspect` and `get_config` see the arguments of a registered layer."""

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, TypedDict, TypeVar

import keras

if TYPE_CHECKING:
    from typing_extensions import Unpack
else:
    Unpack = dict  # Python 3.10 has none; only type checkers read it

__all__ = [
    "Activation",
    "BaseArguments",
    "BlockArguments",
    "BranchArguments",
    "ConfiguredLayer",
    "GroupedNormArguments",
    "ImageArguments",
    "Implementation",
    "Norm",
    "NormedArguments",
    "Padding",
    "Shape",
    "Shortcut",
    "Unpack",
    "registered",
]

Norm = str | type[keras.layers.Layer]
Activation = str | Callable[..., Any] | None
Padding = Literal["same", "symmetric", "valid"]
Shortcut = Literal["conv", "avgpool-conv", "identity-pad"]
Implementation = Literal["auto", "plain"]
Shape = tuple[int | None, ...]

C = TypeVar("C", bound=type)


class BaseArguments(TypedDict, total=False):
    """What every Keras layer takes."""

    name: str | None
    dtype: Any
    trainable: bool


class GroupedNormArguments(BaseArguments, total=False):
    """What `GroupNorm` and `InstanceNorm` share."""

    axis: int
    epsilon: float
    center: bool
    scale: bool
    activation: Activation
    beta_initializer: Any
    gamma_initializer: Any
    beta_regularizer: Any
    gamma_regularizer: Any
    beta_constraint: Any
    gamma_constraint: Any
    implementation: Implementation


class ImageArguments(BaseArguments, total=False):
    """What every layer of images takes."""

    data_format: str | None


class NormedArguments(ImageArguments, total=False):
    """What `NormedLayer` takes."""

    norm: Norm
    norm_kwargs: dict[str, Any] | None
    activation: Activation
    kernel_regularizer: Any


class BranchArguments(ImageArguments, total=False):
    """What every block with a residual branch takes, its normalization apart."""

    kernel_regularizer: Any
    drop_path: float
    seed: int | None


class BlockArguments(BranchArguments, total=False):
    """What the blocks of residual networks take, see `ResidualBlock`."""

    strides: int
    norm: Norm
    norm_kwargs: dict[str, Any] | None
    activation: Activation
    shortcut: Shortcut
    zero_init_residual: bool
    use_bias: bool | None
    padding: Padding
    weight_standardization: bool
    se_ratio: float


def registered(cls: C) -> C:
    """Register a layer with Keras under "kcnn>", and let `inspect.signature` see its arguments.

    Keras's own base class has a `__new__(cls, *args, **kwargs)`, which hides them.
    """
    cls.__signature__ = _Signature()  # type: ignore[attr-defined]
    of_all = inspect.signature(keras.layers.Layer.__init__).parameters
    own = [name for name in inspect.signature(cls).parameters if name not in of_all]
    cls._arguments = tuple(own)  # type: ignore[attr-defined]
    keras.saving.register_keras_serializable(package="kcnn")(cls)
    return cls


class _Signature:
    """The arguments of `__init__`; those it hands on by **kwargs are its parent's."""

    def __get__(self, instance: Any, owner: type) -> inspect.Signature:
        if instance is not None:
            raise AttributeError("__signature__")  # an instance is called, not constructed
        found: dict[str, inspect.Parameter] = {}
        rest: list[inspect.Parameter] = []
        kinds = [cls for cls in owner.__mro__ if "__init__" in vars(cls)]
        for cls in kinds:
            constructor: Callable[..., None] = vars(cls)["__init__"]
            parameters = list(inspect.signature(constructor).parameters.values())[1:]
            rest = [p for p in parameters if p.kind is p.VAR_KEYWORD]
            for parameter in parameters:
                if parameter.kind is not parameter.VAR_KEYWORD:
                    # What a child hands on by **kwargs can only be named.
                    kind = parameter.kind if cls is kinds[0] else inspect.Parameter.KEYWORD_ONLY
                    found.setdefault(parameter.name, parameter.replace(kind=kind))
            if not rest or cls.__module__.partition(".")[0] == "keras":
                break
        # sorted() keeps the order within a kind: positional, by name only, **kwargs.
        return inspect.Signature(sorted([*found.values(), *rest], key=lambda p: p.kind))


# Arguments that are kept under another name, where theirs is that of a sub-layer or a property.
_KEPT = {
    "norm": "norm_kind",
    "shortcut": "shortcut_kind",
    "dropout": "dropout_rate",
    "implementation": "_implementation",
}


class ConfiguredLayer(keras.layers.Layer):
    """A layer that keeps every argument of its constructor: they are its configuration.

    The shape of what comes in stays, unless a subclass says otherwise.
    """

    _arguments: tuple[str, ...]  # set by `registered`

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        kept = {name: getattr(self, _KEPT.get(name, name)) for name in self._arguments}
        return {**super().get_config(), **{name: _plain(value) for name, value in kept.items()}}


def _plain(value: Any) -> Any:
    """`value` as a saved configuration can hold it."""
    if isinstance(value, type):
        name = value.__name__
        own = getattr(keras.layers, name, None) is value
        return name if own else keras.saving.get_registered_name(value)
    if inspect.isfunction(value):
        return keras.activations.serialize(value)
    if value is None or isinstance(value, (str, int, float, dict)):
        return value
    return keras.saving.serialize_keras_object(value)
