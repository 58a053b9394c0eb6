from kcnn.callbacks.doctor._registry import check, parameter, proven
from kcnn.callbacks.doctor.interventions.network import unnormed


@check("batch_statistics", "bad_normalization", stage="static", cure=unnormed)
def batch_statistics(
    context, *, samples=parameter(2, "the variance of two samples is noise (arXiv:1803.08494)")
):
    """Batch statistics over one or two samples."""
    size = context.case.batch_size
    batch = [v for v in context.layers if type(v).__name__ == "BatchNormalization"]
    if batch and size <= samples and any(layer.trainable for layer in batch):
        yield proven(
            f"batch statistics over {size} sample{'s' if size > 1 else ''}",
            "at least 8 samples a batch for BatchNormalization",
            "Raise batch_size to 32, or use GroupNormalization.", batch[0].name,
            evidence={"batch_size": size},
        )  # fmt: skip
