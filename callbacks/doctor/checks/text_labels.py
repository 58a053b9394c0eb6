import numpy as np

from kcnn.callbacks.doctor._registry import check, proven


@check("text_labels", "label_encoding", stage="data")
def text_labels(context):
    """Labels that are text or objects."""
    y = context.case.train.y
    if isinstance(y, np.ndarray) and y.dtype.kind in "OSU":
        shown = str(y.reshape(-1)[:1].tolist())[1:-1]
        yield proven(
            f"labels are text or objects ({shown}, ...)", "numbers",
            "Number the classes: names, y = np.unique(y, return_inverse=True).", "y",
        )  # fmt: skip
