import keras
import numpy as np

from kcnn.callbacks.doctor._registry import check, proven

SCORES = ("accuracy", "binary_accuracy", "categorical_accuracy", "sparse_categorical_accuracy")
KERAS = "Write metrics=['accuracy'] and let Keras choose."


@check("metrics", "wrong_metric", stage="data", needs=("targets",))
def metrics(context):
    """A metric that says nothing about the task: by name, or by trying the user's function."""
    task = context.task
    for name, given in context.metrics:
        wrong = _wrong(name, context.head, context.loss, task)
        if wrong is None and callable(given) and not isinstance(given, (type, str)):
            wrong = _alike(name, given, task, context.case)
        if wrong is not None:
            seen, advice = wrong
            yield proven(
                seen, f"a metric for {task.kind}", advice, "compile(metrics=...)",
                evidence={"metric": name, "task": task.kind},
            )  # fmt: skip
            return


def _alike(name, metric, task, case):
    """A function that answers the same for good and for bad predictions."""
    if isinstance(metric, keras.metrics.Metric) or task.scaled != 1.0:
        return None
    if task.kind not in ("multilabel", "regression", "binary"):
        return None
    rng = np.random.default_rng(0)
    truth = np.asarray(case.train.y[:256], "float32")
    truth = truth[:, None] if truth.ndim == 1 else truth
    if not np.isfinite(truth).all() or len(truth) < 8:
        return None
    if task.kind == "regression":
        good = truth + 0.01 * truth.std() * rng.normal(size=truth.shape)
        bad = rng.permutation(truth) + truth.std() * rng.normal(size=truth.shape)
    else:
        good, bad = np.clip(truth, 0.1, 0.9), np.clip(1 - truth, 0.1, 0.9)
    try:
        answers = [
            float(np.mean(keras.ops.convert_to_numpy(metric(truth, part.astype("float32")))))
            for part in (good, bad)
        ]
    except Exception as error:  # the user's function may want something else
        kind = type(error).__name__
        case.notes.append(f"the metric {name} was not judged: it refuses numbers ({kind})")
        return None
    if abs(answers[0] - answers[1]) > 1e-6 or not np.isfinite(answers).all():
        return None
    return (
        f"{name} answers {answers[0]:.3g} for good and for bad predictions alike",
        "Compare rounded predictions, or use one of Keras's metrics.",
    )


def _wrong(name, head, loss, task):
    numbers = task.kind == "regression" or (task.kind == "other" and not task.whole)
    regresses = loss.regresses or (task.kind == "regression" and loss.kind != "bce")
    if numbers and regresses and (name in SCORES or name == "exact_accuracy"):
        return f"{name} of numbers", "Watch metrics=['mae'] instead of accuracy."
    if task.kind not in ("binary", "multiclass", "multilabel"):
        return None
    one_hot = task.form in ("onehot", "bits")
    if name == "exact_accuracy":
        return "Accuracy() asks scores to equal labels exactly", KERAS
    if name == "sparse_categorical_accuracy" and (head.units == 1 or one_hot):
        return f"{name} does not fit these labels", KERAS
    if name == "categorical_accuracy" and (head.units == 1 or not one_hot):
        return f"{name} does not fit these labels", KERAS
    if name == "binary_accuracy" and task.kind == "multiclass" and task.classes > 2:
        return "binary_accuracy counts every zero of a one-hot row as a success", KERAS
    if name in ("r2_score", "r2score") and loss.classifies:
        return f"{name} of classes", KERAS
    return None
