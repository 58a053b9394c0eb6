from kcnn.callbacks.doctor._registry import check, likely, proven
from kcnn.callbacks.doctor.program.customary import right_head

SHAPE = (
    "Put Flatten() or a global pooling (return_sequences=False in a recurrent layer) before the "
    "last Dense layer."
)


@check("output_units", "wrong_output_units", stage="data", per_output=True)
def output_units(output):
    """A number of outputs that does not fit the targets."""
    head, loss, task, y = output.head, output.loss, output.task, output.y
    if head.rank > 2:
        if y.ndim <= 2:
            shape, wanted = list(output.out.shape[1:]), list(y.shape[1:])
            yield proven(
                f"outputs of shape {tuple(shape)} for targets of shape {tuple(wanted)}",
                "one vector of outputs for each sample", SHAPE, head.layer,
                evidence={"outputs": shape, "targets": wanted},
            )  # fmt: skip
        return
    if task.kind == "other" or (output.places and task.kind == "regression"):
        return
    where = {"where": head.layer, "evidence": output.evidence}
    found = _of_classes(head, loss, task) or _of_columns(head, loss, task, y)
    if found:
        seen, advice = found
        yield proven(seen, right_head(task), advice, **where)
    elif task.kind == "multiclass" and task.form == "ids":
        spare = head.units > 2 * task.classes and head.units > task.classes + 2
        if spare and task.high + 1 < head.units / 2 and head.units > 1:
            seen = f"{head.units} outputs for {task.classes} classes"
            advice = f"Give the last layer {task.classes} units."
            yield likely(seen, right_head(task), advice, **where)


def _of_classes(head, loss, task):
    k = task.classes
    if task.kind == "multiclass" and head.units == 1 and "softmax" in head.activations:
        return "softmax over a single output is always 1", f"Give the last layer {k} units."
    if task.form != "ids":
        return None
    if task.kind == "multiclass":
        told = loss.classifies or "sigmoid" in head.activations or len(task.values) > 2
        if head.units == 1 and told:
            return f"one output for {k} classes", (
                f"Give the last layer {k} units with softmax and sparse_categorical_crossentropy."
            )
        shifted = task.low >= 1 and task.high - task.low + 1 <= head.units
        if 1 < head.units < k and not shifted:
            return f"{head.units} outputs for {k} classes", f"Give the last layer {k} units."
    if task.kind == "binary" and head.units > 2 and loss.kind != "other":
        return f"{head.units} outputs for two classes", (
            "Use one sigmoid unit, or two softmax units."
        )
    if task.kind == "binary" and head.units == 2 and (loss.kind == "bce" or loss.regresses):
        return "two outputs against one 0/1 column", (
            "Use one sigmoid unit, or sparse_categorical_crossentropy."
        )
    return None


def _of_columns(head, loss, task, y):
    columns = task.kind in ("multilabel", "regression") or task.form == "onehot"
    single_softmax = head.units == 1 and "softmax" in head.activations
    compared = columns and y.ndim == 2 and loss.kind not in ("other", "scce")
    if compared and head.units != y.shape[1] and not single_softmax:
        seen = f"{head.units} outputs for {y.shape[1]} targets"
        return seen, f"Give the last layer {y.shape[1]} units."
    if task.kind == "regression" and y.ndim == 1 and head.units > 1 and loss.regresses:
        return f"{head.units} outputs for one target", "Give the last layer one unit."
    return None
