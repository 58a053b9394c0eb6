"""What makes results on a data set doubtful, found from labels, groups and hashes alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from kcnn.data._record import DataWarning

__all__ = ["Known", "alike", "contradictions", "imbalance", "leaks"]

_NAMED = 3  # files that a warning names
_TIMES = 8  # the largest class over the smallest: from here on the doctor names it too
_MAJORITY = 0.6  # of the way from an even share to all images

# A number per image of a split, and what the image of each place is called.
Known = tuple[np.ndarray, Callable[[int], str]]


def alike(hashes: np.ndarray) -> np.ndarray:
    """A number for each image: the same where the files hold the same bytes."""
    return np.unique(hashes, return_inverse=True)[1].reshape(-1)


def leaks(splits: Mapping[str, Known], *, what: str, advice: str) -> list[DataWarning]:
    """One warning for each two splits that share a number (of a content, or of a group)."""
    found = []
    names = list(splits)
    for first, one in enumerate(names):
        for other in names[first + 1 :]:
            (a, a_name), (b, b_name) = splits[one], splits[other]
            shared, at_a, at_b = np.intersect1d(a, b, return_indices=True)
            if len(shared) == 0:
                continue
            images = int(np.isin(b, shared).sum())
            pairs = [
                f"{a_name(i)} and {b_name(j)}"
                for i, j in zip(at_a[:_NAMED], at_b[:_NAMED], strict=True)
            ]
            more = ", ..." if len(shared) > _NAMED else ""
            seen = f"{images} of {len(b)} {other} images {what} {one} images: {', '.join(pairs)}"
            found.append(DataWarning("data_leak", seen + more, advice))
    return found


def contradictions(content: np.ndarray, labels: np.ndarray, name: Callable[[int], str]):
    """A warning if files of the same bytes have different labels."""
    order = np.lexsort((labels, content))
    same = content[order][1:] == content[order][:-1]
    clash = np.flatnonzero(same & (labels[order][1:] != labels[order][:-1]))
    if len(clash) == 0:
        return []
    pairs = [f"{name(order[i])} and {name(order[i + 1])}" for i in clash[:_NAMED]]
    more = ", ..." if len(clash) > _NAMED else ""
    seen = f"{len(clash)} images stand in two classes: {', '.join(pairs)}{more}"
    return [DataWarning("label_misalignment", seen, "keep each in the class it belongs to")]


def imbalance(counts: np.ndarray, class_names: Sequence[str]) -> list[DataWarning]:
    """A warning if the largest class alone explains a good score; `counts` of training images."""
    top, low = int(counts.argmax()), int(counts.argmin())
    share, even = counts[top] / counts.sum(), 1 / len(counts)
    if counts[top] < _TIMES * counts[low] and share <= even + _MAJORITY * (1 - even):
        return []
    seen = (
        f"class {class_names[top]!r} has {share:.0%} of the training images ({counts[top]}), class "
        f"{class_names[low]!r} {counts[low]}"
    )
    return [
        DataWarning(
            "class_imbalance",
            seen,
            "pass class_weight to fit, add images of the small classes, and read each class's "
            "score, not the accuracy alone",
        )
    ]
