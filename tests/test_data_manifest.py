"""What a first look keeps, what a second one reads, and what follows from files alone."""

import os
import shutil

import numpy as np
import pytest
from PIL import Image

from kcnn.data import DataError, _manifest, load


def picture(seed):
    return np.random.default_rng(seed).integers(0, 256, (6, 5, 3)).astype(np.uint8)


def make(folder, count=20, classes=("ant", "bee"), numbers=None):
    for index in numbers if numbers is not None else range(count):
        for number, name in enumerate(classes):
            (folder / name).mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture(1000 * number + index)).save(folder / name / f"{index}.png")
    return folder


def files(split):
    return [os.fsdecode(path).split("/")[-2:] for path in split._rows.paths]


def splits(data):
    return [files(split) for split in (data.train, data.val, data.test)]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KCNN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def read(monkeypatch):
    """Which files are read."""
    seen = []
    look = _manifest._look_at
    monkeypatch.setattr(
        _manifest, "_look_at", lambda path: (seen.append(os.path.basename(path)), look(path))[1]
    )
    return seen


def test_the_second_start_reads_only_what_changed(tmp_path, read):
    folder = make(tmp_path / "bugs")
    first = load(folder)
    assert len(read) == 40
    read.clear()
    again = load(folder)
    assert read == []
    assert splits(again) == splits(first)
    assert again.fingerprint == first.fingerprint
    Image.fromarray(picture(77)).save(folder / "ant" / "3.png")
    os.utime(folder / "ant" / "3.png", ns=(1, 1))  # however coarse the clock of the disk is
    (folder / "bee" / "5.png").unlink()
    changed = load(folder)
    assert read == [b"3.png"]
    assert changed.fingerprint != first.fingerprint
    assert sum(map(len, splits(changed))) == 39


def test_a_broken_off_look_is_taken_up(tmp_path, monkeypatch, read):
    folder = make(tmp_path / "bugs")
    look = _manifest._look_at

    def stop(path):
        if path.endswith(b"bee/7.png"):
            raise KeyboardInterrupt
        return look(path)

    monkeypatch.setattr(_manifest, "_PIECE", 1)
    monkeypatch.setattr(_manifest, "_THREADS", 1)
    monkeypatch.setattr(_manifest, "_look_at", stop)
    with pytest.raises(KeyboardInterrupt):
        load(folder)
    monkeypatch.setattr(_manifest, "_look_at", look)
    assert 0 < len(read) < 40
    load(folder)
    assert len(read) == 40  # each of them once


def test_a_cache_that_is_broken_or_cannot_be_written_only_costs_time(tmp_path, cache, monkeypatch):
    folder = make(tmp_path / "bugs")
    first = load(folder)
    (store,) = (cache / "manifests").iterdir()
    for junk in (b"", b"junk", store.read_bytes()[:200]):
        store.write_bytes(junk)
        assert load(folder).fingerprint == first.fingerprint

    def full(*args):
        raise OSError(28, "No space left on device")

    store.unlink()
    monkeypatch.setattr(_manifest.os, "replace", full)
    data = load(folder)
    assert data.fingerprint == first.fingerprint
    assert any("could not be kept" in n and "no space left" in n for n in data.notes)
    assert list((cache / "manifests").iterdir()) == []  # nothing half written stays


def test_splits_follow_from_seed_and_files_alone(tmp_path):
    data = load(make(tmp_path / "one"))
    other = load(make(tmp_path / "two", numbers=reversed(range(20))))
    assert splits(data) == splits(other)
    assert data.fingerprint == other.fingerprint
    assert splits(load(tmp_path / "one", seed=1)) != splits(data)
    for split in splits(data):
        assert abs(sum(name == "ant" for name, _ in split) * 2 - len(split)) <= 1


def test_a_moved_image_is_another_data_set(tmp_path):
    before = load(make(tmp_path / "one")).fingerprint
    shutil.move(tmp_path / "one" / "ant" / "3.png", tmp_path / "one" / "bee" / "a3.png")
    assert load(tmp_path / "one").fingerprint != before


def test_groups_stay_together(tmp_path):
    folder = tmp_path / "cells"
    for patient in range(12):
        for shot in range(5):
            name = ("ill", "well")[(patient + shot) % 2]
            (folder / name).mkdir(parents=True, exist_ok=True)
            pixels = Image.fromarray(picture(100 * patient + shot))
            pixels.save(folder / name / f"patient{patient}_{shot}.png")
    data = load(folder, group=r"(patient\d+)_")
    found = [{file.split("_")[0] for _, file in split} for split in splits(data)]
    assert sum(map(len, found)) == 12
    assert [len(split) for split in splits(data)] == pytest.approx([43, 5, 12], abs=3)
    assert data.warnings == ()
    assert any("12 groups" in note for note in data.notes)
    for wrong, said in (
        (r"patient", "has 0 groups"),
        (r"(camera)", "finds nothing in the path"),
        (r"(", "no regular expression"),
        (r"(patient)", "no image is left for the .*60 images of 1 groups in all"),
    ):
        with pytest.raises(DataError, match=said):
            load(folder, group=wrong)


def test_a_group_in_two_given_parts_is_a_leak(tmp_path):
    for part, numbers in (("train", range(10)), ("test", range(8, 12))):
        make(tmp_path / part, numbers=numbers)
        for index in numbers:  # other pixels under the same names
            pixels = Image.fromarray(picture(50 + index + 500 * (part == "test")))
            pixels.save(tmp_path / part / "ant" / f"{index}.png")
            pixels.rotate(90, expand=True).save(tmp_path / part / "bee" / f"{index}.png")
    data = load(tmp_path, group=r"(\d+)\.png")
    assert [warning.cause for warning in data.warnings if "group" in warning.seen] == ["data_leak"]


def test_identical_images_in_two_parts_are_a_leak_that_names_them(tmp_path):
    make(tmp_path / "train")
    make(tmp_path / "test", numbers=range(18, 30))
    data = load(tmp_path)
    leaks = [warning for warning in data.warnings if warning.cause == "data_leak"]
    assert leaks
    told = " ".join(str(warning) for warning in leaks)
    assert "of 24 test images are the same as train images" in told
    assert "train/ant/18.png and test/ant/18.png" in told or "train/bee/18.png and" in told


def test_identical_images_are_kept_in_one_split(tmp_path):
    folder = make(tmp_path / "bugs")
    for index in range(4):
        shutil.copy(folder / "ant" / f"{index}.png", folder / "ant" / f"copy{index}.png")
    for seed in range(5):
        data = load(folder, seed=seed)
        assert data.warnings == ()
        for index in range(4):
            both = [["ant", f"{index}.png"], ["ant", f"copy{index}.png"]]
            assert [sum(f in split for f in both) for split in splits(data)].count(2) == 1
    assert any("4 images hold the same as another" in note for note in data.notes)


def test_one_image_in_two_classes_and_a_rare_class_are_told(tmp_path):
    folder = make(tmp_path / "bugs", 40)
    shutil.copy(folder / "ant" / "0.png", folder / "bee" / "also.png")
    (clash,) = load(folder).warnings
    assert clash.cause == "label_misalignment"
    assert "ant/0.png and bee/also.png" in clash.seen
    (folder / "cat").mkdir()
    for index in range(3):
        Image.fromarray(picture(5000 + index)).save(folder / "cat" / f"{index}.png")
    causes = {warning.cause: warning for warning in load(folder).warnings}
    assert set(causes) == {"label_misalignment", "class_imbalance"}
    assert "'cat'" in causes["class_imbalance"].seen
