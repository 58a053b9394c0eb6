"""The record of a run: what `result.json` says beside the steps."""

import platform
from datetime import datetime, timezone
from importlib.metadata import version
from typing import Any

from kcnn._version import __version__
from kcnn.data import channel_stats
from kcnn.recipe.context import Context

__all__ = ["headline", "opened"]


def opened(
    before: dict[str, Any] | None, context: Context, *, command: str, chosen: tuple[str, ...]
) -> dict[str, Any]:
    """The record of a run that begins, or goes on after `before`."""
    import tensorflow as tf

    before = before or {}
    dataset = context.dataset
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    stats = channel_stats(dataset.train.x) if dataset.train.in_memory else None
    return {
        "versions": {
            "kcnn": __version__,
            "python": platform.python_version(),
            "keras": version("keras"),
            "tensorflow": tf.__version__,
        },
        "started": before.get("started", now),
        "seconds": before.get("seconds", 0.0),
        "status": "running",
        "command": command,
        "identity": context.identity,
        "config": context.settings.to_dict(),
        "chosen": [*context.chosen, *chosen],
        "augmented_by": context.data.augmented_by,
        "model": {"source": context.identity["model"]["source"], "name": context.first_model.name},
        "data": {
            "name": dataset.name,
            "fingerprint": dataset.fingerprint,
            "classes": dataset.classes,
            "class_names": list(dataset.class_names),
            "image_shape": list(dataset.image_shape),
            "multi_label": dataset.multi_label,
            "train": len(dataset.train),
            "val": len(dataset.val),
            "test": len(dataset.test),
            "mean": list(stats.mean) if stats else None,
            "std": list(stats.std) if stats else None,
            "notes": list(dataset.notes),
        },
        "steps": [],
    }


def headline(record: dict[str, Any], context: Context) -> str:
    """The first lines of a run."""
    data, settings = record["data"], context.settings
    size = "x".join(str(n) for n in data["image_shape"])
    optimizer = settings.optimizer if context.models.uncompiled else "its own optimizer"
    lines = [
        f"{data['name']}: {data['train']} training, {data['val']} validation and "
        f"{data['test']} test images of {size}, {data['classes']} classes",
        f"{record['model']['source'] or record['model']['name']}, {optimizer}, batch "
        f"{context.batch_size}, augmentation {record['augmented_by']}, budget {settings.budget}, "
        f"seed {settings.seed}",
        *context.dataset.notes,
        *(str(warning) for warning in context.dataset.warnings),
    ]
    return "\n".join(lines)
