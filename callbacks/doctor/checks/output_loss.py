import numpy as np

from kcnn.callbacks.doctor._registry import check, likely, parameter, possible, proven
from kcnn.callbacks.doctor.interventions import Intervention
from kcnn.callbacks.doctor.program.customary import right_head

WHERE = "compile(loss=...)"


@check("output_loss", "wrong_loss", stage="data", per_output=True, cure=Intervention(head=True))
def output_loss(
    output,
    *,
    tiny=parameter(32, "so few rows are learned by heart under any loss"),
    zeros=parameter(0.02, "share of targets near zero, of which no percentage can be taken"),
):
    """A loss for another kind of task."""
    head, loss, task, y = output.head, output.loss, output.task, output.y
    if task.kind == "other" or head.rank != 2 or (output.places and loss.regresses):
        return
    right, more = right_head(task), {"evidence": output.evidence}
    certain = _contradiction(head, loss, task) or _undefined(loss, task, y, zeros)
    if certain:
        seen, advice = certain
        yield proven(seen, right, advice or f"Use {right}.", WHERE, **more)
    elif task.kind == "multiclass" and loss.kind == "bce":
        sigmoids = "sigmoid" in head.activations and task.form == "onehot"
        kind = possible if sigmoids or (task.classes <= 2 and head.units > 1) else proven
        yield kind(
            f"binary_crossentropy for {task.classes} exclusive classes", right,
            "Change the loss to a categorical cross-entropy.", WHERE, strength=float(sigmoids),
            **more,
        )  # fmt: skip
    elif task.kind in ("binary", "multiclass", "multilabel") and loss.regresses:
        squared = loss.kind in ("mse", "mae", "huber") and head.units > 1
        kind, strength = likely, 0.0
        if task.kind == "multiclass":
            kind, strength = (likely, 1.0) if squared else (proven, 1.0)
        elif loss.kind in ("mape", "msle", "mae"):
            strength = 0.77
        elif len(y) <= tiny or task.kind == "multilabel":
            kind, strength = possible, 0.5
        advice = "Change the loss to a cross-entropy."
        yield kind(f"{loss.name} for classes", right, advice, WHERE, strength=strength, **more)


def _contradiction(head, loss, task):
    """What is seen and advised where loss and targets exclude each other."""
    binary = "Change the loss to 'binary_crossentropy'."
    if loss.kind in ("cce", "scce") and head.units == 1:
        always = " is always 0" if loss.kind == "cce" else ""
        return f"{loss.name} over one output{always}", binary if task.kind == "binary" else ""
    if task.kind == "regression" and loss.classifies and loss.kind != "kld":
        if loss.kind == "bce" and task.low >= 0 and task.high <= 1:
            return None
        span = f"({task.low:.3g} to {task.high:.3g})"
        return f"{loss.name} for targets that are numbers {span}", "Change the loss to 'mse'."
    if task.kind == "multilabel" and loss.kind in ("cce", "chinge"):
        return f"{loss.name} for labels that are not exclusive", binary
    if loss.kind == "cosine" and head.units == 1:
        return "cosine similarity of single numbers is only their sign", ""
    if loss.kind == "hinge" and task.kind == "multiclass":
        return "a binary hinge for several classes", ""
    return None


def _undefined(loss, task, y, zeros):
    if task.kind != "regression":
        return None
    if loss.kind == "mape" and np.mean(np.abs(y) < 1e-3) > zeros:
        seen = "a percentage error of targets that are (nearly) zero"
        return seen, "Change the loss to 'mse' or 'mae'."
    if loss.kind == "msle" and task.low < 0:
        return "a logarithmic error of negative targets", "Change the loss to 'mse'."
    return None
