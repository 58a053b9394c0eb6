"""Step 2: a network that can't learn a handful of images by heart is set up wrongly."""

from __future__ import annotations

import numpy as np

from kcnn.callbacks import SmallSampleCheck
from kcnn.recipe.work import StepOutcome, Work

__all__ = ["run"]

IMAGES = 48
ITERATIONS = 200
RATES = {"sgd": (0.01, 0.1, 0.001), "adamw": (1e-3, 1e-2, 1e-4)}  # in turn until one gets there


def run(work: Work) -> StepOutcome:
    """Train on a few images of all classes, without augmentation and weight decay."""
    train = work.dataset.train
    chosen = spread_over_classes(train.y, IMAGES, work.config.seed)
    model = work.bench.fresh(lr=0.0, weight_decay=0.0)
    check = SmallSampleCheck(
        train.images(chosen).astype("float32"),
        train.y[chosen],
        images=len(chosen),
        iterations=ITERATIONS,
        rates=RATES[work.config.optimizer],
        seed=work.config.seed,
        sink=None,
    )
    with work.display.progress(f"learning {len(chosen)} images by heart", ITERATIONS) as bar:
        result = check.run(model, on_iteration=lambda i, loss: bar.show(i + 1, f"loss {loss:.3f}"))
    return StepOutcome(
        (result.finding,),
        {
            "images": len(chosen),
            "losses": list(result.losses),
            "accuracy": result.accuracy,
            "iterations": result.iterations,
            "lr": result.learning_rate,
        },
    )


def spread_over_classes(y: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Indices of `count` images, as evenly over the classes as the labels allow."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(y))
    place_in_class = np.empty(len(y), dtype=int)
    for label in np.unique(y):
        members = order[y[order] == label]
        place_in_class[members] = np.arange(len(members))
    ranked = order[np.argsort(place_in_class[order], kind="stable")]
    return np.sort(ranked[:count])
