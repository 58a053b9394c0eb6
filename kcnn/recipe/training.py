"""One training as the searches run it: so many updates, scored on validation data now and then."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import keras

from kcnn.distribute import repaired
from kcnn.recipe.problem import accuracy_key
from kcnn.recipe.training_data import TrainingData

__all__ = [
    "Length", "Score", "clearly_better", "fit", "is_better", "length_of", "loss_rose",
    "standard_error",
]  # fmt: skip

LUCK = 2.0  # standard errors of a difference, within which it is taken for chance


@dataclass(frozen=True)
class Length:
    """`epochs` times `updates` optimizer steps; an epoch ends with a look at validation data.

    On large data such an epoch is a part of a pass over the training images.
    """

    epochs: int
    updates: int

    @property
    def total(self) -> int:
        """Updates in all."""
        return self.epochs * self.updates


def length_of(updates: int, per_pass: int, *, least: int, most: int, looks: int = 5) -> Length:
    """The length of a training of about so many updates.

    Args:
        updates: wanted in all.
        per_pass: updates of one pass over the training images.
        least, most: passes allowed; with fewer updates than one pass, `looks` parts of it.
    """
    passes = updates / per_pass
    if passes < 1 and least <= 1:
        return Length(looks, max(1, round(updates / looks)))
    return Length(max(least, min(most, round(passes))), per_pass)


@dataclass(frozen=True)
class Score:
    """Validation loss and, where there is one, accuracy."""

    loss: float
    accuracy: float | None = None

    @classmethod
    def of(cls, logs: Mapping[str, float]) -> "Score":
        """From the logs of an epoch."""
        plain = {k.removeprefix("val_"): v for k, v in logs.items() if k.startswith("val_")}
        key = accuracy_key(plain)
        loss = float(plain.get("loss", math.nan))
        return cls(loss, None if key is None else float(plain[key]))

    def told(self) -> str:
        """In words."""
        accuracy = "" if self.accuracy is None else f", accuracy {self.accuracy:.1%}"
        return f"validation loss {self.loss:.3f}{accuracy}"


def is_better(score: Score, than: Score | None, *, images: int | None = None) -> bool:
    """Higher validation accuracy; where it is as good as equal, the lower validation loss.

    As good as equal: within one standard error of an accuracy over so many validation images
    (the rule of Breiman et al. 1984, section 3.4.3). On few images the luckiest epoch is
    otherwise taken for the best one. Without `images`: exactly equal. Without an accuracy the
    loss decides.
    """
    if not math.isfinite(score.loss):
        return False
    if than is None:
        return True
    if score.accuracy is None or than.accuracy is None:
        return score.loss < than.loss
    gain = score.accuracy - than.accuracy
    noise = standard_error(than.accuracy, images)
    return gain > noise + 1e-6 or (gain > -noise - 1e-6 and score.loss < than.loss)


def standard_error(accuracy: float, images: int | None) -> float:
    """Of a share of `images`; one more right and one more wrong keep it above zero."""
    if not images:
        return 0.0
    share = (accuracy * images + 1) / (images + 2)
    return math.sqrt(share * (1 - share) / images)


def clearly_better(score: Score, than: Score, images: int | None) -> bool:
    """Higher accuracy by more than chance over so many images; without accuracies lower loss."""
    if score.accuracy is None or than.accuracy is None:
        return loss_rose(score.loss, than.loss, images)
    errors = (standard_error(s.accuracy or 0.0, images) for s in (score, than))
    return score.accuracy - than.accuracy > LUCK * math.hypot(*errors) + 1e-6


def loss_rose(before: float, after: float, images: int | None) -> bool:
    """Whether it rose by more than chance: losses of single images spread as far as their mean."""
    return after - before > (LUCK * math.hypot(before, after) / math.sqrt(images) if images else 0)


def fit(
    model: keras.Model,
    data: TrainingData,
    batch_size: int,
    length: Length,
    *,
    purpose: str,
    start: int = 0,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> dict[str, list[float]]:
    """Train from epoch `start` on; the history. A loss that is not finite ends it."""
    with repaired():  # a batch that does not divide evenly over the devices of a strategy
        return model.fit(
            data.train(batch_size, purpose=purpose, skip=start * length.updates),
            epochs=length.epochs,
            initial_epoch=start,
            steps_per_epoch=length.updates,
            validation_data=data.val(),
            shuffle=False,  # the pipeline shuffles
            verbose=0,
            callbacks=[keras.callbacks.TerminateOnNaN(), *callbacks],
        ).history
