"""Digits, arrays and .npz files: what is loaded, and what is refused and how."""

import numpy as np
import pytest

from kcnn.data import DataError, from_arrays, load


def arrays(images=60, classes=3, shape=(6, 5, 3), seed=0):
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 256, (images, *shape)).astype(np.uint8)
    return x, np.arange(images) % classes


def every(data):
    x = np.concatenate([data.train.x, data.val.x, data.test.x])
    return x, np.concatenate([data.train.y, data.val.y, data.test.y])


def test_digits_are_the_1797_of_scikit_learn_each_once_with_its_label():
    bunch = pytest.importorskip("sklearn.datasets").load_digits()
    data = load("digits")
    x, y = every(data)
    assert data.image_shape == (8, 8, 1)
    assert data.class_names == tuple("0123456789")
    assert (data.train.x.dtype, data.train.y.dtype) == (np.uint8, np.int64)
    assert not data.flip
    found = sorted((image.tobytes(), label) for image, label in zip(x, y, strict=True))
    want = np.rint(bunch.images * 255 / 16).astype(np.uint8)
    assert found == sorted((w.tobytes(), t) for w, t in zip(want, bunch.target, strict=True))


def test_splits_hold_each_class_in_its_share_and_repeat_with_the_seed():
    data, again, other = load("digits"), load("digits"), load("digits", seed=1)
    assert abs(len(data.test) - 0.2 * 1797) < 1
    for split in (data.train, data.val, data.test):
        share = np.bincount(split.y, minlength=10) / len(split)
        whole = np.bincount(every(data)[1]) / 1797
        assert np.abs(share - whole).max() < 0.02
    np.testing.assert_array_equal(data.test.x, again.test.x)
    assert not np.array_equal(data.test.y, other.test.y)
    assert len(set(data.train.y[:20].tolist())) > 5  # not sorted by class


def test_max_images_keeps_the_shares():
    data = load("digits", max_images=200)
    assert abs(sum(map(len, (data.train, data.val, data.test))) - 200) <= 3
    assert np.bincount(data.train.y, minlength=10).min() >= 10
    assert any("200 of 1797" in note for note in data.notes)


def test_npz_gives_back_its_arrays(tmp_path):
    x, y = arrays()
    x_test, y_test = arrays(12, seed=1)
    path = tmp_path / "some.npz"
    np.savez(path, x=x, y=y, x_test=x_test, y_test=y_test, class_names=["a", "b", "c"])
    data = load(path)
    assert (data.name, data.class_names, len(data.test)) == ("some.npz", ("a", "b", "c"), 12)
    assert sorted(map(bytes, data.test.x)) == sorted(map(bytes, x_test))
    pairs = {bytes(image): label for image, label in zip(x, y, strict=True)}
    for split in (data.train, data.val):
        assert all(pairs[bytes(i)] == t for i, t in zip(split.x, split.y, strict=True))
    assert len(data.train) + len(data.val) == 60


@pytest.mark.parametrize(
    ("change", "dtype"),
    [
        (lambda x: x / 255.0, np.uint8),
        (lambda x: x.astype(np.float64), np.uint8),
        (lambda x: x.astype(np.int32), np.uint8),
        (lambda x: x.astype(np.float32) * 0.99, np.float32),
    ],
)
def test_pixels_keep_their_values_whatever_their_dtype(change, dtype):
    x, y = arrays(200)
    given = change(x)
    data = from_arrays(given, y)
    assert data.train.x.dtype == dtype
    want = x if dtype == np.uint8 else given
    assert every(data)[0].sum(dtype=np.float64) == pytest.approx(want.sum(dtype=np.float64))
    assert any("0..1" in note for note in data.notes) == (given.max() <= 1)


def test_a_channel_axis_is_added_and_booleans_are_scaled():
    x, y = arrays(shape=(6, 5))
    assert from_arrays(x, y).image_shape == (6, 5, 1)
    data = from_arrays(x > 100, y)
    assert sorted(np.unique(data.train.x)) == [0, 255]


def test_text_labels_are_numbered_in_alphabetical_order():
    x, y = arrays()
    data = from_arrays(x, np.array(["dog", "ant", "cat"])[y])
    assert data.class_names == ("ant", "cat", "dog")
    assert np.bincount(every(data)[1]).tolist() == [20, 20, 20]


def test_image_size_resizes_as_pillow_does():
    from PIL import Image

    ramp = np.tile(np.linspace(0, 255, 32)[None, :, None], (32, 1, 3)).astype(np.uint8)
    x, y = np.repeat(ramp[None], 30, 0), np.arange(30) % 2
    data = from_arrays(x, y, image_size=(8, 16))
    want = np.asarray(Image.fromarray(ramp).resize((16, 8), Image.Resampling.BILINEAR), int)
    assert data.image_shape == (8, 16, 3)
    assert np.abs(data.train.x[0].astype(int) - want).max() <= 1


