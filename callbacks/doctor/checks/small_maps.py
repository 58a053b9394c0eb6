import numpy as np

from kcnn.callbacks.doctor._registry import check, likely, parameter, possible
from kcnn.callbacks.doctor.interventions.network import unstrided

ADVICE = "Use fewer strides or poolings so that the maps do not shrink to nothing."


@check("small_maps", "insufficient_capacity", stage="static", needs=("graph",), cure=unstrided)
def small_maps(
    context,
    *,
    places=parameter(4, "positions left of an image: a 2x2 map"),
    image=parameter(36, "positions of an image that has some to lose: 6x6"),
):
    """Maps of which strides and poolings leave a few places."""
    for layer in [v for v in context.kernels if len(_shape(v, "output")) == 4][1:]:
        before = _shape(layer, "input")
        axes = (2, 3) if layer.data_format == "channels_first" else (1, 2)
        size = [before[axis] for axis in axes]
        if None not in size and max(size) <= 1 and max(layer.kernel_size) > 1:
            seen = f"the map is down to 1x1 before {layer.name}"
            yield likely(seen, "several positions left for it", ADVICE, layer.name)
            return
    entry = getattr(context.graph, "input_shape", None)
    if not isinstance(entry, tuple) or len(entry) != 4 or None in entry[1:]:
        return
    maps = [(_shape(layer, "output"), layer) for layer in context.layers]
    maps = [(shape, layer) for shape, layer in maps if len(shape) == 4]
    if not maps or None in maps[-1][0][1:]:
        return
    shape, layer = maps[-1]
    left = int(np.prod(shape[1:-1]))
    if left <= places and int(np.prod(entry[1:-1])) >= image:
        seen = f"the map is down to {shape[1]}x{shape[2]} after {layer.name}"
        expected = "several positions left for the last layers"
        yield possible(seen, expected, ADVICE, layer.name, strength=float(left == 1))


def _shape(layer, end):
    return getattr(getattr(layer, end, None), "shape", ())
