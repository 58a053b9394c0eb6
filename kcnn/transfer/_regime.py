"""Which way to transfer: a new head alone, or the backbone too."""

from dataclasses import dataclass

__all__ = ["Regime", "regime"]

# Images per class from which fine-tuning is recommended. Where the two regimes cross depends on
# how far the new images are from the backbone's. benchmarks/transfer.py (ImageNet to Fashion-MNIST,
# which is far): the frozen backbone beats fine-tuning everything at once with 10 per class and
# loses with 100; after the head's own stage, fine-tuning is level with 2 and ahead from 10.
_ENOUGH = 50


@dataclass(frozen=True)
class Regime:
    """Which way to transfer: `name` is "linear_probe" or "fine_tune", `reason` says why.

    >>> kcnn.transfer.regime(100_000, 10).name
    'fine_tune'
    """

    name: str
    reason: str
    images_per_class: float


def regime(n_images: int, classes: int) -> Regime:
    """Recommend one of the two regimes of transfer for a data set of this size.

    A rule of thumb, on the careful side: 50 images per class and more are fine-tuned. For
    images unlike those the backbone has seen `fine_tune` can pay with fewer; try both.

    Raises:
        ValueError: fewer than one class, or fewer images than classes.

    >>> regime(50, 5).name
    'linear_probe'
    """
    if classes < 1 or n_images < classes:
        raise ValueError(
            "regime: there must be at least one class and one image of each. "
            f"Received: n_images={n_images}, classes={classes}."
        )
    each = n_images / classes
    if each < _ENOUGH:
        reason = (
            f"{each:.0f} images per class are too few to move millions of weights without "
            "fitting the noise: keep the pretrained features and train a new head on them."
        )
        return Regime("linear_probe", reason, each)
    reason = (
        f"{each:.0f} images per class are enough to adapt the features: train the head first, "
        "then all of the network at a tenth of the rate."
    )
    return Regime("fine_tune", reason, each)
