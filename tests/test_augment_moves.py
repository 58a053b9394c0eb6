"""Masks and boxes go where their pixels go, in Keras's and keras-cv's formats."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kcnn import augment

SIZE = (30, 36)
SLACK = 0.75  # a pixel belongs to the point in its middle, half a diagonal from its corner
FORMATS = (
    *("xyxy", "yxyx", "xywh", "center_xywh", "center_yxhw"),
    *("rel_xyxy", "rel_yxyx", "rel_xywh", "rel_center_xywh"),
)
MOVING = {
    "flip": lambda **kw: augment.RandomFlip(**kw),
    "crop": lambda **kw: augment.RandomCrop(24, 28, padding=2, **kw),
    "crop of too small an image": lambda **kw: augment.RandomCrop(60, 48, **kw),
    "resized crop": lambda **kw: augment.RandomResizedCrop((20, 40), scale=(0.3, 1.0), **kw),
    "rotation": lambda **kw: augment.RandomRotation(0.2, fill_mode="constant", **kw),
    "shear": lambda **kw: augment.RandomShear(0.3, 0.2, fill_mode="constant", **kw),
    "zoom": lambda **kw: augment.RandomZoom(0.4, 0.2, fill_mode="constant", **kw),
    "translation": lambda **kw: augment.RandomTranslation(0.3, 0.2, fill_mode="constant", **kw),
    "rand augment": lambda **kw: augment.RandAugment(
        3, operations=("shear", "translation", "rotation"), fill_mode="constant", **kw
    ),
    "pipeline": lambda **kw: augment.Pipeline(
        [
            augment.RandomFlip(),
            augment.RandomResizedCrop((40, 40), scale=(0.5, 1.0)),
            augment.ColorJitter(),
            augment.RandomRotation(0.1, fill_mode="constant"),
            augment.RandomCutout(),
        ],
        **kw,
    ),
    "preset": lambda **kw: augment.Augmentation("standard", (*SIZE, 3), **kw),
}
every_move = pytest.mark.parametrize("name", MOVING)


def scene(count=12):
    """White rectangles on black, their masks (class 3), and their boxes in xyxy; the last of three
    boxes of an image is none."""
    rng = np.random.default_rng(0)
    masks = np.zeros((count, *SIZE, 1), np.uint8)
    boxes, classes = np.zeros((count, 3, 4), np.float32), np.full((count, 3), -1)
    for i in range(count):
        top, left = rng.integers(2, 12), rng.integers(2, 14)
        height, width = rng.integers(6, 14, 2)
        masks[i, top : top + height, left : left + width] = 3
        boxes[i, 0] = left, top, left + width, top + height
        boxes[i, 1] = 1, 1, 3, 4
        classes[i, :2] = 3, 5
    images = np.repeat(masks // 3 * 200, 3, -1)
    return {
        "images": images,
        "segmentation_masks": masks,
        "bounding_boxes": {"boxes": boxes, "labels": classes},
    }


@every_move
def test_masks_and_boxes_follow_the_pixels(name):
    given = scene()
    layer = MOVING[name](seed=1, bounding_box_format="xyxy")
    out = layer(given)
    masks, boxes = np.asarray(out["segmentation_masks"]), out["bounding_boxes"]
    assert masks.dtype == np.uint8
    assert set(np.unique(masks)) <= {0, 3}
    white = np.asarray(out["images"]).max(-1) > 0
    if name in ("pipeline", "preset"):  # cutout blackens pixels
        white |= masks[..., 0] > 0
    assert ((masks[..., 0] > 0) & ~white).sum() == 0  # blending reaches as far as the nearest
    height, width = masks.shape[1:3]
    seen = 0
    for mask, box, label in zip(masks[..., 0], boxes["boxes"], boxes["labels"], strict=True):
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        x0, y0, x1, y1 = np.asarray(box[0])
        assert (label.numpy()[2], *box.numpy()[2]) == (-1, 0, 0, 0, 0)
        if label[0] == -1:
            assert rows.size == 0 or (x1 - x0) * (y1 - y0) == 0
            continue
        seen += 1
        assert 0 <= x0 < x1 <= width
        assert 0 <= y0 < y1 <= height
        if rows.size:
            assert x0 - SLACK <= columns[0]
            assert columns[-1] + 1 <= x1 + SLACK
            assert y0 - SLACK <= rows[0]
            assert rows[-1] + 1 <= y1 + SLACK
        if name in ("flip", "crop", "translation", "zoom", "resized crop"):  # boxes stay tight
            tight = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
            np.testing.assert_allclose([x0, y0, x1, y1], tight, atol=0.51)
    assert seen >= 8
    assert (
        np.abs(np.asarray(boxes["boxes"][:, 0]) - given["bounding_boxes"]["boxes"][:, 0]).max() > 1
    )


@pytest.mark.parametrize("layout", FORMATS)
@pytest.mark.parametrize("key", ["labels", "classes"])
def test_every_format_of_keras_gives_the_same_boxes(layout, key):
    given = scene()
    convert = keras.utils.bounding_boxes.convert_format
    size = dict(zip(("height", "width"), SIZE, strict=True))
    boxes = given["bounding_boxes"]["boxes"]
    written = np.asarray(convert(boxes, "xyxy", layout, **size))
    classes = given["bounding_boxes"]["labels"]
    make = MOVING["rotation"]
    want = make(seed=1, bounding_box_format="xyxy")(given)["bounding_boxes"]
    out = make(seed=1, bounding_box_format=layout)(
        {**given, "bounding_boxes": {"boxes": written, key: classes, "scores": classes}}
    )["bounding_boxes"]
    assert set(out) == {"boxes", key, "scores"}
    np.testing.assert_array_equal(out[key], want["labels"])
    again = convert(np.asarray(out["boxes"]), layout, "xyxy", **size)
    real = np.asarray(want["labels"]) != -1
    np.testing.assert_allclose(np.asarray(again)[real], want["boxes"].numpy()[real], atol=1e-3)


@every_move
def test_ragged_boxes_single_images_and_channels_first_agree_with_the_batch(name):
    given = scene(6)
    want = MOVING[name](seed=1, bounding_box_format="xyxy")(given)
    first = {
        "images": np.moveaxis(given["images"], -1, 1),
        "segmentation_masks": np.moveaxis(given["segmentation_masks"], -1, 1),
        "bounding_boxes": {
            key: tf.ragged.boolean_mask(value, given["bounding_boxes"]["labels"] != -1)
            for key, value in given["bounding_boxes"].items()
        },
    }
    layer = MOVING[name](seed=1, bounding_box_format="xyxy", data_format="channels_first")
    out = layer(first)
    for key in ("images", "segmentation_masks"):
        np.testing.assert_allclose(np.moveaxis(np.asarray(out[key]), 1, -1), want[key], atol=0.01)
    np.testing.assert_allclose(
        out["bounding_boxes"]["boxes"], want["bounding_boxes"]["boxes"][:, :2], atol=1e-3
    )
    shapes = {key: first[key].shape for key in ("images", "segmentation_masks")}
    found = layer.compute_output_shape(shapes)
    assert found == {key: tuple(out[key].shape) for key in shapes}
    one = {
        "images": given["images"][0],
        "segmentation_masks": given["segmentation_masks"][0, ..., 0],
        "bounding_boxes": {key: value[0] for key, value in given["bounding_boxes"].items()},
    }
    single = MOVING[name](seed=1, bounding_box_format="xyxy")(one)
    batched = {**given, "images": given["images"][:1]}
    batched["segmentation_masks"] = given["segmentation_masks"][:1]
    batched["bounding_boxes"] = {k: v[:1] for k, v in given["bounding_boxes"].items()}
    alone = MOVING[name](seed=1, bounding_box_format="xyxy")(batched)
    np.testing.assert_allclose(single["images"], alone["images"][0], atol=0.01)
    np.testing.assert_array_equal(
        single["segmentation_masks"], alone["segmentation_masks"][0, ..., 0]
    )
    for key in ("boxes", "labels"):
        np.testing.assert_allclose(
            single["bounding_boxes"][key], alone["bounding_boxes"][key][0], atol=1e-3
        )


def test_flips_and_turns_of_boxes_are_those_of_keras():
    given = scene(1)
    boxes = given["bounding_boxes"]["boxes"]
    fixed = {"angle": tf.constant([36.0]), "image_height": SIZE[0], "image_width": SIZE[1]}
    theirs = keras.layers.RandomRotation(0.1, bounding_box_format="xyxy").transform_bounding_boxes(
        {"boxes": tf.constant(boxes), "labels": tf.constant([[3, 5, 9]])},
        {**fixed, "batch_size": 1},
    )
    layer = augment.RandomRotation((0.1, 0.1), bounding_box_format="xyxy")
    ours = layer(given)["bounding_boxes"]["boxes"]
    # Keras turns boxes about (width - 1) / 2 with an off-by-half of its own.
    np.testing.assert_allclose(ours[0, :2], theirs["boxes"][0, :2], atol=0.75)


@pytest.mark.parametrize("in_data", [False, True])
def test_what_mixing_does_to_masks_and_boxes(in_data):
    given = scene(6)
    given["labels"] = np.eye(6, dtype=np.float32)

    def apply(layer, batch):
        if not in_data:
            return layer(batch)
        return next(iter(tf.data.Dataset.from_tensors(batch).map(lambda x: layer(x))))

    boxed = {key: given[key] for key in ("images", "labels", "bounding_boxes")}
    out = apply(augment.MixUp(20.0, seed=1, bounding_box_format="xyxy"), boxed)
    partner = (np.asarray(out["labels"]) * (1 - np.eye(6))).argmax(1)
    found = out["bounding_boxes"]["boxes"]
    before = given["bounding_boxes"]["boxes"]
    np.testing.assert_allclose(found, np.concatenate([before, before[partner]], 1))
    masked = {key: given[key] for key in ("images", "labels", "segmentation_masks")}
    out = apply(augment.CutMix(seed=1), masked)
    pasted = np.asarray(out["segmentation_masks"])
    assert pasted.dtype == np.uint8
    np.testing.assert_array_equal(pasted[..., 0] > 0, np.asarray(out["images"])[..., 0] > 0)
    soft = keras.ops.one_hot(given["segmentation_masks"][..., 0], 4)
    out = apply(augment.MixUp(20.0, seed=1), {**masked, "segmentation_masks": soft})
    share = np.asarray(out["labels"])
    np.testing.assert_allclose(
        out["segmentation_masks"], np.tensordot(share, np.asarray(soft), 1), atol=1e-5
    )
    with pytest.raises(ValueError, match="can't blend uint8 masks"):
        apply(augment.MixUp(), masked)
    with pytest.raises(ValueError, match="can't move bounding_boxes along"):
        apply(augment.CutMix(bounding_box_format="xyxy"), boxed)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"bounding_boxes": {"boxes": np.zeros((12, 3, 4))}}, "say what their numbers are"),
        ({"bounding_boxes": np.zeros((12, 3, 4))}, "say what their numbers are"),
        ({"segmentation_masks": np.zeros((12, 30))}, "expected the images' shape"),
        ({"images": tf.ragged.constant([[[[1.0]]], [[[1.0]], [[2.0]]]])}, "ragged images"),
        ({"images": np.zeros((3, 3))}, r"expected \(b, h, w, c\) or \(h, w, c\)"),
    ],
)
def test_what_can_not_be_moved_is_refused(change, said):
    given = {key: value for key, value in scene().items() if key != "bounding_boxes"}
    with pytest.raises(ValueError, match=said):
        augment.RandomFlip()({**given, **change})


def test_wrong_boxes_and_formats_are_named():
    layer = augment.RandomFlip(bounding_box_format="xyxy")
    images = scene()["images"]
    for boxes, said in [
        (np.zeros((12, 3, 4)), "without 'boxes'"),
        ({"boxes": np.zeros((12, 4))}, r"expected \(b, n, 4\) for a batch"),
    ]:
        with pytest.raises(ValueError, match=said):
            layer({"images": images, "bounding_boxes": boxes})
    with pytest.raises(ValueError, match="did you mean 'xyxy'"):
        augment.RandomFlip(bounding_box_format="xyxyy")
    with pytest.raises(ValueError, match="did you mean 'channels_first'"):
        augment.RandomFlip(data_format="channel_first")


def test_boxes_without_classes_and_layers_that_keep_pixels_leave_them():
    given = scene()
    out = augment.RandomFlip(bounding_box_format="xyxy")(
        {"images": given["images"], "bounding_boxes": {"boxes": given["bounding_boxes"]["boxes"]}}
    )
    assert set(out["bounding_boxes"]) == {"boxes"}
    for layer in (augment.ColorJitter(), augment.RandomErasing(), augment.Equalization()):
        out = layer(given)
        assert out["bounding_boxes"] is not None
        np.testing.assert_array_equal(out["segmentation_masks"], given["segmentation_masks"])
        np.testing.assert_array_equal(
            out["bounding_boxes"]["boxes"], given["bounding_boxes"]["boxes"]
        )
