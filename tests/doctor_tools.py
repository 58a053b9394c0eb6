"""What tests of the doctor share."""

from kcnn.callbacks.data import draw
from kcnn.callbacks.doctor._ranking import in_order
from kcnn.callbacks.doctor._reading import read_context
from kcnn.callbacks.keras_internals import graph_links


def found(model, x, y, **fit):
    """What the checks of the set-up find in a program, in the order in which it is told."""
    with graph_links(model):
        context = read_context(model, draw(x, y, fit))
        return in_order(context.hypotheses("static", "data", "start"))
