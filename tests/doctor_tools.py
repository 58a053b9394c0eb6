"""What tests of the doctor share."""

from kcnn.callbacks.data import draw
from kcnn.callbacks.doctor._context import read_context
from kcnn.callbacks.keras_internals import graph_links


def found(model, x, y, **fit):
    """What the checks of the set-up find in a program."""
    with graph_links(model):
        context = read_context(model, draw(x, y, fit))
        return list(context.hypotheses("static", "data", "start"))
