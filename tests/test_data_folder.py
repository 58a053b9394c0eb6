"""Folders of images: layouts, sizes, modes, and files that can't be read."""

import numpy as np
import pytest
from PIL import Image

from kcnn.data import DataError, load


def picture(seed, size=(12, 10), channels=3):
    shape = size if channels == 1 else (*size, channels)
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def make(folder, count=8, classes=("ant", "bee"), channels=3, size=(12, 10)):
    for number, name in enumerate(classes):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for index in range(count):
            pixels = picture(100 * number + index, size, channels)
            Image.fromarray(pixels).save(folder / name / f"{index}.png")
    return folder


def every(data):
    pairs = []
    for split in (data.train, data.val, data.test):
        pairs += [(x.tobytes(), int(y)) for x, y in zip(split.x, split.y, strict=True)]
    return sorted(pairs)


@pytest.mark.parametrize("channels", [1, 3])
def test_class_folders_give_their_pixels_and_labels(tmp_path, channels):
    data = load(make(tmp_path / "bugs", channels=channels))
    want = [
        (picture(100 * c + i, channels=channels).tobytes(), c) for c in (0, 1) for i in range(8)
    ]
    assert every(data) == sorted(want)
    assert (data.name, data.class_names) == ("bugs", ("ant", "bee"))
    assert data.image_shape == (12, 10, channels)
    assert data.flip == (channels == 3)


def test_train_val_and_test_folders_are_kept(tmp_path):
    make(tmp_path / "train", 6)
    make(tmp_path / "Validation", 3)
    make(tmp_path / "test", 2)
    data = load(tmp_path)
    assert [len(split) for split in (data.train, data.val, data.test)] == [12, 6, 4]


def test_a_lone_val_folder_is_the_test_set(tmp_path):
    make(tmp_path / "train", 10)
    make(tmp_path / "val", 3)
    data = load(tmp_path)
    assert [len(split) for split in (data.train, data.val, data.test)] == [18, 2, 6]
    assert any("serves as the test set" in note for note in data.notes)


def test_a_class_may_be_called_test(tmp_path):
    data = load(make(tmp_path, classes=("control", "test")))
    assert data.class_names == ("control", "test")


def test_images_of_different_size_get_the_median_or_the_size_asked_for(tmp_path):
    make(tmp_path, 8, size=(20, 40))
    make(tmp_path, 3, size=(31, 17))
    data = load(tmp_path)
    assert data.image_shape == (20, 40, 3)
    assert any("resized to 20x40" in note for note in data.notes)
    assert load(tmp_path, image_size=16).image_shape == (16, 16, 3)
    assert load(tmp_path, image_size=(8, 9)).image_shape == (8, 9, 3)


def test_a_large_median_is_capped_with_its_aspect_ratio(tmp_path):
    make(tmp_path, 4, size=(300, 600), channels=1)
    make(tmp_path, 1, size=(310, 600), channels=1)
    assert load(tmp_path).image_shape == (112, 224, 1)


def test_every_mode_of_a_gray_half_and_a_red_half_reads_alike(tmp_path):
    """The same two flat colours saved in many modes come back as the same pixels."""
    rgb = np.zeros((8, 8, 3), np.uint8)
    rgb[:, :4], rgb[:, 4:] = (200, 0, 0), (60, 60, 60)
    image = Image.fromarray(rgb)
    clear = np.dstack([rgb, np.full((8, 8), 255, np.uint8)])
    clear[0, 0, 3] = 0
    modes = {
        "rgb.png": image,
        "palette.png": image.convert("P", palette=Image.Palette.ADAPTIVE),
        "cmyk.jpg": image.convert("CMYK"),
        "alpha.png": Image.fromarray(clear),
        "photo.jpg": image,
        "web.webp": image,
    }
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for file, saved in modes.items():
            options = {"quality": 100, "subsampling": 0} if file.endswith("jpg") else {}
            options = {"lossless": True} if file == "web.webp" else options
            saved.save(tmp_path / name / file, **options)
    data = load(tmp_path)
    white = 0
    for split in (data.train, data.val, data.test):
        for x in split.x.astype(int):
            assert np.abs(x[1:] - rgb[1:].astype(int)).max() <= 4
            white += (x[0, 0] == 255).all()
    assert white == 2
    assert any("2 of 12 images have transparency: put on white" in note for note in data.notes)


