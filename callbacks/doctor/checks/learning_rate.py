import numpy as np

from kcnn.callbacks.doctor._registry import check, likely, parameter, possible, proven
from kcnn.callbacks.doctor.interventions import Intervention
from kcnn.callbacks.doctor.program.graph import is_norm

WHERE = "compile(optimizer=...)"
PLAIN = ("SGD", "Adadelta", "Adagrad", "Ftrl")
# What normalization stands: SGD with momentum 0.9 at 0.1 (arXiv:1512.03385), at 0.01 without
# (arXiv:1409.1556).
NORMALIZED = 10.0


def told(context, kind, seen, *, expected="", advice="", **more):
    """A hypothesis about the rate."""
    name, usual = context.optimizer_name, context.customary_rate
    advice = advice or f"Set learning_rate={usual:g} in {name}(...)."
    evidence = {"learning_rate": context.rate, "usual": usual, "optimizer": name}
    return kind(seen, expected or f"about {usual:g}", advice, WHERE, evidence=evidence, **more)


def lowered(context):
    """The rate at a tenth, or at the customary one where that is lower."""
    return Intervention(rate=min(0.1, context.customary_rate / context.rate))


def raised(context):
    """The rate at ten times, or at the customary one where that is higher."""
    return Intervention(rate=max(10.0, context.customary_rate / context.rate))


def pace(context):
    """The rate over the customary one; a step of SGD goes 1 / (1 - momentum) times its rate."""
    momentum = float(getattr(context.inner_optimizer, "momentum", 0.0) or 0.0)
    sgd = context.optimizer_name == "SGD"
    return context.rate / (max(1 - momentum, 1e-2) if sgd else 1.0) / context.customary_rate


@check("rate_too_high", "lr_too_high", stage="static")
def rate_too_high(
    context,
    *,
    times=parameter(8, "times the customary rate: beyond what people set on purpose"),
    odd=parameter(18, "the same, odd in itself"),
):
    """A rate of the wrong sign, or far above what is customary."""
    rate, times_usual = context.rate, pace(context)
    if context.optimizer_name == "SGD" and any(is_norm(layer) for layer in context.layers):
        times_usual /= NORMALIZED
    if not np.isfinite(rate) or rate < 0:
        seen = f"learning rate {rate:g}: the loss is climbed, not descended"
        yield told(context, proven, seen)
    elif times_usual >= times:
        kind = likely if times_usual >= odd else possible
        strength = np.log10(times_usual / odd) / 1.25 if kind is likely else 0.5
        seen = f"learning rate {rate:g} of {context.optimizer_name}"
        yield told(context, kind, seen, strength=strength, cure=lowered(context))


@check("rate_too_low", "lr_too_low", stage="static")
def rate_too_low(
    context,
    *,
    times=parameter(0.6, "of the customary rate: a trial is worth its steps"),
    odd=parameter(0.1, "the same, odd in itself"),
):
    """A rate of zero, or far below what is customary."""
    rate = context.rate
    if rate == 0:
        yield told(context, proven, "learning rate 0")
    elif 0 < pace(context) <= times:
        below = np.log10(odd / pace(context))
        kind = likely if below >= 0 else possible
        strength = below / 1.45 if kind is likely else 1 + below / np.log10(times / odd)
        seen = f"learning rate {rate:g} of {context.optimizer_name}"
        yield told(context, kind, seen, strength=strength, cure=raised(context))


@check("rate_up_or_down", "lr_too_high", "lr_too_low", stage="end", needs=("trials",))
def rate_up_or_down(context):
    """Any rate may be wrong for a network: worth a trial at a tenth and at ten times."""
    if context.rate > 0:
        seen = f"learning rate {context.rate:g} of {context.optimizer_name}"
        more = {"expected": "the rate at which this network learns best"}
        yield told(context, possible, seen, cure=lowered(context), **more)
        yield told(context, possible, seen, cure=raised(context), cause="lr_too_low", **more)


@check(
    "fading_schedule", "lr_too_low", stage="end", needs=("trials",), cure=Intervention(hold=True)
)
def fading_schedule(
    context, *, most=parameter(0.3, "share of steps under a hundredth of the start")
):
    """A learning rate that has faded for much of the run."""
    rates, share = context.trials.rates, fading(context.trials.rates)
    if share > most:
        seen = (
            f"the learning rate falls from {rates.max():.2g} to {rates[-1]:.2g}: in "
            f"{100 * share:.0f} % of the steps it is under a hundredth of its start"
        )
        more = {"expected": "a rate that falls late in training", "strength": share}
        yield told(context, possible, seen, advice="Let the schedule fall more slowly.", **more)


def fading(rates: np.ndarray) -> float:
    """Share of the steps taken at less than a hundredth of the largest rate."""
    return float(np.mean(rates < 0.01 * rates.max())) if rates.size else 0.0


@check(
    "plain_optimizer", "lr_too_low", "lr_too_high", stage="end", needs=("trials",),
    cure=Intervention(optimizer="Adam", rate=3e-3, last=True),
)  # fmt: skip
def plain_optimizer(
    context,
    *,
    odd=parameter(0.7, "prior of a hypothesis that is likelier: Adam gets over many a fault"),
    times=parameter(2, "of the customary rate, up to which a rate may be too low"),
):
    """A run that learned nothing under a plain optimizer: does Adam learn in its place?"""
    name = context.optimizer_name
    lost = context.final.train < 0.15
    others = [h for h in context.found if h.prior >= odd and (lost or not h.cure)]
    if name not in PLAIN or context.base.score >= 0.5 or others:
        return
    low = context.rate <= times * context.customary_rate
    seen = f"{name} at learning rate {context.rate:g} leaves the network where it started, Adam not"
    yield told(
        context, possible, seen, expected="an optimizer and a rate under which the loss falls",
        advice=f"Use keras.optimizers.Adam(0.003), or another learning rate of {name}.",
        cause="lr_too_low" if low else "lr_too_high",
    )  # fmt: skip
