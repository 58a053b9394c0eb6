"""One change to a program that can be tried on a copy, and that says itself in words."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["AS_IT_IS", "Edit", "Intervention"]


@dataclasses.dataclass(frozen=True)
class Edit:
    """A change to the layers of a network.

    Args:
        tried: What is changed, for "on a copy with ...".
        advice: The same as what to do.
        build: `build(model)` answers `edit(layer) -> layer or None` (None leaves it as it is).

    >>> nothing = Edit("nothing changed", "", lambda model: lambda layer: None)
    >>> Intervention(edit=nothing).tried(0.001)
    'nothing changed'
    """

    tried: str
    advice: str
    build: Callable[[Any], Callable[[Any], Any]] = dataclasses.field(compare=False)


# What a field of an intervention changes, and what to do about it.
WORDS = {
    "hold": ("the first learning rate held to the end",
             "Let the schedule fall later: larger decay_steps, or a larger decay_rate."),
    "scale_x": ("inputs scaled to mean 0 and spread 1",
                "Scale the inputs to mean 0 and spread 1, in training and validation alike: "
                "keras.layers.Normalization() adapted to x, or x / 255.0 for images."),
    "unit_x": ("inputs scaled to 0..1",
               "Scale the inputs to 0..1, in training and validation alike: x / 255.0 for bytes."),
    "scale_y": ("targets scaled to mean 0 and spread 1",
                "Train on (y - y.mean()) / y.std() and undo it after predict."),
    "balance": ("every class weighted alike",
                "Pass class_weight={...} to fit so that every class counts alike."),
    "clip": ("gradients clipped (clipnorm=1.0)", "Set clipnorm=1.0 in the optimizer."),
    "head": ("the customary last activation and loss", ""),
    "bare": ("the last activation taken out", "Remove the activation of the last layer."),
    "fresh": ("weights drawn anew (random normal, biases 0)",
              "Remove kernel_initializer and bias_initializer, or use 'he_normal'."),
    "shuffle": ("shuffled rows", "Set shuffle=True, or shuffle the rows before fit "
                "(dataset.shuffle(len(x)))."),
    "longer": ("training that goes on", ""),
    "plain_step": ("the standard train_step in place of the model's own", ""),
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Intervention:
    """A change to data, rates, loss or network; False where it changes nothing (`AS_IT_IS`).

    Args:
        scale_x, scale_y: Inputs, targets scaled to mean 0 and spread 1.
        unit_x: Inputs scaled to 0..1: where they are the targets as well.
        balance: Every class weighted alike.
        shuffle: Rows in random order.
        batch: Samples a step; as many samples are seen in all.
        rate: Factor on the learning rate; with `optimizer`, the rate itself.
        hold: The first rate of a schedule kept to the end.
        optimizer: Another optimizer, by name.
        clip: Gradients clipped.
        longer: Training goes on from where the run ended.
        head: The customary last activation and loss.
        bare: No activation behind the last layer: scores, which the loss squashes.
        fresh: Weights drawn anew.
        plain_step: The standard training step in place of the model's own.
        edit: A change of layers.
        last: Tried only where no other change mended anything.

    >>> Intervention(rate=10.0).advice(0.0001, "Adam")
    'Set learning_rate=0.001 in Adam(...).'
    """

    scale_x: bool = False
    unit_x: bool = False
    scale_y: bool = False
    balance: bool = False
    shuffle: bool = False
    batch: int | None = None
    rate: float = 1.0
    hold: bool = False
    optimizer: str = ""
    clip: bool = False
    longer: bool = False
    head: bool = False
    bare: bool = False
    fresh: bool = False
    plain_step: bool = False
    edit: Edit | None = None
    last: bool = False

    def __bool__(self) -> bool:
        return self != AS_IT_IS

    def tried(self, rate: float) -> str:
        """What was changed, with its numbers; `rate` is the program's own learning rate."""
        return ", ".join(tried for tried, _ in self._words(rate))

    def advice(self, rate: float, optimizer: str) -> str:
        """The very change as what to do; empty where the hypothesis has to say it."""
        return " ".join(advice for _, advice in self._words(rate, optimizer) if advice)

    def _words(self, rate: float, optimizer: str = "") -> Iterator[tuple[str, str]]:
        yield from (words for name, words in WORDS.items() if getattr(self, name))
        if self.edit is not None:
            yield self.edit.tried, self.edit.advice
        new = f"{self.rate if self.optimizer else self.rate * rate:.2g}"
        if self.optimizer:
            made = f"keras.optimizers.{self.optimizer}({new})"
            yield f"{self.optimizer} at learning rate {new}", f"Use {made}."
        elif self.rate != 1.0:
            yield f"learning rate {new}", f"Set learning_rate={new} in {optimizer}(...)."
        if self.batch is not None:
            yield f"batches of {self.batch}", f"Set batch_size={self.batch} in fit."


AS_IT_IS = Intervention()
