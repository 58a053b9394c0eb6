"""The page's parts that are no step: the data, the test images, how to use the model."""

from typing import Any

import numpy as np

from kcnn.report import (
    Block,
    Cell,
    Code,
    Columns,
    Definitions,
    Heading,
    Matrix,
    Note,
    Picture,
    Pictures,
    Row,
    Section,
    Table,
)
from kcnn.report.pictures import data_uri
from kcnn.report.words import count, num, percent, shape

__all__ = ["data_section", "test_section", "use_section"]

PIXELATED = 64  # pixels: images up to this size are shown with hard edges
NAMED_CLASSES = 20  # names in a row of text, and classes in a confusion table
HARDEST = 12  # classes in the table of the lowest accuracies
PAIRS_SHOWN = 10


def data_section(record: dict[str, Any], images: dict[str, np.ndarray]) -> Section:
    """What was trained on, with a few images."""
    data, names = record["data"], record["data"]["class_names"]
    listed = ", ".join(names[:NAMED_CLASSES])
    more = len(names) - NAMED_CLASSES
    rows = [
        ("Data set", data["name"]),
        ("Images", shape(data["image_shape"])),
        ("Training", count(data["train"])),
        ("Validation", count(data["val"])),
        ("Test", count(data["test"])),
        ("Mean of the pixels", _numbers(data["mean"])),
        ("Their deviation", _numbers(data["std"])),
        ("Augmentation", record["augmented_by"]),
        (f"{count(len(names))} classes", listed + (f" and {more} more" if more > 0 else "")),
    ]
    blocks: list[Block] = [Definitions(tuple(row for row in rows if row[1]))]
    chosen = [*data["notes"], *record["chosen"]]
    if chosen:
        blocks.append(Note("; ".join(chosen) + "."))
    pictures = _samples(names, images)
    if pictures:
        above = ", above as they are, below after augmentation" if pictures[0].second else ""
        blocks += [Heading(f"Training images{above}"), Pictures(tuple(pictures))]
    return Section(id="data", title="The data", blocks=blocks)


def test_section(record: dict[str, Any], images: dict[str, np.ndarray]) -> Section | None:
    """Right and wrong on the test images."""
    test, names = record.get("test"), record["data"]["class_names"]
    if not test:
        return None
    tables = [_classes_table(test, names)]
    if test["confused"]:
        tables.insert(0, _pairs_table(test, names))
    matrix = _matrix(test, names)
    blocks: list[Block] = []
    if matrix is not None:
        blocks.append(Columns(((matrix,), tuple(_headed(tables))), wide=True))
    else:
        blocks.append(Columns(tuple(tuple(_headed([table])) for table in tables)))
    if not test["confused"] and not record["data"]["multi_label"]:
        blocks.append(Note("Not a single mistake.", strong=True))
    worst = _worst(names, images)
    if worst:
        blocks += [Heading("Furthest off: what it said and how sure it was"), Pictures(worst)]
    return Section(id="test", title="Right and wrong on the test images", blocks=blocks, long=True)


def use_section(record: dict[str, Any]) -> Section | None:
    """How to use what the run left."""
    if record["status"] != "finished":
        return None
    dims = ", ".join(str(n) for n in record["data"]["image_shape"])
    python = (
        "import keras\nimport kcnn  # registers its layers\n\n"
        'model = keras.models.load_model("model.keras")\n'
        "outputs = model.predict(images)\nclasses = outputs.argmax(axis=1)"
    )
    served = (
        'import tensorflow as tf\n\nmodel = tf.saved_model.load("saved_model/1")\n'
        "answer = model(images)  # uint8 or float32\n"
        'answer["probabilities"], answer["label"]'
    )
    words = f"Both take raw images, pixel values 0..255, shape (n, {dims})."
    columns = (
        (Code("In Keras: model.keras", python),),
        (Code("In TensorFlow or a server: saved_model/1", served),),
    )
    return Section(
        id="use", title="Use the model", blocks=[Note(words, strong=True), Columns(columns)]
    )


def _headed(tables: list[Table]) -> list[Block]:
    found: list[Block] = []
    for table in tables:
        found += [Heading(table.label), table]
    return found


def _pairs_table(test: dict[str, Any], names: list[str]) -> Table:
    rows = []
    for true, said, n in test["confused"][:PAIRS_SHOWN]:
        share = n / max(1, test["per_class"][true][0])
        rows.append(Row((names[true], names[said], Cell(count(n), n), Cell(percent(share), share))))
    columns = ("True class", "Taken for", "Images", "Of its class")
    return Table("Most confused", columns, tuple(rows), frozenset({2, 3}), sortable=True)


def _classes_table(test: dict[str, Any], names: list[str]) -> Table:
    shares = [
        (hits / n, n, name) for name, (n, hits) in zip(names, test["per_class"], strict=True) if n
    ]
    shares.sort(key=lambda row: row[0])
    few = len(shares) <= NAMED_CLASSES
    rows = [
        Row((name, Cell(count(n), n), Cell(percent(share), share)))
        for share, n, name in (shares if few else shares[:HARDEST])
    ]
    label = "Accuracy of each class" if few else f"The {HARDEST} hardest of {len(shares)} classes"
    return Table(label, ("Class", "Images", "Right"), tuple(rows), frozenset({1, 2}), sortable=True)


def _matrix(test: dict[str, Any], names: list[str]) -> Matrix | None:
    counts = test.get("confusion")
    if not counts or len(counts) > NAMED_CLASSES:
        return None
    rows = tuple(
        tuple((n, n / max(1, sum(row)), i == j) for j, n in enumerate(row))
        for i, row in enumerate(counts)
    )
    return Matrix(tuple(names), rows)


def _samples(names: list[str], images: dict[str, np.ndarray]) -> list[Picture]:
    before, after = images.get("before"), images.get("after")
    if before is None or "labels" not in images:
        return []
    pictures = []
    for i, image in enumerate(before):
        label = names[int(images["labels"][i])]
        second = data_uri(after[i]) if after is not None else ""
        pictures.append(
            Picture(
                data_uri(image),
                f"{label}, as it is",
                label,
                second,
                f"{label}, after augmentation",
                max(image.shape[:2]) <= PIXELATED,
            )
        )
    return pictures


def _worst(names: list[str], images: dict[str, np.ndarray]) -> tuple[Picture, ...]:
    if "worst" not in images:
        return ()
    found = []
    for i, image in enumerate(images["worst"]):
        true, said = names[int(images["worst_true"][i])], names[int(images["worst_said"][i])]
        words = f"{said} ({percent(images['worst_share'][i])}), is {true}"
        small = max(image.shape[:2]) <= PIXELATED
        found.append(Picture(data_uri(image), f"Taken for {words}", words, pixelated=small))
    return tuple(found)


def _numbers(values: list[float] | None) -> str:
    return ", ".join(num(v) for v in values or ())
