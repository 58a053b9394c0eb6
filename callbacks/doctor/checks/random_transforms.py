from kcnn.callbacks.doctor._registry import check, possible
from kcnn.callbacks.doctor.interventions.network import untransformed
from kcnn.callbacks.doctor.program.graph import is_random


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
