"""What a step of the recipe is, and what it finds."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from kcnn.callbacks import Finding
from kcnn.recipe.context import Context
from kcnn.report import Block

__all__ = ["Outcome", "Step", "require_labels", "status_of"]

R = TypeVar("R")


@dataclass(frozen=True)
class Outcome(Generic[R]):
    """What a step found: a result for whoever goes on with it, findings for people.

    >>> outcome = kcnn.recipe.check_initial_loss(model, x, y, classes=10)
    >>> outcome.ok, outcome.findings[0].check
    (True, 'initial_loss')
    """

    result: R
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """True unless something should be done."""
        return all(finding.ok for finding in self.findings)


class Step(ABC, Generic[R]):
    """One step. A new one is a file that defines it, and a line in `kcnn.recipe.steps`.

    Attributes:
        name: in the record and in file names.
        title: for people.
        purpose: in a sentence or two, on the page.
        needs: names of the steps whose results it reads.
        gates: a failure makes the later steps vain: the run stops and the doctor is asked.
        Result: the dataclass of its result.
        schema: version of `Result`, raised when a field changes its meaning.

    >>> from kcnn.recipe.steps import STEPS
    >>> [step.name for step in STEPS]
    ['initial_loss', 'small_sample', 'learning_rates', 'search', 'refine', 'curves']
    """

    name: ClassVar[str]
    title: ClassVar[str]
    purpose: ClassVar[str]
    needs: ClassVar[tuple[str, ...]] = ()
    gates: ClassVar[bool] = True
    schema: ClassVar[int] = 1
    Result: ClassVar[type]

    @abstractmethod
    def run(self, context: Context) -> Outcome[R]:
        """Do it."""

    def expected_seconds(self, context: Context) -> float | None:
        """About how long it will take, None where that is not known yet."""
        return 0.0

    def settle(self, result: R, context: Context) -> None:
        """Put what was found into effect for the later steps, in a resumed run, too."""

    def usable(self, result: R) -> bool:
        """Whether a later step that needs the result can start from it."""
        return True

    def lines(self, result: R) -> Iterable[Any]:
        """What the terminal shows beside the findings: anything that rich prints."""
        return ()

    @abstractmethod
    def page(self, result: R, findings: Sequence[dict[str, Any]]) -> list[Block]:
        """The step's part of the page."""


def require_labels(who: str, x: Any, y: Any) -> None:
    """Refuse images without labels, which Keras would say no clear word about."""
    if y is None and hasattr(x, "shape"):
        raise ValueError(f"{who}: the labels are missing; give x and y, or batches of both.")


def status_of(findings: Iterable[Finding]) -> str:
    """The worst verdict among the findings: "ok", "warning" or "failure"."""
    severities = {finding.severity for finding in findings}
    return next((s for s in ("failure", "warning") if s in severities), "ok")
