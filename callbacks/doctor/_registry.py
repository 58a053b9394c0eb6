"""The registry of checks, as ruff has rules: each one file, found by stage, chosen by id."""

import dataclasses
import difflib
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from kcnn.callbacks.causes import CAUSES
from kcnn.callbacks.doctor._hypothesis import Certainty, Hypothesis
from kcnn.callbacks.doctor.interventions import AS_IT_IS, Intervention

__all__ = [
    "COSTS", "Check", "Parameter", "Selection", "check", "likely", "parameter", "possible",
    "proven", "registered",
]  # fmt: skip

# Layers, rows, first weights, epochs, afterwards.
STAGES = ("static", "data", "start", "run", "end")
COSTS = ("free", "rows", "pass", "training")  # arithmetic, all rows, a batch through it, trials

# What a check may ask for before it is run.
NEEDS: dict[str, Callable[[Any], bool]] = {
    "graph": lambda context: context.has_graph,
    "targets": lambda context: context.task is not None,
    "classes": lambda context: context.task is not None and context.task.exclusive,
    "arrays": lambda context: context.case.train.single,
    "validation": lambda context: context.case.val is not None,
    "trials": lambda context: context.trials is not None,
    "no trials": lambda context: context.trials is None,
}


@dataclasses.dataclass(frozen=True)
class Parameter:
    """A number of a check, and why it is what it is."""

    default: float
    reason: str


def parameter(default: float, reason: str) -> Any:
    """Declare a number that users may set: the default of a keyword-only argument.

    >>> parameter(0.1, "a tenth of a data set is no accident").default
    0.1
    """
    return Parameter(default, reason)


@dataclasses.dataclass(frozen=True)
class Check:
    """One check: what it looks for, when, at what cost, and how.

    Args:
        causes: Labels that it can name; a hypothesis without a label gets the first.
        cure: The intervention that would confirm it, where hypotheses bring none.
        per_output: True when it is asked for each output of the model by itself.

    >>> one = next(one for one in registered() if one.id == "target_scale")
    >>> one.causes, one.stage
    (('unnormalized_targets',), 'data')
    """

    id: str
    causes: tuple[str, ...]
    stage: str
    cost: str
    needs: tuple[str, ...]
    cure: Intervention
    per_output: bool
    text: str
    parameters: Mapping[str, Parameter]
    function: Callable[..., Iterable[Hypothesis] | None]

    def hypotheses(self, context: Any, numbers: Mapping[str, float]) -> Iterator[Hypothesis]:
        """What it finds in a program; nothing where what it needs is not there."""
        if not all(NEEDS[need](context) for need in self.needs):
            return
        values = {name: one.default for name, one in self.parameters.items()} | dict(numbers)
        for looked in context.outputs if self.per_output else [context]:
            for found in self.function(looked, **values) or ():
                yield dataclasses.replace(
                    found,
                    cause=found.cause or self.causes[0],
                    cure=found.cure or self.cure,
                    check=self.id,
                    stage=self.stage,
                    seen=looked.prefix + found.seen if self.per_output else found.seen,
                )


def proven(seen: str, expected: str, advice: str, where: Any = None, **more: Any) -> Hypothesis:
    """A cause that the facts alone prove.

    >>> proven("learning rate 0", "about 0.001", "Raise it.").certainty.name
    'PROVEN'
    """
    return Hypothesis(Certainty.PROVEN, seen, expected, advice, where, **more)


def likely(seen: str, expected: str, advice: str, where: Any = None, **more: Any) -> Hypothesis:
    """A cause that a trial should confirm: what was seen is odd in itself.

    >>> likely("dropout of 0.95", "up to 0.5", "Lower it.", "dropout_1").where
    'dropout_1'
    """
    return Hypothesis(Certainty.LIKELY, seen, expected, advice, where, **more)


def possible(seen: str, expected: str, advice: str, where: Any = None, **more: Any) -> Hypothesis:
    """An ordinary setting that may be the cause: named only when a trial confirms it.

    >>> possible("batches of 4", "16 to 128", "Enlarge them.").is_proven
    False
    """
    return Hypothesis(Certainty.POSSIBLE, seen, expected, advice, where, **more)


_CHECKS: dict[str, Check] = {}


def check(
    id: str,
    *causes: str,
    stage: str,
    cost: str = "free",
    needs: tuple[str, ...] = (),
    cure: Intervention = AS_IT_IS,
    per_output: bool = False,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a check: a function of the `Context` that yields hypotheses.

    Keyword-only arguments with `parameter(default, reason)` are its numbers; the first line of
    its docstring says what it looks for.

    >>> @check("empty_rows", "nan_inputs", stage="data", needs=("arrays",))
    ... def empty_rows(context, *, share=parameter(0.1, "a tenth of a data set is no accident")):
    ...     \"\"\"Rows that are zero throughout.\"\"\"
    ...     x = context.case.train.x
    ...     empty = (x.reshape(len(x), -1) == 0).all(1).mean()
    ...     if empty > share:
    ...         yield likely(f"{empty:.0%} of the rows are empty", "filled rows", "Drop them.", "x")
    """
    _one_of("stage", stage, STAGES)
    _one_of("cost", cost, COSTS)
    for need in needs:
        _one_of("needs", need, NEEDS)
    if not causes:
        raise ValueError(f"check {id!r}: name the cause that it looks for, one of {list(CAUSES)}")
    for cause in causes:
        _one_of("cause", cause, CAUSES)

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        known = _CHECKS.get(id)
        if known is not None and known.function.__qualname__ != function.__qualname__:
            raise ValueError(f"check {id!r}: the id is taken by {known.function.__module__}")
        numbers = {
            name: argument.default
            for name, argument in inspect.signature(function).parameters.items()
            if isinstance(argument.default, Parameter)
        }
        text = (inspect.getdoc(function) or "").partition("\n")[0]
        _CHECKS[id] = Check(
            id, causes, stage, cost, needs, cure, per_output, text, numbers, function
        )
        return function

    return register


def registered(*stages: str) -> list[Check]:
    """The registered checks of some stages (all of them by default), cheapest first.

    >>> "nonfinite" in [one.id for one in registered("data")]
    True
    """
    from kcnn.callbacks.doctor import checks as own  # noqa: F401 - importing them registers them

    found = [one for one in _CHECKS.values() if not stages or one.stage in stages]
    return sorted(found, key=lambda one: (STAGES.index(one.stage), COSTS.index(one.cost)))


@dataclasses.dataclass(frozen=True)
class Selection:
    """Which checks are run, and with which numbers.

    Args:
        select: Ids; empty for all.
        ignore: Ids left out.
        parameters: Check id to its numbers by name.

    Raises:
        ValueError: for an id or a parameter that does not exist.
    """

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    parameters: Mapping[str, Mapping[str, float]] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        known = {one.id: one for one in registered()}
        for name in (*self.select, *self.ignore, *self.parameters):
            _one_of("check", name, known)
        for name, numbers in self.parameters.items():
            for number in numbers:
                _one_of(f"parameter of {name}", number, known[name].parameters)

    def checks(self, *stages: str) -> list[Check]:
        return [
            one
            for one in registered(*stages)
            if one.id not in self.ignore and (not self.select or one.id in self.select)
        ]


def _one_of(what: str, name: str, known: Iterable[str]) -> None:
    if name not in known:
        near = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(known)}."
        raise ValueError(f"doctor: unknown {what} {name!r}; {hint}")
