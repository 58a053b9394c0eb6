"""What plain and residual blocks share: their options, and the sum at the end."""

from typing import Any

from kcnn.layers._checks import one_of
from kcnn.layers._conv import ConvNormAct
from kcnn.layers._inverted_residual import divisible
from kcnn.layers._normed import BranchLayer
from kcnn.layers._shortcut import SHORTCUTS, make_shortcut
from kcnn.layers._typed import (
    Activation,
    BranchArguments,
    Norm,
    Padding,
    Shape,
    Shortcut,
    Unpack,
    registered,
)

__all__ = ["ResidualBlock"]


@registered
class ResidualBlock(BranchLayer):
    """A chain of `ConvNormAct`, the last of which adds the shortcut before its activation.

    Subclasses make their convolutions with `_conv` in `_chain` and say in `out_filters` how
    many channels come out. The arguments are explained at `BasicBlock`.
    """

    _ends_active = True  # whether the activation follows the sum

    def __init__(
        self,
        filters: int,
        *,
        strides: int = 1,
        norm: Norm = "batch",
        norm_kwargs: dict[str, Any] | None = None,
        activation: Activation = "relu",
        shortcut: Shortcut = "conv",
        zero_init_residual: bool = False,
        use_bias: bool | None = None,
        padding: Padding = "same",
        weight_standardization: bool = False,
        se_ratio: float = 0.0,
        **kwargs: Unpack[BranchArguments],
    ):
        super().__init__(norm=norm, norm_kwargs=norm_kwargs, activation=activation, **kwargs)
        who = f"{type(self).__name__} {self.name!r}"
        one_of(who, "shortcut", shortcut, SHORTCUTS)
        one_of(who, "padding", padding, ("same", "symmetric"))
        self.filters = filters
        self.strides = strides
        self.shortcut_kind = shortcut
        self.zero_init_residual = zero_init_residual
        self.use_bias = use_bias
        self.padding = padding
        self.weight_standardization = weight_standardization
        self.se_ratio = se_ratio
        self.branch: list[Any] = []
        self.shortcut: Any = None
        self.depth = self._drop_path()

    @property
    def out_filters(self) -> int:
        """Channels of the output."""
        return self.filters

    @property
    def _parts(self) -> dict[str, Any]:
        return {
            **super()._parts,
            "use_bias": self.use_bias,
            "padding": self.padding,
            "weight_standardization": self.weight_standardization,
        }

    def _chain(self) -> list[Any]:
        """The convolutions of the branch, made and kept as attributes."""
        raise NotImplementedError

    def _conv(
        self, name: str, filters: int, kernel_size: int = 3, *, last: bool = False, **options: Any
    ) -> ConvNormAct:
        """One `ConvNormAct`; the last one of a residual branch starts at zero if asked."""
        options = {**self._parts, "name": name, **options}
        if last and self.zero_init_residual:
            if options["norm"] == "none":
                options["kernel_initializer"] = "zeros"
            else:
                options["norm_kwargs"] = {**options["norm_kwargs"], "gamma_initializer": "zeros"}
        if last and not self._folds:
            options["activation"] = None  # it follows the sum
        return ConvNormAct(filters, kernel_size, **options)

    @property
    def _folds(self) -> bool:
        """Whether nothing stands between the last convolution and the sum."""
        return self.depth is None and not self.se_ratio

    def build(self, input_shape: Shape) -> None:
        self._build_branch(input_shape)
        self._build_shortcut(input_shape, **self._parts)

    def _build_shortcut(self, shape: Shape, **options: Any) -> None:
        channels: Any = shape[self.channel_axis]
        self.shortcut = make_shortcut(
            self.shortcut_kind, channels, self.out_filters, self.strides, **options
        )
        if self.shortcut is not None:
            self.shortcut.build(shape)

    def _build_branch(self, shape: Shape) -> None:
        self.branch = self._chain()
        for conv in self.branch:
            conv.build(shape)
            shape = conv.compute_output_shape(shape)
        if self.se_ratio:
            self.excite = self._excitation(divisible(self.out_filters * self.se_ratio))
            self.excite.build(shape)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        x = inputs
        for conv in self.branch[:-1]:
            x = conv(x)
        side = inputs if self.shortcut is None else self.shortcut(inputs)
        return self._end(x, side)

    def _end(self, x: Any, side: Any) -> Any:
        """The last convolution and what stands between it and the sum with `side`."""
        if self._folds:
            return self.branch[-1](x, residual=side)
        x = self.branch[-1](x)
        if self.excite is not None:
            x = self.excite(x)
        if self.depth is not None:
            x = self.depth(x)
        return self.activation(x + side) if self._ends_active else x + side

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return self.strided_shape(input_shape, self.strides, self.out_filters)
