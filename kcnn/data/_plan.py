"""Stratified splits and subsets, planned on the labels alone, before any image is read."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from kcnn.data._record import DataError

__all__ = ["Plan", "make_plan", "stratified", "stratified_groups"]

# split name -> (part of the source, indices into that part)
Plan = dict[str, tuple[str, np.ndarray]]


def _quotas(
    labels: np.ndarray, count: int, *, leave: int, least: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Classes, how many images each has, and how many of `count` fall to it."""
    values, sizes = np.unique(labels, return_counts=True)
    share = sizes * (count / len(labels)) if len(labels) else sizes.astype(float)
    quota = np.floor(share).astype(int)
    order = np.argsort(quota - share, kind="stable")  # largest remainder first
    quota[order[: max(0, count - int(quota.sum()))]] += 1
    most = np.maximum(sizes - leave, 0)
    return values, sizes, np.clip(quota, np.minimum(least, most), most)


def stratified(
    labels: np.ndarray, count: int, rng: np.random.Generator, *, leave: int = 0, least: int = 0
) -> np.ndarray:
    """Indices of about `count` of `labels`, each class in its share (largest remainders).

    At least `leave` images of every class stay behind and at least `least` are taken (where the
    class has as many), so the result may be a little shorter or longer than `count`.
    """
    _, sizes, quota = _quotas(labels, count, leave=leave, least=least)
    members = np.split(np.argsort(labels, kind="stable"), np.cumsum(sizes)[:-1])
    picked = [
        rng.permutation(indices)[:number] for indices, number in zip(members, quota, strict=True)
    ]
    return np.concatenate(picked) if picked else np.zeros(0, int)


def stratified_groups(
    labels: np.ndarray, groups: np.ndarray, count: int, rng: np.random.Generator
) -> np.ndarray:
    """Like `stratified`, but the images of one group are taken together or not at all.

    Groups are drawn in random order and taken where that brings the classes nearer to their
    shares; every class keeps an image behind. Images alone in their group fill what is left.
    """
    values, sizes, quota = _quotas(labels, count, leave=1, least=0)
    classes = np.searchsorted(values, labels)
    _, group, members = np.unique(groups, return_inverse=True, return_counts=True)
    order = np.argsort(group, kind="stable")
    starts = np.concatenate([[0], np.cumsum(members)])
    taken, picked = np.zeros(len(values), int), []
    nearest: tuple[float, np.ndarray] | None = None
    for number in rng.permutation(np.flatnonzero(members > 1)):
        indices = order[starts[number] : starts[number + 1]]
        which, counts = np.unique(classes[indices], return_counts=True)
        change = float((counts * (counts + 2 * (taken - quota)[which])).sum())  # squared distance
        if (taken[which] + counts >= sizes[which]).any():
            continue  # nothing of some class would stay behind
        if change < 0:
            taken[which] += counts
            picked.append(indices)
        elif nearest is None or change < nearest[0]:
            nearest = change, indices
    single = np.flatnonzero(members[group] == 1)
    for number in range(len(values)):
        own = rng.permutation(single[classes[single] == number])
        picked.append(own[: max(0, quota[number] - taken[number])])
    chosen = np.concatenate(picked) if picked else np.zeros(0, int)
    return nearest[1] if len(chosen) == 0 and nearest is not None else chosen


def make_plan(
    labels: Mapping[str, np.ndarray],
    *,
    name: str,
    val_fraction: float = 0.1,
    test_fraction: float = 0.2,
    seed: int = 0,
    max_images: int | None = None,
    groups: Mapping[str, np.ndarray] | None = None,
) -> tuple[Plan, tuple[str, ...]]:
    """Decide which images of which part become train, val and test.

    `labels` maps the source's parts ("train", and perhaps "val" and "test") to int labels. What is
    missing is held out of the training part, each class in its share; a source with a "val" but no
    "test" part has its "val" used as the test set, as published results on such sets are. Images
    of one group (`groups` maps the parts to numbers) are never torn apart.

    Returns the plan and the notes that say what was decided. DataError if too few images are there.
    """
    for which, share in (("val_fraction", val_fraction), ("test_fraction", test_fraction)):
        if not 0.0 < share < 1.0:
            raise DataError(f"{name}: {which}={share} must lie between 0 and 1.")
    rng = np.random.default_rng(seed)
    notes: list[str] = []
    owner = {part: part for part in labels}  # split -> the source's part its images lie in
    if "test" not in owner and "val" in owner:
        owner = {"train": "train", "test": "val"}
        notes.append("no test part: the validation part serves as the test set")
    indices = {part: np.arange(len(labels[was])) for part, was in owner.items()}

    def labels_of(part: str) -> np.ndarray:
        return labels[owner[part]][indices[part]]

    def hold_out(part: str, fraction: float, why: str) -> None:
        y, train = labels_of("train"), indices["train"]
        count = max(1, round(len(y) * fraction))
        if groups is None:
            taken = stratified(y, count, rng, leave=1)
        else:
            taken = stratified_groups(y, groups["train"][train], count, rng)
        owner[part], indices[part] = "train", train[taken]
        indices["train"] = np.delete(train, taken)
        notes.append(f"{why}: {len(taken)} of {len(y)} training images held out, by class")

    if "test" not in owner:
        hold_out("test", test_fraction, "no test part")
    if "val" not in owner:
        hold_out("val", val_fraction, "validation")

    total = sum(len(index) for index in indices.values())
    if max_images is not None and max_images < total:
        classes = len(np.unique(labels_of("train")))
        if max_images < classes + 2:
            raise DataError(
                f"{name}: max_images={max_images} leaves no image for some of the {classes} "
                f"classes in train, val and test; give at least {3 * classes}."
            )
        for part in ("test", "val", "train"):
            wanted = max(1, round(len(indices[part]) * max_images / total))
            least = 1 if part == "train" else 0
            indices[part] = indices[part][stratified(labels_of(part), wanted, rng, least=least)]
        left = sum(len(index) for index in indices.values())
        notes.append(f"max_images={max_images}: {left} of {total} images used, by class")

    for part in ("train", "val", "test"):
        if len(indices[part]) == 0:
            raise DataError(
                f"{name}: no image is left for the {part} split ({total} images{_of(groups)} in "
                "all); more images are needed: at least 3 of a class"
                f"{', each of another group' if groups else ''}."
            )
    trained = set(labels_of("train").tolist())
    for part in ("val", "test"):
        missing = len(trained - set(labels_of(part).tolist()))
        if missing:
            notes.append(f"{part}: no image of {missing} of {len(trained)} classes")
    plan = {
        part: (owner[part], rng.permutation(indices[part])) for part in ("train", "val", "test")
    }
    return plan, tuple(notes)


def _of(groups: Mapping[str, np.ndarray] | None) -> str:
    return f" of {len(np.unique(groups['train']))} groups" if groups else ""
