"""Why networks do not train: every label of a diagnosis, with how it shows and how it is mended.

Imports nothing outside of this folder, so that `kcnn explain` answers at once.
"""

from ._body import CAUSES as _BODY
from ._cause import Cause
from ._data import CAUSES as _DATA
from ._head import CAUSES as _HEAD
from ._training import CAUSES as _TRAINING

__all__ = ["CAUSES", "Cause", "overview"]

CAUSES: dict[str, Cause] = {cause.label: cause for cause in (*_HEAD, *_BODY, *_TRAINING, *_DATA)}

# The order in which to look when a network does not train: what is quick to check comes first.
FAMILIES = {
    "data": "Look at the data: print one batch, its smallest and largest value, and a few images.",
    "labels": "Look at the labels: their form, their range, and 20 images with their labels.",
    "head": "Look at the end: the first loss must be that of guessing, log(classes).",
    "optimizer": "Learn 50 images by heart, then try rates from 1e-1 to 1e-5 for 100 steps each.",
    "body": "Look inside: sizes of activations and gradients from layer to layer.",
    "protocol": "Read the curves of training and validation together.",
}


def overview() -> str:
    """All causes, by family, as the path to follow when a network does not train."""
    lines = ["# My network does not train", ""]
    lines += ["`kcnn doctor train.py` walks this path by itself. By hand, in this order:", ""]
    for number, (family, first) in enumerate(FAMILIES.items(), 1):
        lines += [f"{number}. **{family}**. {first}", ""]
        lines += [
            f"    - `{cause.label}`: {cause.meaning}"
            for cause in CAUSES.values()
            if cause.family == family
        ]
        lines.append("")
    return "\n".join(lines)