def test_sixteen_bits_become_eight_and_gray_stays_one_channel(tmp_path):
    make(tmp_path, 4, channels=1)
    deep = (picture(5, channels=1).astype(np.uint16)) * 257
    Image.fromarray(deep).save(tmp_path / "ant" / "deep.png")
    Image.fromarray(picture(6, channels=1)).convert("P").save(tmp_path / "bee" / "palette.png")
    data = load(tmp_path)
    assert data.image_shape == (12, 10, 1)
    assert (picture(5, channels=1).tobytes(), 0) in every(data)
    assert (picture(6, channels=1).tobytes(), 1) in every(data)
    assert any("16 bits" in note for note in data.notes)


def test_photos_are_turned_upright(tmp_path):
    make(tmp_path, 5, size=(12, 10))
    upright = picture(7, (12, 10))
    exif = Image.Exif()
    exif[0x0112] = 6  # stored turned by 90 degrees: shown after a clockwise turn
    Image.fromarray(np.rot90(upright)).save(tmp_path / "ant" / "turned.png", exif=exif)
    data = load(tmp_path)
    assert data.image_shape == (12, 10, 3)
    assert (upright.tobytes(), 0) in every(data)


def test_hidden_files_and_non_images_are_skipped_with_a_note(tmp_path):
    make(tmp_path)
    (tmp_path / ".git").mkdir()
    (tmp_path / "__MACOSX").mkdir()
    (tmp_path / "ant" / "Thumbs.db").write_bytes(b"x")
    (tmp_path / "ant" / "._0.png").write_bytes(b"x")
    (tmp_path / "labels.csv").write_text("x")
    data = load(tmp_path)
    assert data.classes == 2
    assert "files skipped: 1 hidden, 1 not images, 1 outside the class folders" in data.notes


def test_max_images_keeps_the_shares(tmp_path):
    data = load(make(tmp_path, 30), max_images=20)
    assert abs(sum(map(len, (data.train, data.val, data.test))) - 20) <= 2
    assert abs(int(data.train.y.sum()) * 2 - len(data.train)) <= 2


@pytest.mark.parametrize("kept", [0, 20, 0.6])
def test_an_unreadable_file_is_named_or_counted(tmp_path, kept):
    make(tmp_path)
    path = tmp_path / "bee" / "3.png"
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole)) if kept < 1 else kept])
    why = "empty" if kept == 0 else "truncated"
    with pytest.raises(DataError, match=rf"bee/3\.png \({why}.*skip_bad=True") as caught:
        load(tmp_path)
    assert "\n" not in str(caught.value)
    data = load(tmp_path, skip_bad=True)
    assert sum(map(len, (data.train, data.val, data.test))) == 15
    assert any(
        f"1 files or folders can't be used and are left out: bee/3.png ({why}" in note
        for note in data.notes
    )


def test_folders_that_hold_nothing_to_learn_are_refused(tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(DataError, match="holds no folder"):
        load(empty)
    Image.fromarray(picture(0)).save(empty / "loose.png")
    with pytest.raises(DataError, match="holds 1 images but no folder"):
        load(empty)
    hollow = make(tmp_path / "hollow")
    (hollow / "cat").mkdir()
    with pytest.raises(DataError, match=r"no image of class 'cat' among 3 classes"):
        load(hollow)
    with pytest.raises(DataError, match="one single class"):
        load(make(tmp_path / "single", classes=("ant",)))
    nothing = tmp_path / "nothing"
    (nothing / "ant").mkdir(parents=True)
    with pytest.raises(DataError, match="no image in its 1 class folders"):
        load(nothing)
    make(tmp_path / "strange" / "train")
    make(tmp_path / "strange" / "test", classes=("ant", "wasp"))
    with pytest.raises(DataError, match="'wasp' is not among the training classes"):
        load(tmp_path / "strange")
    with pytest.raises(DataError, match="no such file or folder"):
        load(tmp_path / "absent")
