"""What is known of a program before it trains: its call of `fit`, graph, outputs, loss and task."""

import dataclasses
import functools
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from kcnn.callbacks.data import Case
from kcnn.callbacks.doctor._hypothesis import Hypothesis
from kcnn.callbacks.doctor._priors import prior_of
from kcnn.callbacks.doctor._registry import COSTS, Selection
from kcnn.callbacks.doctor.program.customary import CustomaryEnd
from kcnn.callbacks.doctor.program.graph import flat_layers, kernel_of, known_graph
from kcnn.callbacks.doctor.program.head import HeadFacts
from kcnn.callbacks.doctor.program.layer_reading import LayerReading
from kcnn.callbacks.doctor.program.loss import LossFacts
from kcnn.callbacks.doctor.program.outputs import Output
from kcnn.callbacks.doctor.program.rates import customary_rate, peak_rate
from kcnn.callbacks.doctor.program.task import TaskFacts
from kcnn.callbacks.state import innermost

__all__ = ["Context"]


@dataclasses.dataclass
class Context:
    """One program, as checks see it.

    Args:
        model: The user's model.
        case: Its call of `fit`: rows, batch size, steps, epochs.
        graph: The same layers as a Functional model, or the model itself.
        task, head: Of the one output; task is None where there are several, or targets are text.
        loss: What was given to `compile`; of kind "other" where there are several.
        outputs: Each output with its own head, loss and task, as far as they can be judged.
        metrics: Names and objects given to `compile`.
        found: What checks have found so far.
        history: Logs of the epochs so far.
        start, now: Activations (and gradients) before the first step and at present, where
            somebody has looked.
        run, final: The run, and how well it ended (an `Outcome`), once it is over.
        trials: Runs copies under changes, once the run is over.
        base: The program as it is, trained as long as a trial.
    """

    model: keras.Model
    case: Case
    selection: Selection = dataclasses.field(default_factory=Selection)
    graph: Any = None
    task: TaskFacts | None = None
    head: HeadFacts = dataclasses.field(default_factory=lambda: HeadFacts((), 0, 0, seen=False))
    loss: LossFacts = dataclasses.field(default_factory=lambda: LossFacts("other", "unknown"))
    outputs: list[Output] = dataclasses.field(default_factory=list)
    metrics: list[tuple[str, Any]] = dataclasses.field(default_factory=list)
    found: list[Hypothesis] = dataclasses.field(default_factory=list)
    history: dict[str, list[float]] = dataclasses.field(default_factory=dict)
    start: LayerReading | None = None
    now: LayerReading | None = None
    run: Any = None
    final: Any = None
    trials: Any = None
    base: Any = None

    @functools.cached_property
    def layers(self) -> list[Any]:
        """All layers in order, nested models opened."""
        return flat_layers(self.graph)

    @functools.cached_property
    def kernels(self) -> list[Any]:
        """Layers with a kernel, in order."""
        return [layer for layer in self.layers if kernel_of(layer) is not None]

    @functools.cached_property
    def customary(self) -> CustomaryEnd:
        """The customary last activation and loss of the task."""
        return CustomaryEnd(self.task, self.head)

    @property
    def has_graph(self) -> bool:
        return known_graph(self.graph)

    @property
    def own_step(self) -> bool:
        """Whether the model's class trains in a way of its own: trials go through it."""
        kind = type(self.model)
        return (
            kind.train_step is not keras.Model.train_step
            or kind.compute_loss is not keras.Model.compute_loss
        )

    @property
    def by_loss(self) -> bool:
        """Whether only the model's own loss tells how well it does: `compile` was given none."""
        return self.model.loss is None

    @property
    def rate(self) -> float:
        return peak_rate(self.model.optimizer, self.case.steps)

    @property
    def customary_rate(self) -> float:
        return customary_rate(self.model.optimizer)

    @property
    def inner_optimizer(self) -> Any:
        return innermost(self.model.optimizer)[-1]

    @property
    def optimizer_name(self) -> str:
        return type(self.inner_optimizer).__name__

    @property
    def skill(self) -> float:
        """Skill that the program reaches on rows it has not learned, as far as these are there."""
        return (self.base if self.trials.data.held_out else self.final).known

    @property
    def run_lost(self) -> bool:
        """Whether the run ended with a loss that is no number."""
        return not np.all(np.isfinite(self.history.get("loss", [])[-1:]))

    def hypotheses(self, *stages: str, most: str = "training") -> Iterator[Hypothesis]:
        """What the checks of some stages find, with their priors.

        A check that breaks is told as unseen and finds nothing; the others go on. After one that
        proves a cause at the end of a run no costlier one is asked.
        """
        costs: list[str] = []
        for one in self.selection.checks(*stages):
            if costs and one.stage == "end" and one.cost not in costs:
                return
            if COSTS.index(one.cost) > COSTS.index(most):
                continue
            numbers = self.selection.parameters.get(one.id, {})
            try:
                found = list(one.hypotheses(self, numbers))
            except Exception as error:
                self.case.broke(f"the check {one.id}", error)
                continue
            for hypothesis in found:
                if hypothesis.is_proven:
                    costs.append(one.cost)
                hypothesis = dataclasses.replace(hypothesis, prior=prior_of(hypothesis))
                self.found.append(hypothesis)
                yield hypothesis
