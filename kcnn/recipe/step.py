"""What a step of the recipe is, and what it is given."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from kcnn.callbacks import Finding
from kcnn.recipe.clock import Clock
from kcnn.recipe.display import Display
from kcnn.recipe.model_cache import ModelCache
from kcnn.recipe.settings import BUDGETS, Budget, Settings
from kcnn.recipe.space import Space
from kcnn.recipe.training_data import TrainingData
from kcnn.report import Block

__all__ = ["Context", "Outcome", "Step", "status_of"]

R = TypeVar("R")


@dataclass(frozen=True)
class Outcome(Generic[R]):
    """What a step found: a result for whoever goes on with it, findings for people."""

    result: R
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """True unless something should be done."""
        return all(finding.ok for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """A dict of JSON types."""
        result: Any = self.result
        return {"result": asdict(result), "findings": [f.to_dict() for f in self.findings]}


@dataclass
class Context:
    """What the steps of a run share; `results` holds those of the steps before, by name."""

    settings: Settings
    models: ModelCache
    data: TrainingData
    space: Space
    batch_size: int
    state: Path
    display: Display = field(default_factory=Display)
    clock: Clock = field(default_factory=Clock)
    results: dict[str, Any] = field(default_factory=dict)
    logs: Path | None = None
    run_id: str = "run"
    identity: dict[str, Any] = field(default_factory=dict)

    @property
    def budget(self) -> Budget:
        """The numbers of the budget that was asked for."""
        return BUDGETS[self.settings.budget]

    @property
    def hp(self) -> dict[str, Any]:
        """The values before the search; the learning rate is not known yet."""
        return {**self.space.defaults(), "batch_size": self.batch_size}

    def updates_per_pass(self, batch_size: int) -> int:
        """Optimizer steps in one pass over the training images."""
        return max(1, self.data.train_images // batch_size)


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


def status_of(findings: Iterable[Finding]) -> str:
    """The worst verdict among the findings: "ok", "warning" or "failure"."""
    severities = {finding.severity for finding in findings}
    return next((s for s in ("failure", "warning") if s in severities), "ok")
