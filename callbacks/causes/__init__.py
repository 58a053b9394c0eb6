"""Why networks do not train: every label of a diagnosis, with how it shows and how it is mended.

Imports nothing outside of this folder, so that `kcnn explain` answers at once.
"""

import sys
from pathlib import Path

from ._cause import Cause

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["CAUSES", "Cause", "overview"]

_TABLES = tomllib.loads(Path(__file__).with_name("causes.toml").read_text(encoding="utf-8"))
CAUSES = {label: Cause(label=label, **table) for label, table in _TABLES.items()}

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
    """All causes, by family, as the path to follow when a network does not train.

    >>> overview().splitlines()[0]
    '# My network does not train'
    """
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
