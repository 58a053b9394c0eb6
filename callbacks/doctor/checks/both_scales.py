import dataclasses

from kcnn.callbacks.doctor._hypothesis import Certainty
from kcnn.callbacks.doctor._registry import check
from kcnn.callbacks.doctor.interventions import Intervention


@check("both_scales", "unnormalized_inputs", "unnormalized_targets", stage="end", needs=("trials",))
def both_scales(context):
    """Inputs and targets that must be scaled together, because neither alone helps."""
    odd = {h.cause: h for h in context.found if h.check in ("input_scale", "target_scale")}
    if len(odd) == 2:
        one = max(odd.values(), key=lambda h: h.prior)
        cure = Intervention(scale_x=True, scale_y=True, last=True)
        yield dataclasses.replace(one, certainty=Certainty.POSSIBLE, cure=cure)
