"""The numbers that the rules of `read_curves` look at."""

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np

from kcnn.callbacks.curves._stats import Valley, noise_level, normal_cdf, slope, valley

__all__ = ["SURE", "Facts", "ending", "facts_of"]

SURE = 0.95
LATE = 0.15  # of the whole decrease in the last third: not yet leveled off
SPENT, LEVEL = 0.05, 0.02  # of the first loss, and of the decrease in the last third


@dataclasses.dataclass(frozen=True)
class Facts:
    """Curves and what they measure. Arrays of shape (epochs,), float64; None if absent."""

    epochs: int
    numbers: np.ndarray  # of the epochs, from 1
    loss: np.ndarray
    val_loss: np.ndarray | None
    accuracy: np.ndarray | None
    val_accuracy: np.ndarray | None
    finite: bool
    noise: float
    drop: float  # of the training loss, start to end
    valley: Valley | None  # of the validation loss
    trend: tuple[float, float]  # of the training loss's last third: per epoch, its error
    val_trend: tuple[float, float] | None

    @property
    def last(self) -> int:
        """Epochs in the last third, 3 at least."""
        return max(3, self.epochs // 3)

    @property
    def last_epoch(self) -> int:
        return int(self.numbers[-1])

    @property
    def bounded(self) -> bool:
        """Whether 0 is the end of all learning: not for losses that may be negative."""
        return bool((self.loss >= 0).all())

    @property
    def scale(self) -> float:
        """What a loss is large or small against: the first one, or its range where it has no 0."""
        return abs(float(self.loss[0])) if self.bounded else float(np.ptp(self.loss))

    @property
    def end_loss(self) -> float:
        return ending(self.loss)

    @property
    def gap(self) -> float | None:
        """Validation loss less training loss, at the end."""
        return None if self.val_loss is None else ending(self.val_loss) - self.end_loss

    @property
    def late_share(self) -> float:
        """Share of the whole decrease that the last third brought (validation, if there is)."""
        curve = self.loss if self.val_loss is None else self.val_loss
        reached = max(float(curve[0] - curve.min()), 1e-12)
        return -(self.val_trend or self.trend)[0] * self.last / reached

    @property
    def improving(self) -> bool:
        """Whether the (validation) loss still falls, and training longer is what it needs."""
        return self._falling and self.trend[0] < 0 and not self.spent

    @property
    def catching_up(self) -> bool:
        """Whether the validation loss still falls though training has nothing left to learn."""
        return self.val_trend is not None and self._falling and self.spent

    @property
    def spent(self) -> bool:
        """Whether the training loss is nearly nothing and level."""
        gained = abs(self.trend[0]) * self.last
        return self.bounded and self.end_loss <= SPENT * self.scale and gained <= LEVEL * self.drop

    @property
    def _falling(self) -> bool:
        """Whether the (validation) loss still falls, by more than noise and by a good part."""
        per_epoch, error = self.val_trend or self.trend
        sure = normal_cdf(-per_epoch / error) if error > 0 else float(per_epoch < 0)
        return sure >= SURE and self.late_share >= LATE

    @property
    def fitted(self) -> bool:
        """Whether the training data themselves are learned."""
        if self.accuracy is not None and np.isfinite(self.accuracy).all():
            return ending(self.accuracy) >= 0.75
        return self.drop >= 0.4 * self.scale


def facts_of(history: Mapping[str, Sequence[float]], epochs: Sequence[int] | None = None) -> Facts:
    """Measure a history; see `read_curves` for what it holds."""
    if not isinstance(history, Mapping):
        raise ValueError(
            "read_curves: history must be what `fit` returns or a dict of curves; received "
            f"{type(history).__name__}."
        )
    if "loss" not in history or not len(history["loss"]):
        raise ValueError(
            "read_curves: history needs 'loss' with one value per epoch; received "
            f"{sorted(history)}."
        )
    loss = np.asarray(history["loss"], "float64")
    numbers = np.arange(1, len(loss) + 1) if epochs is None else np.asarray(epochs, int)
    if numbers.shape != loss.shape:
        raise ValueError(
            f"read_curves: epochs has {numbers.size} numbers for {len(loss)} values of 'loss'."
        )
    val_loss = _curve(history, "val_loss", len(loss))
    names = [n for n in history if "acc" in n.lower() and not n.startswith("val_")]
    name = next(iter([n for n in names if f"val_{n}" in history] or names), None)
    accuracy = _curve(history, name, len(loss)) if name else None
    val_accuracy = _curve(history, f"val_{name}", len(loss)) if name else None
    shown = [loss] if val_loss is None else [loss, val_loss]
    finite = all(bool(np.isfinite(curve).all()) for curve in shown)
    last = max(3, len(loss) // 3)
    whole = finite and len(loss) >= 3
    return Facts(
        epochs=len(loss),
        numbers=numbers,
        loss=loss,
        val_loss=val_loss,
        accuracy=accuracy,
        val_accuracy=val_accuracy,
        finite=finite,
        noise=noise_level(loss) if finite else math.nan,
        drop=float(loss[0] - ending(loss)) if finite else math.nan,
        valley=valley(val_loss) if whole and val_loss is not None else None,
        trend=slope(loss[-last:]) if whole else (0.0, math.inf),
        val_trend=slope(val_loss[-last:]) if whole and val_loss is not None else None,
    )


def ending(curve: np.ndarray) -> float:
    """Level at the end: the mean of the last tenth of the epochs (1 to 5 of them)."""
    return float(np.mean(curve[-min(5, max(1, len(curve) // 10)) :]))


def _curve(history: Mapping[str, Sequence[float]], name: str, epochs: int) -> np.ndarray | None:
    if name not in history or not len(history[name]):
        return None
    curve = np.asarray(history[name], "float64")
    if len(curve) != epochs:
        raise ValueError(
            f"read_curves: every curve needs one value per epoch; 'loss' has {epochs}, "
            f"{name!r} has {len(curve)}. With validation_freq above 1 give the validated epochs "
            "alone, and their numbers as epochs=[...]."
        )
    return curve
