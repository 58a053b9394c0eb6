"""The user's own `tf.data.Dataset` and `keras.utils.PyDataset`, and sources he registers."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kcnn.data import Arrays, DataError, Part, SourceData, clear_cache, load, register_source
from kcnn.data import _record as record
from kcnn.data import _source as source


def arrays(images=60, classes=3, shape=(6, 5, 3)):
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (images, *shape)).astype(np.uint8), np.arange(images) % classes


def dataset(x, y):
    return tf.data.Dataset.from_tensor_slices((x, y))


class Pairs(keras.utils.PyDataset):
    def __init__(self, x, y):
        super().__init__()
        self.x, self.y = x, y

    def __len__(self):
        return -(-len(self.x) // 8)

    def __getitem__(self, index):
        return self.x[8 * index : 8 * index + 8], self.y[8 * index : 8 * index + 8]


FORMS = {
    "single": lambda x, y: dataset(x, y),
    "batched": lambda x, y: dataset(x, y).batch(7),
    "dict": lambda x, y: dataset(x, y).map(lambda a, b: {"image": a, "label": b}),
    "one-hot": lambda x, y: dataset(x, np.eye(3, dtype="float32")[y]).batch(7),
    "fractions": lambda x, y: dataset((x / 255).astype("float32"), y),
    "encoded": lambda x, y: dataset([tf.io.encode_png(i).numpy() for i in x], y),
    "encoded batches": lambda x, y: dataset([tf.io.encode_png(i).numpy() for i in x], y).batch(7),
    "text labels": lambda x, y: dataset(x, np.array(["0", "1", "2"])[y]),
    "keras": lambda x, y: Pairs(x, y),
}


@pytest.mark.parametrize("held", [True, False])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_every_image_with_its_label(form, held, monkeypatch):
    if not held:
        monkeypatch.setattr(record, "HELD", 0)
    x, y = arrays()
    data = load(FORMS[form](x, y))
    assert data.class_names == ("0", "1", "2")
    assert data.image_shape == (6, 5, 3)
    assert data.train.in_memory == held
    assert [len(s) for s in (data.train, data.val, data.test)] == pytest.approx([43, 5, 12], abs=1)
    want = {image.tobytes(): label for image, label in zip(x, y, strict=True)}
    seen = []
    for split in (data.train, data.val, data.test):
        for images, labels in split.batches(16):
            assert (images.dtype.name, labels.dtype.name) == ("float32", "int64")
            for image, label in zip(images.numpy(), labels.numpy(), strict=True):
                key = np.rint(image).astype(np.uint8).tobytes()
                assert want[key] == label
                seen.append(key)
    assert sorted(seen) == sorted(want)


def test_images_and_subsets_of_a_stream(monkeypatch):
    monkeypatch.setattr(record, "HELD", 0)
    x, y = arrays()
    data = load(dataset(x, y))
    with pytest.raises(DataError, match=r"images\(indices\)"):
        data.train.x  # noqa: B018
    some = data.train.images([7, 2, 30])
    part = data.train.subset([2, 7, 30])
    np.testing.assert_array_equal(part.images([1, 0, 2]), some)
    assert part.labels.tolist() == data.train.labels[[2, 7, 30]].tolist()
    where = [int((x == image).all(axis=(1, 2, 3)).argmax()) for image in some]
    assert y[where].tolist() == data.train.labels[[7, 2, 30]].tolist()


def test_images_of_different_size_and_several_labels():
    x, y = arrays()
    hot = np.eye(3, dtype="float32")[y]
    hot[::4] = 1

    def pairs():
        for number, (image, label) in enumerate(zip(x, hot, strict=True)):
            yield np.repeat(image, 1 + number % 2, axis=1), label

    spec = (tf.TensorSpec((None, None, 3), tf.uint8), tf.TensorSpec((3,), tf.float32))
    data = load(tf.data.Dataset.from_generator(pairs, output_signature=spec))
    assert data.multi_label
    assert data.image_shape == (6, 8, 3)  # the median
    assert data.train.labels.shape[1] == 3


def test_parts_may_be_given_as_a_dict():
    x, y = arrays()
    data = load({"train": dataset(x[:40], y[:40]).batch(8), "test": dataset(x[40:], y[40:])})
    assert [len(s) for s in (data.train, data.val, data.test)] == [36, 4, 20]
    with pytest.raises(DataError, match="'exam'"):
        load({"train": dataset(x, y), "exam": dataset(x, y)})


def bad(change_x=None, change_y=None):
    x, y = arrays()
    x = x.astype("float32")
    if change_x:
        change_x(x)
    return dataset(x, change_y(y) if change_y else y)


def poison(value):
    def change(x):
        x[7, 0, 0, 0] = value

    return change


BAD = {
    "nan": (lambda: bad(poison(np.nan)), "image 7: holds NaN"),
    "outside": (lambda: bad(poison(300)), r"image 7: pixels lie in \d+\.\.300, outside 0\.\.255"),
    "negative": (lambda: bad(None, lambda y: y - 1), "20 labels lie outside.*-1 at index 0"),
    "float labels": (lambda: bad(None, lambda y: y / 2), "labels are float64"),
    "endless": (lambda: bad().repeat(), r"repeats for ever; give it before repeat\(\)"),
    "shuffled": (lambda: bad().shuffle(60), "in another order each time"),
    "empty": (lambda: bad().take(0), "holds no image"),
    "images alone": (lambda: bad().map(lambda x, y: x), r"expected pairs \(image, label\)"),
    "vectors": (lambda: dataset(np.zeros((9, 4)), np.zeros(9, int)), "expected images"),
    "broken file": (lambda: dataset([b"\x89PNG", b"no"], [0, 1]), "image 0: .*leave it out"),
    "one class": (lambda: bad(None, lambda y: y * 0), "one single class"),
    "a gap": (lambda: bad(None, lambda y: y * 2), "no image of classes '1', '3'"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_is_said_with_its_place(name):
    make, said = BAD[name]
    with pytest.raises(DataError, match=said) as caught:
        load(make())
    assert len(str(caught.value).splitlines()) == 1


def test_a_new_kind_of_source_is_one_function_away(monkeypatch):
    monkeypatch.setattr(source, "_SOURCES", list(source._SOURCES))
    x, y = arrays()

    def look(given, options):
        return SourceData(
            name=given,
            parts={"train": Part(Arrays(x), y)},
            class_names=["a", "b", "c"],
            sizes=np.array([[6, 5]]),
            channels=3,
        )

    register_source("mine", matches=lambda given: str(given).startswith("mine://"), load=look)
    data = load("mine://somewhere", image_size=4)
    assert data.name == "mine://somewhere"
    assert data.image_shape == (4, 4, 3)
    assert len(data.test) == 12
    with pytest.raises(ValueError, match="registered already"):
        register_source("mine", matches=lambda given: False, load=look)


def test_what_is_no_source_is_refused():
    with pytest.raises(DataError, match=r"int 7 is no known source \(arrays, digits, folder, npy"):
        load(7)


@pytest.mark.parametrize("cache", ["auto", "memory", "disk", None])
def test_a_stream_is_read_once_for_all_epochs(cache, monkeypatch, tmp_path):
    monkeypatch.setattr(record, "HELD", 0)
    monkeypatch.setenv("KCNN_CACHE", str(tmp_path))
    x, y = arrays()
    passes = []

    def rows():
        passes.append(1)
        yield from zip(x, y, strict=True)

    spec = (tf.TensorSpec(x.shape[1:], tf.uint8), tf.TensorSpec((), tf.int64))
    data = load(tf.data.Dataset.from_generator(rows, output_signature=spec), cache=cache)
    batches = data.train.batches(16, shuffle=True)
    passes.clear()
    epochs = [
        [
            (image.tobytes(), int(label))
            for images, labels in batches
            for image, label in zip(images.numpy(), labels, strict=True)
        ]
        for _ in range(3)
    ]
    assert len(passes) == (3 if cache is None else 1)
    assert epochs[0] != epochs[1]
    assert sorted(epochs[0]) == sorted(epochs[1]) == sorted(epochs[2])
    assert any("kept" in note for note in data.notes) is (cache is not None)
    if cache == "disk":  # serves the next start, and what part of the stream a split holds
        again = load(tf.data.Dataset.from_generator(rows, output_signature=spec), cache=cache)
        passes.clear()
        (images, labels) = next(iter(again.train.subset(np.arange(5)[::-1]).batches(5)))
        np.testing.assert_array_equal(images, next(iter(data.train.batches(5)))[0])
        np.testing.assert_array_equal(labels, data.train.labels[:5])
        assert not passes
        assert clear_cache() > 0
    with pytest.raises(DataError, match="cache='ram'"):
        load(dataset(x, y), cache="ram")
