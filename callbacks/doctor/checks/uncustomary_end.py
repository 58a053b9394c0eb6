from kcnn.callbacks.doctor._registry import check, possible
from kcnn.callbacks.doctor.interventions import Intervention
from kcnn.callbacks.doctor.program.customary import right_head


@check(
    "uncustomary_end", "wrong_output_activation", "wrong_loss", stage="end",
    needs=("trials", "targets"), cure=Intervention(head=True),
)  # fmt: skip
def uncustomary_end(context):
    """Another last activation or loss than is customary: worth a trial with those."""
    customary, head, loss = context.customary, context.head, context.loss
    if not customary.differs(context):
        return
    other = loss.kind != customary.facts.kind
    right = right_head(context.task)
    yield possible(
        f"{head.activation} output with {loss.name}", right, f"Use {right}.",
        "compile(loss=...)" if other else head.layer,
        cause="wrong_loss" if other else "wrong_output_activation",
    )  # fmt: skip
