import numpy as np

from kcnn.callbacks.doctor._registry import check, likely, parameter, possible, proven
from kcnn.callbacks.doctor.interventions import Intervention
from kcnn.callbacks.doctor.program.customary import right_head

BOUNDS = {"sigmoid": (0, 1), "softmax": (0, 1), "tanh": (-1, 1), "relu": (0, np.inf)}
UNBOUNDED = ("relu", "leaky_relu", "leakyrelu", "elu", "prelu", "gelu")


@check(
    "output_activation", "wrong_output_activation", stage="data", per_output=True,
    cure=Intervention(head=True),
)  # fmt: skip
def output_activation(
    output,
    *,
    outside=parameter(0.05, "one target in twenty that cannot be reached is no outlier"),
    some=parameter(0.02, "fewer than one in fifty may be outliers"),
):
    """A last activation that cannot express the targets."""
    head, loss, task = output.head, output.loss, output.task
    if task.kind == "other" or head.rank != 2:
        return
    right, where = right_head(task), {"where": head.layer, "evidence": output.evidence}
    last = head.activation
    if head.units == 1 and "softmax" in head.activations:
        if task.kind != "multiclass":
            fit = "sigmoid" if task.kind != "regression" else "linear"
            advice = f"Change the last activation to {fit!r}."
            yield proven("softmax over a single output is always 1", right, advice, **where)
    elif task.kind == "regression":
        share = _outside(output)
        if share > some and not (loss.classifies and loss.from_logits):
            seen = (
                f"{last} cannot express {100 * share:.0f} % of the targets "
                f"({task.low:.3g} to {task.high:.3g})"
            )
            kind = proven if share > outside else likely
            advice = "Remove the activation of the last layer."
            yield kind(seen, "a linear output", advice, **where)
        return
    if task.kind == "regression" or loss.from_logits or loss.kind == "other":
        return
    if task.kind == "multilabel" and last == "softmax":
        advice = "Change the last activation to 'sigmoid'."
        yield proven("softmax for labels that are not exclusive", right, advice, **where)
    if task.kind == "multiclass" and last == "sigmoid" and head.units > 1:
        # one sigmoid per class with binary_crossentropy is one-vs-rest: it works
        kind = possible if loss.kind == "bce" else likely
        kind = proven if loss.kind in ("cce", "scce") else kind
        seen = "sigmoid for classes that exclude each other"
        advice = "Change the last activation to 'softmax'."
        yield kind(seen, right, advice, strength=0.8, **where)
    if last in UNBOUNDED or (last == "tanh" and task.low >= 0):
        if loss.classifies and loss.kind not in ("hinge", "chinge"):
            fit = "softmax" if task.kind == "multiclass" else "sigmoid"
            advice = f"Change the last activation to {fit!r}."
            yield proven(f"{last} before a cross-entropy", right, advice, **where)
        elif loss.regresses:
            seen = f"{last} as the output of a classifier"
            yield likely(seen, right, f"Use {right}.", strength=1.0, **where)


def _outside(output):
    """Share of the targets that the last activation cannot reach."""
    head = output.head
    if head.activation == "softmax" and head.units > 1 and not output.loss.classifies:
        return 1.0
    low, high = BOUNDS.get(head.activation, (-np.inf, np.inf))
    y = output.y[np.isfinite(output.y)]
    return float(((y < low - 1e-6) | (y > high + 1e-6)).mean()) if y.size else 0.0
