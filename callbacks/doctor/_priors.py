"""How likely what a check saw is the root cause, before any trial."""

import numpy as np

from kcnn.callbacks.doctor._hypothesis import Certainty, Hypothesis

__all__ = ["prior_of"]

POSSIBLE, LIKELY = Certainty.POSSIBLE, Certainty.LIKELY

# Likelihood before any trial, for the weakest and for the strongest sight of a check, found on
# the tuning half of benchmarks/doctor. What is likelier is tried first and has less to win.
# A check that is not here takes the middle of its certainty.
MIDDLE = {POSSIBLE: (0.4, 0.4), LIKELY: (0.7, 0.7)}
PRIORS: dict[str, dict[Certainty, tuple[float, float]]] = {
    # outputs, loss, labels
    "output_activation": {LIKELY: (0.6, 0.85), POSSIBLE: (0.5, 0.5)},
    "output_loss": {LIKELY: (0.75, 0.88), POSSIBLE: (0.3, 0.5)},
    "output_units": {LIKELY: (0.6, 0.6)},
    "output_layers": {LIKELY: (0.6, 0.85)},
    # layers
    "linear_layers": {LIKELY: (0.7, 0.89), POSSIBLE: (0.45, 0.45)},
    "narrow_layers": {LIKELY: (0.7, 0.7), POSSIBLE: (0.5, 0.5)},
    "small_maps": {LIKELY: (0.6, 0.6), POSSIBLE: (0.4, 0.55)},
    "frozen_layers": {LIKELY: (0.6, 0.9)},
    "strong_regularization": {LIKELY: (0.6, 0.85)},
    "saturating_layers": {LIKELY: (0.6, 0.8), POSSIBLE: (0.35, 0.5)},
    "runaway_activation": {LIKELY: (0.6, 0.6)},
    "recurrent_growth": {POSSIBLE: (0.55, 0.55)},
    "initial_weights": {LIKELY: (0.6, 0.85), POSSIBLE: (0.45, 0.6)},
    # the optimizer
    "rate_too_high": {LIKELY: (0.6, 0.85), POSSIBLE: (0.5, 0.6)},
    "rate_too_low": {LIKELY: (0.6, 0.89), POSSIBLE: (0.44, 0.6)},
    # data
    "input_scale": {LIKELY: (0.6, 0.88), POSSIBLE: (0.45, 0.5)},
    "target_scale": {LIKELY: (0.6, 0.88), POSSIBLE: (0.45, 0.6)},
    "row_order": {LIKELY: (0.6, 0.75)},
    "class_balance": {LIKELY: (0.75, 0.75), POSSIBLE: (0.5, 0.5)},
    "split_shift": {LIKELY: (0.6, 0.65), POSSIBLE: (0.5, 0.5)},
    # how the run ended
    "dead_units": {LIKELY: (0.8, 0.8), POSSIBLE: (0.5, 0.5)},
    "gradient_size": {LIKELY: (0.6, 0.75)},
    "activation_size": {LIKELY: (0.75, 0.75)},
    "residual_growth": {LIKELY: (0.8, 0.8)},
    "overfitting": {LIKELY: (0.6, 0.6)},
    "label_agreement": {LIKELY: (0.8, 0.8)},
    # ordinary settings that are worth a trial
    "rate_up_or_down": {POSSIBLE: (0.3, 0.3)},
    "fading_schedule": {POSSIBLE: (0.5, 0.7)},
    "batch_size": {POSSIBLE: (0.45, 0.72)},
    "some_regularization": {POSSIBLE: (0.2, 0.55)},
    "random_transforms": {POSSIBLE: (0.55, 0.55)},
    "training_length": {POSSIBLE: (0.35, 0.7)},
    "plain_optimizer": {POSSIBLE: (0.5, 0.5)},
    "both_scales": {POSSIBLE: (0.6, 0.6)},
}


def prior_of(hypothesis: Hypothesis) -> float:
    """Likelihood of a hypothesis before any trial, 0..1."""
    if hypothesis.is_proven:
        return 1.0
    row = PRIORS.get(hypothesis.check, MIDDLE)
    low, high = row.get(hypothesis.certainty, MIDDLE[hypothesis.certainty])
    return low + (high - low) * float(np.clip(hypothesis.strength, 0, 1))
