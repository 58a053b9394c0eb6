"""What lets an editor and `inspect` see the arguments of a registered layer."""

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, TypedDict, TypeVar

import keras

if TYPE_CHECKING:
    from typing_extensions import Unpack as Unpack

__all__ = [
    "Activation",
    "BaseArguments",
    "BlockArguments",
    "GroupedNormArguments",
    "Implementation",
    "Norm",
    "Padding",
    "Shape",
    "Shortcut",
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


class BlockArguments(BaseArguments, total=False):
    """What every block takes, see `ResidualBlock`."""

    strides: int
    norm: Norm
    norm_kwargs: dict[str, Any] | None
    activation: Activation
    shortcut: Shortcut
    zero_init_residual: bool
    drop_path: float
    use_bias: bool | None
    padding: Padding
    data_format: str | None
    kernel_regularizer: Any
    weight_standardization: bool
    se_ratio: float
    seed: int | None


def registered(cls: C) -> C:
    """Register a layer with Keras under "kcnn>", and let `inspect.signature` see its arguments.

    Keras's own base class has a `__new__(cls, *args, **kwargs)`, which hides them.
    """
    cls.__signature__ = _Signature()  # type: ignore[attr-defined]
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
