import numpy as np

from kcnn.callbacks.doctor._registry import check, proven
from kcnn.callbacks.doctor.program.graph import is_norm


@check("small_groups", "bad_normalization", stage="static")
def small_groups(context):
    """Normalization of groups of one value, whose output is constant."""
    for layer in context.layers:
        if is_norm(layer) and _values_in_a_group(layer) == 1:
            yield proven(
                f"{layer.name} normalises groups of one value: its output is constant",
                "several values in a group", "Use fewer groups, or BatchNormalization there.",
                layer.name,
            )  # fmt: skip
            return


def _values_in_a_group(layer):
    shape = getattr(getattr(layer, "input", None), "shape", None)
    if shape is None or None in shape[1:]:
        return None
    kind, axis = type(layer).__name__, getattr(layer, "axis", -1)
    if kind in ("GroupNormalization", "GroupNorm", "InstanceNorm"):
        axis = axis if isinstance(axis, int) else axis[0]
        channels = shape[axis]
        groups = channels if kind == "InstanceNorm" else getattr(layer, "groups", 32)
        return int(np.prod(shape[1:])) // int(channels if groups == -1 else groups)
    if kind == "LayerNormalization":
        axes = [axis] if isinstance(axis, int) else list(axis)
        return int(np.prod([shape[a] for a in axes]))
    return None
