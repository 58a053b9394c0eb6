"""Do labels belong to their rows, and do validation rows belong to the training rows?"""

from __future__ import annotations

import numpy as np

from kcnn.callbacks.doctor._facts import Facts
from kcnn.callbacks.doctor._setting import Outcome, Setting
from kcnn.callbacks.doctor._suspect import Suspect
from kcnn.callbacks.doctor._trials import Workshop
from kcnn.callbacks.doctor.program.neighbours import agreement, contradicts, placeless_agreement
from kcnn.callbacks.doctor.program.skill import classes_of

__all__ = ["judge_meaning", "judge_rows"]


def judge_meaning(facts: Facts, val: float) -> Suspect | None:
    """Labels that neighbours and a linear fit know nothing about; `val` is the skill reached."""
    case, task = facts.case, facts.task
    if case.train.n < 100 or not case.train.single or val > 0.25:
        return None
    labels = task.labels
    mine = agreement(case.train, task, None if labels is None else labels[: case.train.n])
    if mine is None:
        return None
    z, share, chance = mine
    other = None
    if case.val is not None and labels is not None and len(labels) > case.train.n:
        other = agreement(case.val, task, labels[case.train.n :])
    weight = 0.0
    if z < 3 and placeless_agreement(facts) >= 3:
        return None
    if z < 3:
        weight = 0.97 if other is not None and other[0] > 6 else 0.8
    elif other is not None and other[1] - share > 0.25 and other[0] > 6:
        weight = 0.8
    if not weight:
        return None
    if case.moving and other is not None and other[0] > 6 and not contradicts(case.train, labels):
        return Suspect(
            "augmentation_breaks_label",
            0.95,
            f"neighbours share a label less often ({share:.2f}) in the randomly transformed "
            f"training data than in the validation data ({other[1]:.2f})",
            "transforms that keep the class",
            "Remove the random transforms one by one from the training pipeline.",
            where="x",
            check="augmentation",
            evidence={"agreement": share, "validation": other[1], "chance": chance},
        )
    return Suspect(
        "label_misalignment",
        weight,
        f"near neighbours share a label no more often than chance ({share:.2f}, "
        f"chance {chance:.2f}), and no change of the training helps",
        "labels that go with their inputs",
        "Check that x and y are shuffled, sorted and filtered together.",
        where="y",
        check="label_permutation",
        evidence={"z": z, "agreement": share, "chance": chance},
    )


def judge_rows(
    facts: Facts, shop: Workshop, final: Outcome, *, steps: int, until: float
) -> Suspect | None:
    """Held-out training rows are answered well and validation rows are not: why?"""
    case, task = facts.case, facts.task
    likely = {s.cause: s for s in facts.suspects if s.weight >= 0.6}
    sorted_rows = likely.get("missing_shuffle") if case.val_kind == "split" else None
    if case.val_kind == "split" and sorted_rows is None:
        return None  # the same array, prepared alike, and in no order
    if shop.held_out or shop.val is None or case.train.n < 80:
        return None
    odd = "preprocessing_mismatch" in likely or sorted_rows is not None
    gap = 0.15 if odd else 0.3
    if not (final.train > 0.5 and final.train - final.val > gap and shop.val.n >= 20):
        return None
    if case.moving:
        return None
    other = Workshop(
        shop.model, case, task, facts.head, facts.loss,
        graph=shop.graph, rates=shop.rates, steps=shop.steps, own_val=False,
    )  # fmt: skip
    other._trainers = shop._trainers
    out = other.try_out(Setting(), steps=steps, until=until)
    trainer = other.trainer(Setting())
    if out is None or trainer is None or not np.isfinite(out.val):
        return None
    if out.val < 0.35 or out.val - final.val < gap:
        return None
    if sorted_rows is not None:
        return sorted_rows
    evidence = {"held_out_training_rows": out.val, "validation_rows": final.val}
    words = f"skill {out.val:.2f} on held-out training rows, {final.val:.2f} on validation rows"
    if shop.val_labels is not None:
        said = classes_of(trainer.predict(shop.val.x), facts.head, facts.loss)
        if _renumbered(said, shop.val_labels, task.classes):
            return Suspect(
                "label_encoding", 0.95, words + ": the classes are numbered differently",
                "one numbering of the classes",
                "Encode the labels of both sets with the same mapping.",
                "validation_data", False, "validation", evidence,
            )  # fmt: skip
    mine = agreement(shop.val, task, shop.val_labels)
    if mine is not None and mine[0] < 3:
        return Suspect(
            "label_misalignment", 0.9, words + ": neighbours there share no labels",
            "validation labels that go with their inputs",
            "Check that x_val and y_val are shuffled and sorted together.",
            "validation_data", False, "validation", evidence,
        )  # fmt: skip
    return Suspect(
        "preprocessing_mismatch", 0.9, words, "training and validation inputs prepared alike",
        "Apply the very same scaling, colour order and layout to x_val as to x.",
        "validation_data", False, "validation", evidence,
    )  # fmt: skip


def _renumbered(said: np.ndarray, labels: np.ndarray, classes: int) -> bool:
    """Another numbering of the classes makes the predictions right."""
    if classes < 2:
        return False
    places = max(classes, int(labels.max(initial=0)) + 1)  # class numbers may have gaps
    table = np.zeros((places, places))
    np.add.at(table, (np.clip(said, 0, places - 1), labels), 1)
    right = float(np.trace(table) / max(table.sum(), 1))
    best = table.argmax(1)
    used = best[table.sum(1) > 0]
    renamed = float(table.max(1).sum() / max(table.sum(), 1))
    return renamed > 0.6 and renamed - right > 0.4 and len(set(used)) >= 0.8 * len(used)
