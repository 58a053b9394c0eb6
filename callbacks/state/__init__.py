"""A model's training state: copied, put back, and trained for a while without a trace."""

from kcnn.callbacks.state._guard import AbortGuard
from kcnn.callbacks.state._hidden_steps import HiddenSteps
from kcnn.callbacks.state._optimizer import (
    RateControl,
    batches_per_update,
    innermost,
    present_rate,
    steps_per_update,
)
from kcnn.callbacks.state._regularization import SwitchedOff
from kcnn.callbacks.state._short_training import ShortTraining
from kcnn.callbacks.state._snapshot import (
    Snapshot,
    all_built,
    copies,
    finished,
    put_back,
    require_compiled,
    state_variables,
    sync,
)

__all__ = [
    "AbortGuard", "HiddenSteps", "RateControl", "ShortTraining", "Snapshot", "SwitchedOff",
    "all_built", "batches_per_update", "copies", "finished", "innermost", "present_rate",
    "put_back", "require_compiled", "state_variables", "steps_per_update", "sync",
]  # fmt: skip
