"""What a finished run leaves behind: test scores, sample images, the model and its export."""

import importlib.util
import os
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kcnn.preprocessing import Preprocessing
from kcnn.recipe.context import Context
from kcnn.recipe.evaluation import evaluate, sample_images, worst_images
from kcnn.recipe.files import write_arrays
from kcnn.recipe.fine_tuning import fine_tuned_model
from kcnn.recipe.logs import TENSORBOARD
from kcnn.recipe.long_run import FINE_TUNED
from kcnn.recipe.optimizer import plain
from kcnn.recipe.steps.refine import best_weights
from kcnn.recipe.training_data import looked_at_once
from kcnn.recipe.transfer import FeatureData, Transfer
from kcnn.serving import export

__all__ = ["conclude", "say_outcome"]


def conclude(context: Context, folder: Path, record: dict[str, Any]) -> None:
    """Score the best model on the test images, save and export it, and complete the record."""
    dataset = context.dataset
    refined = context.results["refine"]
    run, weights = refined.best_run, best_weights(context.state, refined)
    hp = run.hp
    data = context.data
    if isinstance(data, FeatureData) and run.regime == FINE_TUNED:
        model = fine_tuned_model(data, hp, weights)
    else:
        model = best_model(context, hp, weights)
        model = _whole(data.transfer, model) if isinstance(data, FeatureData) else model
    record["test"], probabilities = evaluate(model, dataset)
    augment = data.augmentation(context.settings.seed)
    images = sample_images(dataset, augment, context.settings.seed)
    write_arrays(folder / "samples.npz", {**images, **worst_images(dataset, probabilities)})
    partial = folder / "partial.keras"
    model.save(partial)
    os.replace(partial, folder / "model.keras")
    context.models.release()  # the export holds two graphs of the network itself
    export(
        model,
        folder / "saved_model",
        class_names=dataset.class_names,
        preprocessing=None if Preprocessing.of(model) else dataset.preprocessing,
        version=1,
        overwrite=True,  # what a run left that was interrupted right here
        images=images["before"][: max(2, looked_at_once(dataset.image_shape) // 4)],
        facts={
            "data": {k: v for k, v in record["data"].items() if k != "class_names"},
            "metrics": {k: v for k, v in record["test"].items() if not isinstance(v, list)},
            "command": record["command"],
        },
    )
    record["model"] = {**record.get("model", {}), "hp": hp, "config": model.to_json()}


def best_model(context: Context, hp: dict[str, Any], weights: list[np.ndarray]) -> keras.Model:
    """The model as its builder gives it, with the best weights, compiled to be trained on."""
    compiled = context.models.fresh(hp)
    optimizer = plain(
        compiled.optimizer,
        learning_rate=hp["learning_rate"],
        weight_decay=hp.get("weight_decay", 0.0),
    )
    model = context.models.final(hp)
    if not model.built:
        model(keras.ops.zeros((1, *context.data.problem.input_shape)), training=False)
    model.set_weights(weights)
    if not model.compiled:
        context.data.problem.compile(model, optimizer)
        model.optimizer.build(model.trainable_variables)  # or loading the model would warn
    return model


def _whole(transfer: Transfer, head: keras.Model) -> keras.Model:
    """The backbone with its trained head, compiled as the head is."""
    model = transfer.with_head(head)
    optimizer = type(head.optimizer).from_config(head.optimizer.get_config())
    model.compile(optimizer, head.loss, metrics=["accuracy"])
    model.optimizer.build(model.trainable_variables)
    return model


def say_outcome(context: Context, path: Path, record: dict[str, Any]) -> None:
    """The last lines of a run."""
    test, say = record["test"], context.display.say
    say("")
    say(
        f"Test accuracy {test['accuracy']:.1%} on {test['images']} images, loss "
        f"{test['loss']:.3f}, after {record['seconds']:.0f} s.",
        "bold green",
    )
    say(f"    report       {path / 'report.html'}")
    say(f"    model        {path / 'model.keras'}  (images in, logits out)")
    say(f"    SavedModel   {path / 'saved_model' / '1'}  (images in, probabilities)")
    say(f"    record       {path / 'result.json'}")
    board = importlib.util.find_spec(TENSORBOARD) is not None
    plots = "tensorboard --logdir there" if board else "pip install tensorboard for live plots"
    say(f"    curves       {path / 'logs'}  (CSV; {plots})")
