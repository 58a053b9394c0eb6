"""Folders as file systems hand them over: links, loops, rights, odd names, files that go."""

import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from kcnn.data import DataError, load


def picture(seed):
    return np.random.default_rng(seed).integers(0, 256, (6, 5, 3)).astype(np.uint8)


def make(folder, count=10, classes=(b"ant", b"bee")):
    root = os.fsencode(folder)
    for number, name in enumerate(classes):
        os.makedirs(os.path.join(root, name), exist_ok=True)
        for index in range(count):
            with open(os.path.join(root, name, b"%d.png" % index), "wb") as file:
                Image.fromarray(picture(100 * number + index)).save(file, "PNG")
    return folder


def images(data):
    return sum(map(len, (data.train, data.val, data.test)))


def refused(folder, said, **options):
    with pytest.raises(DataError, match=said) as caught:
        load(folder, **options)
    assert len(str(caught.value).splitlines()) == 1


def test_several_bad_files_are_named_and_counted(tmp_path):
    make(tmp_path)
    (tmp_path / "ant" / "0.png").write_bytes(b"")
    (tmp_path / "ant" / "1.png").write_text("no image")
    (tmp_path / "bee" / "2.jpg").write_bytes((tmp_path / "bee" / "2.png").read_bytes()[:60])
    os.symlink(tmp_path / "nowhere", tmp_path / "bee" / "gone.png")
    os.symlink(tmp_path / "bee" / "me.png", tmp_path / "bee" / "me.png")
    (tmp_path / "bee" / "folder.png").mkdir()
    os.mkfifo(tmp_path / "bee" / "pipe.png")
    refused(tmp_path, r"6 of 24 files.*ant/0\.png \(empty\); ant/1\.png \(no image.*; \.\.\.")
    data = load(tmp_path, skip_bad=True)
    assert images(data) == 18
    (note,) = (note for note in data.notes if "left out" in note)
    assert note.startswith("6 files")


def test_a_mislabelled_image_is_read_as_what_it_is(tmp_path):
    make(tmp_path)
    os.rename(tmp_path / "ant" / "0.png", tmp_path / "ant" / "0.jpg")
    data = load(tmp_path)
    assert images(data) == 20
    pixels = np.concatenate([split.x for split in (data.train, data.val, data.test)])
    assert (pixels == picture(0)).all(axis=(1, 2, 3)).sum() == 1


def test_a_loop_of_links_is_found(tmp_path):
    make(tmp_path)
    (tmp_path / "ant" / "deep").mkdir()
    os.symlink(tmp_path / "ant", tmp_path / "ant" / "deep" / "again")
    refused(tmp_path, r"ant/deep/again: a link back to a folder above it.*skip_bad")
    assert images(load(tmp_path, skip_bad=True)) == 20


def test_a_linked_class_folder_is_followed(tmp_path):
    make(tmp_path / "elsewhere")
    (tmp_path / "bugs").mkdir()
    for name in ("ant", "bee"):
        os.symlink(tmp_path / "elsewhere" / name, tmp_path / "bugs" / name)
    assert images(load(tmp_path / "bugs")) == 20


