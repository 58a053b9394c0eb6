import keras
import numpy as np

from kcnn.callbacks.data import even_rows
from kcnn.callbacks.doctor._registry import check, likely, parameter, possible
from kcnn.callbacks.doctor.interventions import AS_IT_IS, Intervention
from kcnn.callbacks.doctor.program.inputs import first_inputs, input_scale

UNIT = Intervention(unit_x=True)  # a loss without targets compares the inputs with themselves
ROWS = 1000  # that tell the size of the inputs


@check(
    "input_scale", "unnormalized_inputs", stage="data", cost="rows",
    cure=Intervention(scale_x=True),
)  # fmt: skip
def input_scale_check(
    context,
    *,
    size=parameter(8, "root mean square: Glorot kernels saturate what follows from about here"),
    column=parameter(30, "the same of one column"),
    uneven=parameter(30, "spreads of columns that one rate cannot serve"),
    offset=parameter(10, "spreads from zero: the first steps only learn the offset"),
    small=parameter(0.03, "inputs whose gradients are a thirtieth of the usual"),
):
    """Inputs of a size that training does not stand well, where the first kernel sees them."""
    sample = keras.tree.map_structure(lambda x: even_rows(x, ROWS), context.case.train.x)
    if isinstance(sample, np.ndarray):
        seen = [_received(context, sample)]
    else:
        seen = [leaf for leaf in keras.tree.flatten(sample) if leaf.dtype.kind == "f"]
    found = []
    for inside in seen:
        if inside is None or inside.dtype.kind not in "fiu" or not inside.size:
            continue
        scale, image = input_scale(inside), inside.ndim >= 4
        large = max(scale["rms"] / size, scale["largest_column"] / column)
        kind, strength = possible, 1.0
        if large > 1:
            kind, strength = likely, (0.1 * image + 0.12 * np.log10(large)) / 0.28
            words = f"inputs of size {scale['rms']:.3g} (up to {scale['largest']:.3g})"
        elif not image and scale["spread_ratio"] > uneven and scale["largest_column"] > 3:
            words = f"columns differ {scale['spread_ratio']:.3g} times in spread"
        elif not image and scale["offset"] > offset and scale["rms"] > 3:
            strength = 0.0
            words = f"a column lies {scale['offset']:.3g} spreads away from zero"
        elif 0 < scale["rms"] < small:
            words = f"inputs of size {scale['rms']:.2g}"
        else:
            continue
        how = "x / 255.0" if image else "a keras.layers.Normalization layer adapted to x"
        advice = f"Scale the inputs of training and validation alike, with {how}."
        expected = "mean about 0 and spread about 1"
        more = {
            "strength": strength,
            "evidence": scale,
            "cure": UNIT if context.by_loss else AS_IT_IS,
        }
        found.append(kind(words, expected, advice, "x", **more))
    yield from sorted(found, key=lambda one: (-one.certainty, -one.strength))[:1]


def _received(context, sample):
    try:
        return first_inputs(context.graph, sample)
    except Exception as error:  # a graph that cannot be cut open: judged on what goes in
        context.case.broke("reading what the first kernel receives", error, blind=False)
        return sample
