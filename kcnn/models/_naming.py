"""How a publisher calls the tensors of a family's networks: a table beside each family."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["NAMINGS", "Naming"]

NAMINGS = ("torchvision", "timm", "efficientnet_pytorch", "keras")


@dataclass(frozen=True, eq=False)  # a table is itself alone
class Naming:
    """Our layers and what they are called elsewhere.

    Attributes:
        kind: "keras" (keras.applications: names like "conv1_conv/kernel", kernels as here), or
            one of the others: names like "conv1.weight", kernels as PyTorch has them.
        layers: our layer -> theirs, or a function that makes the table for a model. Ours is
            the path inside the model, "stem.conv"; in a stage's blocks "block.preact" and
            "block.conv_{k}.norm", in VGG's convolutions "conv.norm". A row for one block
            alone has its full name, "stage_1_block_1.project.conv", and one for one weight
            ends in it, "block.scale/gamma": that is the whole name there, too. Theirs may
            hold {i} and {j}, the numbers of stage and block from 1, {i0} and {j0} from 0,
            {i1} the stage from 2, {k} the convolution in a block, {n} the block of all
            stages from 0, {letter} the block from a.
        shaped: our layer -> how its kernel lies there where that is not as here:
            "pointwise" for a dense layer that is a 1x1 convolution there, "grouped" for a
            depthwise convolution that is a grouped one there.

    >>> Naming("torchvision", {"logits": "fc"}).table(None)["logits"]
    'fc'
    """

    kind: str
    layers: Mapping[str, str] | Callable[[Any], Mapping[str, str]]
    shaped: Mapping[str, str] = field(default_factory=dict)

    def table(self, model: Any) -> Mapping[str, str]:
        """The rows for a model."""
        return self.layers(model) if callable(self.layers) else self.layers