def test_one_hot_labels_are_numbers_and_several_ones_several_labels():
    x, y = arrays()
    hot = np.eye(3)[y]
    data = from_arrays(x, hot)
    np.testing.assert_array_equal(every(data)[1], every(from_arrays(x, y))[1])
    assert any("one-hot labels read as class numbers" in note for note in data.notes)
    both = hot.copy()
    both[::2, 0] = 1
    data = from_arrays(x, both, x_test=x[:9], y_test=hot[:9])
    assert data.multi_label
    assert data.test.labels.shape == (9, 3)


def poisoned(value):
    x, y = arrays()
    x = x.astype(np.float32)
    x[[7, 9], 0, 0, 0] = value
    return {"x": x, "y": y}


def labelled(y):
    return {"x": arrays(len(y))[0], "y": y}


one_label_off = np.arange(60) % 3
one_label_off[41] = 3
BAD = [
    (poisoned(np.nan), r"2 of 60 images hold NaN.*first is image 7"),
    (poisoned(np.inf), r"2 of 60 images hold NaN or infinite.*first is image 7"),
    (poisoned(-1.5), r"-1.5\.\..*outside 0..255, in 2 images, the first is image 7.*raw images"),
    ({**labelled(one_label_off), "class_names": ["a", "b", "c"]}, r"1 labels.*0..2.*3 at index 41"),
    (labelled(np.arange(60) % 3 - 1), r"20 labels lie outside.*-1 at index 0"),
    (labelled((np.arange(60) % 3).astype(float)), r"labels are float64.*integers"),
    (labelled((np.arange(60) % 3) / 3), r"float64, 40 of them no whole number"),
    (labelled(np.full((60, 3), 0.5)), r"hold other numbers than 0 and 1"),
    ({"x": arrays()[0], "y": arrays(59)[1]}, r"60 images but 59 labels"),
    (labelled(np.array([0, 2] * 30)), r"no image of class '1' among 3 classes"),
    (labelled(np.zeros(60, int)), r"one single class"),
    ({**labelled(np.arange(60) % 3), "class_names": list("abcd")}, r"no image of class 'd'"),
    ({**labelled(np.arange(60) % 3), "class_names": list("aba")}, r"holds a name twice"),
    ({"x": np.zeros((60, 3, 9, 9)), "y": np.arange(60) % 3}, r"channels-first.*transpose"),
    ({"x": np.zeros((60, 9)), "y": np.arange(60) % 3}, r"shape \(60, 9\)"),
    ({"x": np.zeros((0, 9, 9)), "y": np.zeros(0, int)}, r"holds no pixel"),
    (labelled(np.array([0, 1])), r"no image is left for the"),
    ({**labelled(np.arange(60) % 3), "x_test": arrays()[0]}, r"x_test without y_test"),
]


@pytest.mark.parametrize(("given", "said"), BAD, ids=range(len(BAD)))
def test_bad_arrays_are_refused_in_one_line_that_says_where(given, said, tmp_path):
    path = tmp_path / "bad.npz"
    np.savez(path, **given)
    with pytest.raises(DataError, match=said) as caught:
        load(path)
    assert "\n" not in str(caught.value)
    assert "bad.npz" in str(caught.value)


def test_pickles_are_never_opened(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "exploded"), "w"))

    np.savez(tmp_path / "bomb.npz", x=np.array([Bomb()], dtype=object), y=np.zeros(1, int))
    with pytest.raises(DataError, match="never unpickled"):
        load(tmp_path / "bomb.npz")
    assert not (tmp_path / "exploded").exists()


def test_files_that_are_no_npz_or_lack_arrays_are_named(tmp_path):
    (tmp_path / "junk.npz").write_bytes(b"no zip file at all")
    np.savez(tmp_path / "lacks.npz", images=np.zeros(3))
    x, y = arrays()
    np.savez(tmp_path / "cut.npz", x=x, y=y)
    whole = (tmp_path / "cut.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "some.txt").write_text("text")
    for name, said in [
        ("junk.npz", "not a readable"),
        ("cut.npz", "not a readable"),
        ("lacks.npz", "needs arrays x and y.*found images"),
        ("some.txt", "a file of no known kind"),
        ("absent.npz", "no such file"),
    ]:
        with pytest.raises(DataError, match=said):
            load(tmp_path / name)


def test_more_than_the_memory_is_refused_before_it_is_read(tmp_path, monkeypatch):
    x, y = arrays(600, shape=(40, 40, 3))
    np.savez_compressed(tmp_path / "big.npz", x=x, y=y)
    monkeypatch.setattr("kcnn.data._memory.available_memory", lambda: 1_000_000)
    with pytest.raises(DataError, match=r"600 images of 40x40x3.*max_images=83"):
        load(tmp_path / "big.npz")


def test_options_out_of_range_are_refused():
    for options in ({"val_fraction": 1.5}, {"max_images": 0}, {"image_size": 0}, {"max_images": 5}):
        with pytest.raises(DataError):
            load("digits", **options)


def test_flip_is_guessed_from_colour_and_can_be_said():
    x, y = arrays()
    assert from_arrays(x, y).flip
    assert not from_arrays(x[..., 0], y).flip
    assert from_arrays(x[..., 0], y, flip=True).flip
