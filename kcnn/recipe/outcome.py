"""What a finished run leaves behind: test scores, sample images, the model and its export."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kcnn.augment import augmentation
from kcnn.recipe.folder import RunFolder
from kcnn.recipe.work import Work
from kcnn.recipe.workbench import MOMENTUM, classification_loss
from kcnn.report import write_report
from kcnn.serving import export

__all__ = ["conclude", "draw", "say_outcome"]

SAMPLES = 12


def conclude(work: Work, folder: RunFolder, record: dict[str, Any]) -> None:
    """Score the best model on the test images, save and export it, and close the record."""
    model = work.model
    if model is None:
        raise RuntimeError("conclude() before the refinement gave a model")
    record["test"] = score(model, work)
    save_samples(work, folder.path / "samples.npz")
    settings = work.results["refine"]["runs"][work.results["refine"]["best"]]
    model.compile(
        optimizer=_plain_optimizer(work.config.optimizer, settings),
        loss=classification_loss(),
        metrics=["accuracy"],
    )
    model.optimizer.build(model.trainable_variables)  # or loading the model would warn
    partial = folder.path / "partial.keras"
    model.save(partial)
    os.replace(partial, folder.path / "model.keras")
    export(
        model,
        folder.path / "saved_model",
        class_names=work.dataset.class_names,
        version=1,
        overwrite=True,  # what a run left that was interrupted right here
    )
    record["artifacts"] = {
        "model": "model.keras",
        "saved_model": "saved_model/1",
        "report": "report.html",
    }
    record["status"] = "finished"
    folder.write(record)
    folder.clear_state()


def score(model: keras.Model, work: Work) -> dict[str, Any]:
    """Loss, accuracy and confusion matrix (rows: true class) on the test images."""
    logits = np.asarray(model.predict(work.plain_data("test"), verbose=0), dtype="float64")
    labels = work.dataset.test.y
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_probabilities = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    predicted = logits.argmax(axis=1)
    confusion = np.zeros((work.dataset.classes, work.dataset.classes), dtype=int)
    np.add.at(confusion, (labels, predicted), 1)
    return {
        "images": len(labels),
        "loss": float(-log_probabilities[np.arange(len(labels)), labels].mean()),
        "accuracy": float((predicted == labels).mean()),
        "confusion": confusion.tolist(),
    }


def save_samples(work: Work, path: Path) -> None:
    """A few training images before and after augmentation, as the report shows them."""
    train = work.dataset.train
    chosen = np.random.default_rng(work.config.seed).choice(
        len(train), min(SAMPLES, len(train)), replace=False
    )
    before = np.asarray(train.images(chosen), dtype="float32")
    augment = augmentation(work.augment_kind, work.dataset.image_shape, seed=work.config.seed)
    after = np.asarray(augment(before, training=True))
    np.savez_compressed(
        path, before=_to_uint8(before), after=_to_uint8(after), labels=train.y[chosen]
    )


def draw(path: Path) -> None:
    """Write the report of whatever the run has so far."""
    if (path / "result.json").exists():
        write_report(path)


def say_outcome(work: Work, path: Path, record: dict[str, Any]) -> None:
    """The last lines of a run."""
    test = record["test"]
    work.display.say("")
    work.display.say(
        f"Test accuracy {test['accuracy']:.1%} on {test['images']} images, loss "
        f"{test['loss']:.3f}, after {record['seconds']:.0f} s.",
        "bold green",
    )
    work.display.say(f"    report       {path / 'report.html'}")
    work.display.say(f"    model        {path / 'model.keras'}  (images in, logits out)")
    work.display.say(f"    SavedModel   {path / 'saved_model' / '1'}  (images in, probabilities)")
    work.display.say(f"    record       {path / 'result.json'}")


def _plain_optimizer(kind: str, settings: dict[str, Any]) -> keras.optimizers.Optimizer:
    """The optimizer of the best run for whoever trains on, as plain Keras saves it."""
    numbers = {"learning_rate": settings["lr"], "weight_decay": settings["weight_decay"]}
    if kind == "sgd":
        return keras.optimizers.SGD(momentum=MOMENTUM, nesterov=True, **numbers)
    return keras.optimizers.AdamW(**numbers)


def _to_uint8(images: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(images), 0, 255).astype("uint8")