def test_a_folder_without_permission_is_named(tmp_path, monkeypatch):
    make(tmp_path, classes=(b"ant", b"bee", b"cat"))
    scan = os.scandir

    def locked(path):
        if os.fsencode(path).endswith(b"bee"):
            raise PermissionError(13, "Permission denied", path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", locked)
    refused(tmp_path, r"bee: this folder can't be read \(permission denied\); change its rights")
    refused(tmp_path, "no image of class 'bee'", skip_bad=True)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give up")
def test_another_user_is_told_which_files_he_may_not_read(tmp_path):
    make(tmp_path / "bugs")
    os.chmod(tmp_path / "bugs" / "ant" / "3.png", 0o600)
    for folder in (tmp_path, *tmp_path.parents):
        if not os.stat(folder).st_mode & 0o001:
            os.chmod(folder, os.stat(folder).st_mode | 0o055)
    code = (
        "import os, sys, types\n"
        "sys.path.insert(0, sys.argv[1])\n"
        "from kcnn.data._manifest import look_at_files\n"
        "os.setuid(65534)\n"
        "import numpy as np\n"
        "paths = np.array([b'ant/3.png', b'ant/4.png'])\n"
        "found, said = look_at_files(sys.argv[2].encode(), paths,\n"
        "    key=sys.argv[2].encode(), title='')\n"
        "print(found.paths, found.bad)\n"
    )
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    done = subprocess.run(
        [sys.executable, "-c", code, root, str(tmp_path / "bugs")],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "KCNN_CACHE": str(tmp_path / "cache"), "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    assert done.stdout.strip() == "[b'ant/4.png'] {b'ant/3.png': 'permission denied'}", done.stderr


def test_names_that_are_no_text_are_read_and_shown_on_one_line(tmp_path):
    make(tmp_path)
    root = os.fsencode(tmp_path)
    names = [b"new\nline.png", b"latin\xe9.png", b"tab\t \x1b[31mred.png", "schön.png".encode()]
    for number, name in enumerate(names):
        with open(os.path.join(root, b"ant", name), "wb") as file:
            Image.fromarray(picture(900 + number)).save(file, "PNG")
    data = load(tmp_path)
    assert images(data) == 24
    held = np.concatenate([split.x for split in (data.train, data.val, data.test)])
    for number in range(4):
        assert (held == picture(900 + number)).all(axis=(1, 2, 3)).sum() == 1
    for name in names:
        with open(os.path.join(root, b"ant", name), "wb"):
            pass
    refused(tmp_path, r"ant/latin\\xe9\.png \(empty\); ant/new\\nline\.png \(empty\)")


@pytest.mark.parametrize("name", [b"two\nlines", b"caf\xe9"])
def test_a_class_needs_a_name_that_is_text(tmp_path, name):
    make(tmp_path, classes=(b"ant", b"bee", name))
    refused(tmp_path, "has a name that is not plain text; rename it")


def test_names_that_differ_by_case_only(tmp_path):
    make(tmp_path)
    Image.fromarray(picture(900)).save(tmp_path / "ant" / "0.PNG")
    if len(os.listdir(tmp_path / "ant")) == 10:
        pytest.skip("this disk does not tell them apart")
    data = load(tmp_path)
    assert images(data) == 21
    assert any("by case only and are used: ant/0.PNG and ant/0.png" in n for n in data.notes)
    make(tmp_path, classes=(b"Bee",))
    refused(tmp_path, "class folders 'Bee' and 'bee' differ by case only; merge or rename")


def test_pictures_that_unpack_to_gigabytes_are_never_decoded(tmp_path):
    import struct
    import zlib

    make(tmp_path)

    def chunk(name, data):
        told = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + told

    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(10_000))
    bomb = (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )
    (tmp_path / "ant" / "bomb.png").write_bytes(bomb)
    refused(tmp_path, r"ant/bomb\.png \(too large: 50000x50000 pixels unpack to 7\.0 GiB\)")
    assert images(load(tmp_path, skip_bad=True)) == 20


def test_a_file_that_goes_or_breaks_after_the_first_look_is_named(tmp_path):
    make(tmp_path)
    data = load(tmp_path)
    path = os.fsdecode(data.train._rows.paths[3])
    os.unlink(path)
    with pytest.raises(
        DataError, match=r"\.png: the file is gone since it was first looked at"
    ) as caught:
        data.train.images([0, 3])
    assert os.path.basename(path) in str(caught.value)
    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + bytes(60))
    with pytest.raises(DataError, match=r"\.png: the file can be decoded no more") as caught:
        data.train.x  # noqa: B018
    assert os.path.basename(path) in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
