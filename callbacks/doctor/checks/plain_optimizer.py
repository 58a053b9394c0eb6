from kcnn.callbacks.doctor._registry import check, parameter, possible
from kcnn.callbacks.doctor.interventions import Intervention

PLAIN = ("SGD", "Adadelta", "Adagrad", "Ftrl")


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
    yield possible(
        f"{name} at learning rate {context.rate:g} leaves the network where it started, Adam does "
        "not", "an optimizer and a rate under which the loss falls",
        f"Use keras.optimizers.Adam(0.003), or another learning rate of {name}.",
        "compile(optimizer=...)", cause="lr_too_low" if low else "lr_too_high",
        evidence={"learning_rate": context.rate},
    )  # fmt: skip
