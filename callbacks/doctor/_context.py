"""What is known of a program before it trains: its call of `fit`, graph, outputs, loss and task."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np

from kcnn.callbacks.data import Case, Census
from kcnn.callbacks.doctor._hypothesis import Hypothesis
from kcnn.callbacks.doctor._priors import prior_of
from kcnn.callbacks.doctor._registry import COSTS, Selection
from kcnn.callbacks.doctor._trace import first_rows
from kcnn.callbacks.doctor.program.customary import CustomaryEnd
from kcnn.callbacks.doctor.program.graph import flat_layers, kernel_of, known_graph
from kcnn.callbacks.doctor.program.head import HeadFacts, read_head
from kcnn.callbacks.doctor.program.layer_reading import LayerReading
from kcnn.callbacks.doctor.program.loss import LossFacts, metric_names, read_loss
from kcnn.callbacks.doctor.program.outputs import Output, read_outputs
from kcnn.callbacks.doctor.program.rates import customary_rate, peak_rate
from kcnn.callbacks.doctor.program.rows import few
from kcnn.callbacks.doctor.program.task import TaskFacts, read_task
from kcnn.callbacks.doctor.program.view import graph_of, has_call
from kcnn.callbacks.state import innermost

__all__ = ["Context", "read_context"]

SCORES = ("auc", "precision", "recall")  # metrics that speak of classes, beside accuracies


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


def read_context(model: keras.Model, case: Case, selection: Selection | None = None) -> Context:
    """Read a program; a part that cannot be read is told in `case.unseen`."""
    context = Context(model, case, selection or Selection(), graph=model)
    read = functools.partial(_read, case)
    x = first_rows(case.train.x, few(case.train.x))
    out = None
    if has_call(model):
        out = read("predicting with the model", lambda: _predictions(model, x), blind=False)
    else:
        case.unseen.append("the outputs: the model has no call(inputs)")
    context.metrics = read("reading the metrics", lambda: metric_names(model)) or []
    context.graph = read("reading the graph", lambda: graph_of(model, first_rows(x, 2))) or model
    if has_call(model) and not context.has_graph:
        case.unseen.append("the order of the layers: the model's call cannot be traced")
    y = case.train.y
    if out is None or any(leaf is None for leaf in keras.tree.flatten(y)):
        return context
    if isinstance(out, np.ndarray) and isinstance(y, np.ndarray):
        if y.dtype.kind in "biuf":
            read("reading the task", lambda: _read_single(context, out))
    else:
        context.outputs = (
            read("reading the outputs", lambda: read_outputs(context.graph, model.loss, out, y))
            or []
        )
    return context


def _read(case: Case, what: str, reader: Callable[[], Any], blind: bool = True) -> Any:
    try:
        return reader()
    except Exception as error:
        case.broke(what, error, blind=blind)
        return None


def _predictions(model: keras.Model, x: Any) -> Any:
    out = model(x, training=False)
    return keras.tree.map_structure(lambda t: keras.ops.convert_to_numpy(t), out)


def _read_single(context: Context, out: np.ndarray) -> None:
    flat = keras.tree.flatten(context.model.loss)
    context.loss = read_loss(flat[0] if len(flat) == 1 else None)
    context.head = read_head(context.graph, out)
    names = [name for name, _ in context.metrics]
    scores = any("acc" in name or name in SCORES for name in names)
    y = _all_targets(context.case)
    context.task = read_task(y, loss=context.loss, units=context.head.units, scores=scores)
    one = Output("", 0, 0, context.head, context.loss, context.task, context.case.train.y, out)
    context.outputs = [one.place_by_place() if context.head.rank != 2 else one]


def _all_targets(case: Case) -> np.ndarray:
    """Training targets; behind them every other label that went by, and those of validation."""
    y = case.train.y
    parts = [y]
    census = case.census if isinstance(case.census, Census) else None
    if census is not None and census.values is not None and y.shape[1:] in ((), (1,)):
        parts.append(census.values.astype(y.dtype).reshape(-1, *y.shape[1:]))
    if case.val is not None and isinstance(case.val.y, np.ndarray):
        parts += [case.val.y] if case.val.y.shape[1:] == y.shape[1:] else []
    return np.concatenate(parts)
