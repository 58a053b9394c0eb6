"""Sets of tensorflow-datasets: a small one built here, the real Fashion-MNIST, and bad names."""

import gzip
import os
from pathlib import Path

import numpy as np
import pytest

from kcnn.data import DataError, load

tfds = pytest.importorskip("tensorflow_datasets")


def _write(builder_class, folder):
    builder = builder_class(data_dir=str(folder))
    with_bar = tfds.core.utils.tqdm_utils
    with_bar.disable_progress_bar()
    builder.download_and_prepare()
    with_bar.enable_progress_bar()


def _row(number):
    height = 10 + number % 5 if number % 2 else 12
    pixels = np.full((height, 9, 3), number % 256, np.uint8)
    return {"picture": pixels, "kind": ("ant", "bee")[number % 2]}


class TinyBugs(tfds.core.GeneratorBasedBuilder):
    """Images of different size; a class that no image has; no test split."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(
                {
                    "picture": tfds.features.Image(shape=(None, None, 3)),
                    "kind": tfds.features.ClassLabel(names=["none", "ant", "bee"]),
                }
            ),
            supervised_keys=("picture", "kind"),
        )

    def _split_generators(self, dl_manager):
        return {"train": self._rows(0, 40), "validation": self._rows(40, 50)}

    def _generate_examples(self):
        raise NotImplementedError

    def _rows(self, start, stop):
        for number in range(start, stop):
            yield number, _row(number)


class TinyWords(tfds.core.GeneratorBasedBuilder):
    """Not an image classification set."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self, features=tfds.features.FeaturesDict({"text": tfds.features.Text()})
        )

    def _split_generators(self, dl_manager):
        return {"train": iter([(0, {"text": "word"})])}

    def _generate_examples(self):
        raise NotImplementedError


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tfds")
    _write(TinyBugs, folder)
    return folder


def test_a_prepared_set_is_read_whole(prepared):
    data = load("tiny_bugs", data_dir=prepared)
    assert [len(split) for split in (data.train, data.val, data.test)] == [36, 4, 10]
    assert data.class_names == ("ant", "bee")  # "none" has no image
    assert data.image_shape == (12, 9, 3)  # the median
    for split in (data.train, data.val, data.test):
        numbers = split.x[:, 0, 0, 0]
        np.testing.assert_array_equal(
            split.x, np.broadcast_to(numbers[:, None, None, None], split.x.shape)
        )
        np.testing.assert_array_equal(numbers % 2, split.y)
    seen = sorted(int(n) for s in (data.train, data.val) for n in s.x[:, 0, 0, 0])
    assert seen == list(range(40))
    said = " / ".join(data.notes)
    for words in ("serves as the test set", "1 of 3 classes have no image", "resized to 12x9"):
        assert words in said


def test_a_part_of_a_set_in_another_size(prepared):
    data = load("tiny_bugs", data_dir=prepared, max_images=20, image_size=6, seed=4)
    assert data.image_shape == (6, 6, 3)
    assert abs(sum(map(len, (data.train, data.val, data.test))) - 20) <= 2
    np.testing.assert_array_equal(data.train.x[:, 0, 0, 0] % 2, data.train.y)


def test_the_environment_says_where_the_sets_are(prepared, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(prepared))
    assert load("tiny_bugs").classes == 2


def test_loading_prints_nothing(prepared, capfd):
    load("tiny_bugs", data_dir=prepared)
    assert capfd.readouterr().out == ""


def test_other_tasks_and_unknown_names_are_refused(tmp_path):
    _write(TinyWords, tmp_path)
    with pytest.raises(DataError, match=r"not an image classification set.*text"):
        load("tiny_words", data_dir=tmp_path)
    with pytest.raises(DataError, match="did you mean fashion_mnist"):
        load("fashion_mnst", data_dir=tmp_path)
    with pytest.raises(DataError, match="emnist/letters"):
        load("emnist/leters", data_dir=tmp_path)
    with pytest.raises(DataError, match="not an image classification set"):
        load("coco", data_dir=tmp_path)


def test_offline_is_said_and_names_the_files(tmp_path, monkeypatch):
    monkeypatch.setattr("kcnn.data._tfds_build._reachable", lambda url: False)
    before = dict(os.environ)
    with pytest.raises(DataError, match=r"can't be reached.*manual_dir.*t10k-images") as caught:
        load("fashion_mnist", data_dir=tmp_path)
    assert "\n" not in str(caught.value)
    assert dict(os.environ) == before


def test_a_host_that_takes_no_connection_is_out_of_reach(monkeypatch):
    from kcnn.data import _tfds_build

    monkeypatch.setattr(_tfds_build, "_PATIENCE", 0.5)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert not _tfds_build._reachable("http://127.0.0.1:9/file")


def test_a_wrong_manual_folder_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("kcnn.data._tfds_build._reachable", lambda url: False)
    with pytest.raises(DataError, match="is no folder"):
        load("fashion_mnist", data_dir=tmp_path, manual_dir=tmp_path / "absent")
    wrong = tmp_path / "wrong"
    wrong.mkdir()
    for part in ("train", "t10k"):
        for kind in ("images-idx3", "labels-idx1"):
            (wrong / f"{part}-{kind}-ubyte.gz").write_bytes(gzip.compress(b"no pixels"))
    with pytest.raises(DataError, match="not prepared in"):
        load("fashion_mnist", data_dir=tmp_path, manual_dir=wrong)


@pytest.mark.slow
def test_the_real_fashion_mnist_builds_offline_from_its_files(tmp_path_factory):
    manual = os.environ.get("KCNN_MANUAL_DIR")
    if not manual:
        pytest.skip("KCNN_MANUAL_DIR names no folder with the original Fashion-MNIST files")
    data_dir = os.environ.get("TFDS_DATA_DIR") or tmp_path_factory.mktemp("fashion")
    data = load("fashion_mnist", manual_dir=manual, data_dir=data_dir)
    assert [len(split) for split in (data.train, data.val, data.test)] == [54000, 6000, 10000]
    assert data.flip
    assert data.class_names[0] == "T-shirt/top"
    with gzip.open(Path(manual) / "t10k-images-idx3-ubyte.gz") as file:
        x = np.frombuffer(file.read()[16:], np.uint8).reshape(-1, 28, 28, 1)
    with gzip.open(Path(manual) / "t10k-labels-idx1-ubyte.gz") as file:
        y = np.frombuffer(file.read()[8:], np.uint8)
    want = sorted((image.tobytes(), int(label)) for image, label in zip(x, y, strict=True))
    test = data.test
    assert want == sorted((i.tobytes(), int(t)) for i, t in zip(test.x, test.y, strict=True))
