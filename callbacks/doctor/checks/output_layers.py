from kcnn.callbacks.doctor._registry import check, likely
from kcnn.callbacks.doctor.interventions.network import bare_end


@check(
    "output_layers", "bad_normalization", "excessive_regularization", stage="static", cure=bare_end
)
def output_layers(context):
    """Normalization or dropout of the outputs themselves."""
    head, expected = context.head, "nothing but an activation behind the last kernel"
    if head.norm is not None:
        seen = f"{head.norm} normalises the outputs themselves"
        yield likely(seen, expected, f"Remove {head.norm}.", head.norm)
    if head.dropout is not None:
        yield likely(
            f"{head.dropout} drops the outputs themselves", expected, f"Remove {head.dropout}.",
            head.dropout, strength=1.0, cause="excessive_regularization",
        )  # fmt: skip
