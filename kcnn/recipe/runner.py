"""Runs the six steps in order, keeps what is finished, and takes up what was interrupted."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

from kcnn import data as kcnn_data
from kcnn._version import __version__
from kcnn.callbacks import Finding
from kcnn.models import create_model, model_options
from kcnn.recipe import (
    coarse_search,
    curves,
    initial_loss,
    learning_rates,
    outcome,
    refine,
    small_sample,
)
from kcnn.recipe.config import RecipeConfig, RecipeError
from kcnn.recipe.display import Display
from kcnn.recipe.folder import RunFolder
from kcnn.recipe.work import StepOutcome, Work, status_of
from kcnn.recipe.workbench import Workbench

__all__ = ["STEPS", "run_recipe"]

STEPS: tuple[tuple[str, str, Callable[[Work], StepOutcome]], ...] = (
    ("initial_loss", "Initial loss", initial_loss.run),
    ("small_sample", "Overfit a small sample", small_sample.run),
    ("learning_rates", "Find a working learning rate", learning_rates.run),
    ("coarse_search", "Coarse search", coarse_search.run),
    ("refine", "Refine and train longer", refine.run),
    ("curves", "Read the curves", curves.run),
)

SMALL_IMAGE = 64  # pixels; up to this size residual networks get the 3x3 stem
_NEEDED = {"learning_rates": "suggestion", "coarse_search": "best", "refine": "best"}


def run_recipe(
    config: RecipeConfig,
    out: str | Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    display: Display | None = None,
) -> dict[str, Any]:
    """Take a network through the six steps and leave a trained, exported model in `out`.

    Args:
        config: what to train on what.
        out: the run's folder: `result.json`, `model.keras`, `saved_model/1`, `report.html`.
        resume: go on with an interrupted run of the same settings.
        overwrite: replace an earlier run.
        display: the terminal; a quiet one for none.

    Returns:
        The record that `result.json` holds. Its "status" is "finished", or "stopped" when a
        step failed and later ones would have been for nothing.

    Raises:
        RecipeError, DataError, ValueError: settings, data or model can't work, said before
            any training.
        KeyboardInterrupt: passed on after the finished steps were kept.
    """
    display = display or Display()
    dataset = _load(config)
    batch_size = _batch_size(config, len(dataset.train))
    stats = kcnn_data.channel_stats(dataset.train.x)
    bench = Workbench(
        _builder(config, dataset, stats), optimizer=config.optimizer, seed=config.seed
    )
    bench.fresh(lr=0.0)  # an impossible model is an error before the folder is touched
    folder = RunFolder(Path(out), config, resume=resume, overwrite=overwrite)
    record = folder.read()
    if record.get("status") == "finished":
        display.say(f"The run in {folder.path} is finished already.")
        return record
    record = _opened(record, config, dataset, stats)
    work = Work(config, dataset, bench, display, folder.state, batch_size)
    display.say(_headline(config, dataset, work))
    try:
        _run_steps(work, folder, record)
        if record["status"] == "running":
            outcome.conclude(work, folder, record)
    except BaseException:
        record["status"] = "interrupted"
        with suppress(Exception):  # what stopped the run is what has to be heard
            folder.write(record)
            outcome.draw(folder.path)
        raise
    folder.write(record)
    outcome.draw(folder.path)
    if record["status"] == "finished":
        outcome.say_outcome(work, folder.path, record)
    return record


def _run_steps(work: Work, folder: RunFolder, record: dict[str, Any]) -> None:
    done = {step["name"]: step for step in record["steps"]}
    for number, (name, title, run) in enumerate(STEPS, 1):
        started = time.monotonic()
        kept = done.get(name)
        work.display.step(number, title, kept=kept is not None)
        if kept is None:
            found = run(work)
            kept = {
                "number": number,
                "name": name,
                "title": title,
                "status": status_of(found.findings),
                "seconds": round(time.monotonic() - started, 2),
                "findings": [f.to_dict() for f in found.findings],
                "result": found.result,
            }
            record["steps"].append(kept)
        elif name == "refine" and kept["result"]["best"] is not None:
            best = kept["result"]["best"]
            work.model = refine.best_model(work, best, kept["result"]["runs"][best])
        work.results[name] = kept["result"]
        record["seconds"] = round(record["seconds"] + time.monotonic() - started, 2)
        folder.write(record)
        _show(work.display, kept)
        if _must_stop(name, kept, work.config.keep_going):
            record["status"] = "stopped"
            work.display.say(
                f"\nStopped after step {number}: what comes next can't work before this does.",
                "bold red",
            )
            return


def _must_stop(name: str, step: dict[str, Any], keep_going: bool) -> bool:
    if name in _NEEDED and step["result"][_NEEDED[name]] is None:
        return True  # nothing for the next step to start from
    return step["status"] == "failure" and not keep_going and name != "curves"


def _show(display: Display, step: dict[str, Any]) -> None:
    if step["name"] == "learning_rates":
        display.rates(step["result"]["curves"], step["result"]["suggestion"])
    if step["name"] == "coarse_search":
        display.trials(step["result"]["trials"], step["result"]["best"])
    for finding in step["findings"]:
        display.finding(Finding.from_dict(finding))


def _load(config: RecipeConfig) -> kcnn_data.Dataset:
    return kcnn_data.load(
        config.data,
        image_size=config.image_size,
        seed=config.seed,
        manual_dir=config.manual_dir,
        data_dir=config.data_dir,
        max_images=config.max_images,
    )


def _batch_size(config: RecipeConfig, images: int) -> int:
    if config.batch_size is None:
        # A dozen updates an epoch or more on small sets, 128 (He et al., section 4.2) on large
        # ones; below 16 images the noise of a batch hides what a rate does.
        return min(images, max(16, min(128, 2 ** max(1, (images // 12).bit_length() - 1))))
    if config.batch_size > images:
        raise RecipeError(
            f"batch_size={config.batch_size} is more than the {images} training images; "
            f"give --batch-size {max(2, images // 10)} or less."
        )
    return config.batch_size


def _builder(config: RecipeConfig, dataset: kcnn_data.Dataset, stats):
    options: dict[str, Any] = {}
    if max(dataset.image_shape[:2]) <= SMALL_IMAGE and "stem" in model_options(config.model):
        options["stem"] = "cifar"  # the ImageNet stem would leave a quarter of few pixels

    def build(width: float):
        return create_model(
            config.model,
            classes=dataset.classes,
            input_shape=dataset.image_shape,
            norm=config.norm,
            width=width,
            preprocess=kcnn_data.normalization(stats),
            **options,
        )

    return build


def _opened(record: dict[str, Any], config: RecipeConfig, dataset, stats) -> dict[str, Any]:
    """The record of a run that begins, or goes on with the steps it has."""
    return {
        "kcnn": __version__,
        "versions": {
            "python": platform.python_version(),
            "keras": version("keras"),
            "tensorflow": _tensorflow_version(),
        },
        "started": record.get("started", datetime.now(timezone.utc).isoformat(timespec="seconds")),
        "seconds": record.get("seconds", 0.0),
        "status": "running",
        "config": config.to_dict(),
        "data": {
            "name": dataset.name,
            "classes": dataset.classes,
            "class_names": list(dataset.class_names),
            "image_shape": list(dataset.image_shape),
            "train": len(dataset.train),
            "val": len(dataset.val),
            "test": len(dataset.test),
            "mean": list(stats.mean),
            "std": list(stats.std),
            "notes": list(dataset.notes),
        },
        "steps": list(record.get("steps", [])),
    }


def _tensorflow_version() -> str:
    import tensorflow as tf

    return tf.__version__


def _headline(config: RecipeConfig, dataset: kcnn_data.Dataset, work: Work) -> str:
    height, width, channels = dataset.image_shape
    lines = [
        f"{dataset.name}: {len(dataset.train)} training, {len(dataset.val)} validation and "
        f"{len(dataset.test)} test images of {height}x{width}x{channels}, "
        f"{dataset.classes} classes",
        f"{config.model}, {config.norm} norm, {config.optimizer}, batch {work.batch_size}, "
        f"augmentation {work.augment_kind}, budget {config.budget}, seed {config.seed}",
        *dataset.notes,
    ]
    return "\n".join(lines)
