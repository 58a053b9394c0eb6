from kcnn.callbacks.doctor._registry import check, likely, parameter, possible, proven
from kcnn.callbacks.doctor.interventions.network import leaky


@check("dead_units", "dying_relu", stage="run", cost="pass", cure=leaky)
def dead_units(
    context,
    *,
    share=parameter(0.6, "half of the units are zero by design; at the end of a run more are dead"),
    live=parameter(0.9, "the same, while a run goes on and there are a few samples only"),
    born=parameter(0.5, "dead from the start: the initial weights did it, not the steps"),
):
    """relu units that are zero for every sample."""
    if context.now is None:
        return
    worst = max(context.now.dead.items(), key=lambda item: item[1], default=("", 0.0))
    where, dead = worst
    before = None if context.start is None else context.start.dead.get(where, 0.0)
    if before is None:
        kind = proven if dead == 1.0 else likely
    else:  # units that die in training have a cause before them
        kind = likely if before > born else possible
    if dead > (live if before is None else share):
        yield kind(
            f"{100 * dead:.0f} % of the units of {where} are zero for every sample",
            "few dead units", "Use a smaller learning rate and 'he_normal', or leaky_relu.", where,
            evidence={"dead": dead, "dead_at_start": before},
        )  # fmt: skip
