"""What MobileNets and EfficientNets share: the rule of their widths, their rows, their blocks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from kcnn.layers import InvertedResidual
from kcnn.layers._inverted_residual import divisible
from kcnn.models import _parts
from kcnn.models._options import Options

__all__ = ["SMALLEST", "MobileOptions", "Row", "blocks", "divisible"]

SMALLEST = 32  # pixels; every one of these networks shrinks the image 32-fold


@dataclass(frozen=True, kw_only=True)
class MobileOptions(Options):
    """Networks of inverted residuals. Filters are multiples of 8 at every `width`.

    Attributes:
        drop_path: rate of stochastic depth at the last block, growing from 0.
    """

    drop_path: float = 0.0

    def scaled(self, filters: float) -> int:
        """`filters * width` by the rule of these families."""
        return divisible(filters * self.width)


class Row(NamedTuple):
    """One stage: `depth` blocks of `filters` channels, the first of which has the stride.

    `fused` and `activation` are those of `InvertedResidual`; `excite` is the share of the
    channels that squeeze-and-excitation has inside: of the block's input, or in MobileNetV3 of
    its expanded channels.
    """

    depth: int
    filters: int
    kernel_size: int
    strides: int
    expansion: float
    excite: float = 0.0
    fused: bool = False
    activation: str | None = None


def blocks(
    x: Any,
    rows: Sequence[Row],
    options: MobileOptions,
    *,
    excited: Callable[[Row, int], int] = lambda row, channels: 0,
    **common: Any,
) -> Any:
    """The stages; `excited(row, channels of the input)` gives the filters of the excitation."""
    rates = iter(_parts.drop_rates(options.drop_path, sum(row.depth for row in rows)))
    for i, row in enumerate(rows, 1):
        for j in range(1, row.depth + 1):
            chosen = {**options.normed, **common}
            if row.activation is not None:
                chosen["activation"] = row.activation
            x = InvertedResidual(
                options.scaled(row.filters),
                kernel_size=row.kernel_size,
                strides=row.strides if j == 1 else 1,
                expansion=row.expansion,
                fused=row.fused,
                excite_filters=excited(row, options.channels(x)) if row.excite else 0,
                drop_path=next(rates),
                name=f"stage_{i}_block_{j}",
                **chosen,
            )(x)
    return x
