"""How good a trained program is on clean data; every score is higher for better, 1 is perfect."""

import numpy as np


def _predict(model, x):
    return np.asarray(model(x, training=False), "float32")


def _classes(y):
    y = np.asarray(y)
    return y.argmax(-1) if y.ndim > 1 and y.shape[-1] > 1 else y.reshape(-1)


def _decided(scores, threshold):
    if scores.ndim > 1 and scores.shape[-1] > 1:
        return scores.argmax(-1)
    return (scores.reshape(-1) > threshold).astype(int)


def accuracy(model, case, history, threshold=0.5):
    """Share of right classes: argmax, or a threshold over one output."""
    x, y = case.test
    return float((_decided(_predict(model, x), threshold) == _classes(y)).mean())


def accuracy_from_logit(model, case, history):
    """`accuracy` for one output without a sigmoid."""
    return accuracy(model, case, history, threshold=0.0)


def rounded_accuracy(model, case, history):
    """`accuracy`, reading a single output as the class number where there is one."""
    x, y = case.test
    scores = _predict(model, x)
    if scores.shape[-1] > 1:
        return accuracy(model, case, history)
    return float((np.rint(scores.reshape(-1)) == _classes(y)).mean())


def balanced_accuracy(model, case, history):
    """Mean recall over the classes."""
    x, y = case.test
    said, true = _decided(_predict(model, x), 0.5), _classes(y)
    return float(np.mean([(said[true == k] == k).mean() for k in np.unique(true)]))


def multilabel_f1(model, case, history):
    """Micro-averaged F1 of independent labels at threshold 0.5."""
    x, y = case.test
    said, true = _predict(model, x) > 0.5, np.asarray(y) > 0.5
    return float(2 * (said & true).sum() / max(1, said.sum() + true.sum()))


def r2(model, case, history):
    """Share of the targets' total variance explained; -1 when not finite or below."""
    x, y = case.test
    y = np.asarray(y, "float64")
    y = y.reshape(len(y), -1)
    said = _predict(model, x).astype("float64").reshape(len(y), -1)
    if not np.isfinite(said).all():
        return -1.0
    return float(max(-1.0, 1 - ((y - said) ** 2).mean() / y.var(0).mean()))


def kept(model, case, history):
    """Lowest validation loss over the last one: 1 when nothing was lost by training on."""
    losses = history["val_loss"]
    return float(min(losses) / losses[-1])


def honest(model, case, history):
    """1 minus what validation accuracy promises beyond the accuracy on unseen data."""
    name = next(n for n in history if n.startswith("val_") and "acc" in n)
    return 1 - abs(float(history[name][-1]) - accuracy(model, case, history))


def metric_tells(truth, metric):
    """A score: 1 minus the distance of the reported `metric` from `truth`; 1 if not reported."""

    def score(model, case, history):
        if metric not in history:
            return 1.0
        return 1 - abs(float(history[metric][-1]) - truth(model, case, history))

    return score
