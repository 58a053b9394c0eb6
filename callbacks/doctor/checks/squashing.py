from kcnn.callbacks.doctor._registry import check, proven
from kcnn.callbacks.doctor.program.customary import right_head

KNOWN = ("softmax", "sigmoid", "relu", "tanh", "leaky_relu")


@check("squashing", "loss_activation_mismatch", stage="data", per_output=True)
def squashing(output):
    """Scores into a loss that wants probabilities, or probabilities squashed twice."""
    head, loss, task = output.head, output.loss, output.task
    if loss.kind not in ("bce", "cce", "scce") or task.kind in ("regression", "other"):
        return
    if head.rank != 2:
        return
    more = {"where": "compile(loss=...)", "evidence": output.evidence}
    squashes = [a for a in head.activations if a in ("softmax", "sigmoid")]
    outside = (head.low < -0.01 or head.high > 1.01) and head.activation not in KNOWN
    bare = not head.activations and head.seen
    if (bare or outside) and not loss.from_logits:
        seen = f"raw scores into {loss.name}, which wants probabilities"
        advice = "Add the activation to the last layer, or from_logits=True to the loss."
        yield proven(seen, right_head(task), advice, **more)
    if len(squashes) >= 2:
        seen, advice = f"squashed twice: {' of '.join(squashes)}", "Remove one of the two."
        yield proven(seen, "one softmax or sigmoid", advice, **more)
    elif squashes and loss.squashes:
        seen = f"{loss.name} squashes what the {squashes[0]} of the last layer has squashed"
        advice = "Remove the activation of the last layer."
        yield proven(seen, "one softmax or sigmoid", advice, **more)
