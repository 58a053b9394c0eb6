from kcnn.callbacks.doctor._registry import check, proven
from kcnn.callbacks.sanity import FILL_THEM, first_nonfinite, weights_of


@check("nonfinite", "nan_inputs", stage="data", cost="rows")
def nonfinite(context):
    """NaN or infinity among inputs, targets, sample weights, model weights."""
    train, val = context.case.train, context.case.val
    places = [("x", train.x), ("y", train.y), ("sample_weight", train.weight)]
    if val is not None:
        places += [("validation x", val.x), ("validation y", val.y)]
    found = first_nonfinite(places) or first_nonfinite(weights_of(context.model))
    if found is not None:
        place, bad, size = found
        seen = f"{bad} of {size} values in {place} are NaN or infinite"
        yield proven(seen, "finite numbers", FILL_THEM, place)
