import dataclasses

from kcnn.callbacks.doctor._registry import check, parameter, possible, proven
from kcnn.callbacks.doctor.interventions import Intervention
from kcnn.callbacks.doctor.interventions.network import untransformed
from kcnn.callbacks.doctor.program.graph import is_random
from kcnn.callbacks.doctor.trials.gain import gain_of

KEPT = 0.05  # skill: two trainings differ by as much


@check(
    "random_transforms", "augmentation_breaks_label", stage="end", needs=("trials",),
    cure=untransformed,
)  # fmt: skip
def random_transforms(context):
    """Augmentation layers may change what the label says: worth a trial without."""
    names = [layer.name for layer in context.layers if is_random(layer)]
    if names:
        yield possible(
            f"random transforms inside the model ({', '.join(names[:3])})",
            "transforms that keep the class",
            f"Remove {names[0]}, or restrict it to changes that keep the label.", names[0],
        )  # fmt: skip


@check(
    "untransformed_rows", "augmentation_breaks_label", stage="end", cost="training",
    needs=("trials", "validation"),
)  # fmt: skip
def untransformed_rows(
    context,
    *,
    rows=parameter(40, "validation rows: half of them train, half of them judge"),
    gain=parameter(0.15, "honest transforms slow the training down a little"),
    ratio=parameter(1.7, "the same, of what is missing to perfection"),
    well=parameter(0.85, "skill at which transforms do no harm"),
):
    """Untransformed rows teach better than the randomly transformed ones.

    Those of the training data set without its random maps, or half of the validation rows.
    """
    case, trials = context.case, context.trials
    val = trials.data.val
    if trials.data.held_out or val is None or val.n < rows or context.final.val > well:
        return
    plain = case.untransformed
    if plain is None and not case.moving:
        return
    if plain is None:
        half = val.n // 2
        plain, val = val.take(slice(0, half)), val.take(slice(half, None))
    clean = trials.on(dataclasses.replace(trials.data, train=plain, val=val, look=val))
    before, after = clean.ended_outcome(), clean.run()
    if before is None or after is None:
        return
    won = gain_of(after, before)
    if won.value < gain or won.ratio < ratio or _comes_as_far(context, after):
        return
    yield proven(
        f"trained on {plain.n} untransformed samples the model does better ({after.val:.2f}) than "
        f"on the randomly transformed training data ({before.val:.2f})",
        "transforms that keep the target",
        "Remove the random transforms one by one from the training pipeline.", "x",
        evidence={"before": before.val, "after": after.val},
    )  # fmt: skip


def _comes_as_far(context, clean):
    """Whether the transforms only slow training down: twice as long, it does as well with them."""
    trials = context.trials
    on = Intervention(longer=True)
    longer = trials.run(on, steps=trials.length, seed=5, start=trials.ended)
    return longer is not None and longer.val >= clean.val - KEPT
