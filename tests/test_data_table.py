"""Tables of images: columns, splits, groups, several labels, and rows that can't be right."""

import csv
import os

import numpy as np
import pytest
from PIL import Image

from kcnn.data import DataError, load


def picture(seed):
    return np.random.default_rng(seed).integers(0, 256, (6, 5, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("table")
    (folder / "shots").mkdir()
    for number in range(60):
        Image.fromarray(picture(number)).save(folder / "shots" / f"{number}.png")
    return folder


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KCNN_CACHE", str(tmp_path / "cache"))


def rows(count=60, **columns):
    table = [
        {"path": f"shots/{i}.png", "label": ("dog", "ant", "cat")[i % 3]} for i in range(count)
    ]
    for name, value in columns.items():
        for i, row in enumerate(table):
            row[name] = value(i)
    return table


def write(root, table, name="table.csv", **options):
    with (root / name).open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(table[0]), **options)
        writer.writeheader()
        writer.writerows(table)
    return root / name


def numbers(split):
    return [int(os.fsdecode(path).split("/")[-1].split(".")[0]) for path in split._rows.paths]


def test_paths_and_labels_come_from_their_columns(root):
    data = load(write(root, rows()))
    assert data.class_names == ("ant", "cat", "dog")
    assert [len(s) for s in (data.train, data.val, data.test)] == pytest.approx([43, 5, 12], abs=1)
    for split in (data.train, data.val, data.test):
        want = [("ant", "cat", "dog").index(("dog", "ant", "cat")[n % 3]) for n in numbers(split)]
        assert split.labels.tolist() == want
    few = np.arange(4)
    pixels = data.train.images(few)
    for image, number in zip(pixels, numbers(data.train)[:4], strict=True):
        np.testing.assert_array_equal(image, picture(number))


@pytest.mark.parametrize(
    ("name", "options"), [("a.csv", {"delimiter": ";"}), ("a.tsv", {"delimiter": "\t"})]
)
def test_other_delimiters_and_names(root, name, options):
    table = [{"Image": r["path"], "kind": r["label"]} for r in rows()]
    with pytest.raises(DataError, match=r"no column called label.*'Image', 'kind': give label_col"):
        load(write(root, table, name, **options))
    assert load(root / name, label_column="kind").classes == 3
    with pytest.raises(DataError, match="no column 'sort'"):
        load(root / name, label_column="sort")


def test_parquet_reads_like_csv(root):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    table = rows()
    columns = {name: [row[name] for row in table] for name in table[0]}
    columns["blob"] = [b"\xff\x00"] * len(table)
    columns["number"] = list(range(len(table)))
    parquet.write_table(pyarrow.table(columns), root / "table.parquet")
    one, other = load(root / "table.parquet"), load(write(root, table))
    assert numbers(one.train) == numbers(other.train)
    assert one.fingerprint == other.fingerprint
    (root / "broken.parquet").write_bytes(b"PAR1 junk")
    with pytest.raises(DataError, match=r"broken\.parquet: no readable Parquet file"):
        load(root / "broken.parquet")


def test_a_split_column_and_numeric_labels(root):
    table = rows(split=lambda i: ("train", "Validation", "test")[i % 10 // 8 + (i % 10 == 9)])
    for i, row in enumerate(table):
        row["label"] = (9, 10, 100)[i % 3]
    data = load(write(root, table))
    assert data.class_names == ("9", "10", "100")  # in the order of numbers
    assert [len(s) for s in (data.train, data.val, data.test)] == [48, 6, 6]
    assert all(n % 10 == 9 for n in numbers(data.test))
    named = load(
        write(root, [{**r, "label": i % 3} for i, r in enumerate(rows())]), class_names="abc"
    )
    assert named.class_names == ("a", "b", "c")
    assert all(named.train.labels == np.array(numbers(named.train)) % 3)


def test_a_group_column_keeps_patients_together(root):
    data = load(write(root, rows(patient=lambda i: f"p{i // 5}")), group="patient")
    found = [{n // 5 for n in numbers(split)} for split in (data.train, data.val, data.test)]
    assert sum(map(len, found)) == 12
    with pytest.raises(DataError, match=r"no column 'camera'.*give group"):
        load(root / "table.csv", group="camera")


def test_several_labels_with_a_separator_or_as_columns(root):
    tags = ["red|round", "red", "round | small", "", "small"]
    data = load(
        write(root, rows(labels=lambda i: tags[i % 5])), label_column="labels", label_separator="|"
    )
    assert data.multi_label
    assert data.class_names == ("red", "round", "small")
    assert data.train.labels.dtype == np.float32
    for split in (data.train, data.val, data.test):
        want = [[t in tags[n % 5] for t in data.class_names] for n in numbers(split)]
        np.testing.assert_array_equal(split.labels, np.array(want, np.float32))
    wide = rows(**{t: lambda i, t=t: int(t in tags[i % 5]) for t in ("small", "red", "round")})
    again = load(write(root, wide), label_column=["small", "red", "round"])
    assert again.class_names == ("small", "red", "round")
    assert again.train.labels.shape == (len(again.train), 3)
    x, y = again.train.sample(6)
    assert (x.shape, y.shape) == ((6, 6, 5, 3), (6, 3))
    images, labels = next(iter(again.train.batches(8)))
    assert (images.shape, labels.shape) == ((8, 6, 5, 3), (8, 3))


def changed(index, **values):
    table = rows()
    table[index] = {**table[index], **values}
    return table


BAD = {
    "missing": (changed(4, path="shots/none.png"), r"1 of 60 files.*none\.png \(missing", {}),
    "empty path": (changed(4, path=""), r"line 6: no path in column 'path'", {}),
    "empty label": (changed(4, label=" "), r"line 6: no label in column 'label'", {}),
    "unknown label": (
        changed(4, label="dgo"),
        r"line 6: label 'dgo' is not among the 3 classes of class_names",
        {"class_names": ["ant", "cat", "dog"]},
    ),
    "double": (
        [*rows(), rows()[7]],
        r"line 62: shots/7\.png stands at line 9 already, alike",
        {},
    ),
    "contradiction": (
        [*rows(), {**rows()[7], "label": "cat"}],
        r"line 62: shots/7\.png stands at line 9 already, but with another label",
        {},
    ),
    "strange split": (
        rows(split=lambda i: "traning" if i == 4 else "train"),
        r"line 6: 'traning' in column 'split', where train, val or test is expected",
        {},
    ),
    "class without training": (
        [
            {
                **row,
                "split": "val" if i > 50 else "train",
                "label": "elk" if i == 55 else row["label"],
            }
            for i, row in enumerate(rows())
        ],
        r"line 57: label 'elk' is not among the 3 classes of the training rows",
        {},
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_row_is_named_or_counted(root, name):
    table, said, options = BAD[name]
    path = write(root, table)
    with pytest.raises(DataError, match=said) as caught:
        load(path, **options)
    assert len(str(caught.value).splitlines()) == 1
    data = load(path, skip_bad=True, **options)
    left = {"double": 60, "contradiction": 59}.get(name, 59)
    assert sum(map(len, (data.train, data.val, data.test))) == left
    assert any("left out" in note for note in data.notes)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty; expected a first line"),
        ("path,label\n", "holds no row"),
        ("path,label\na.png,x,y\n", "line 2: 3 values under 2 columns"),
        ("path,path,label\n", "two columns 'path'"),
        ('path,label\n"a.png,x\n', "no readable table"),
        ("picture,label\na.png,x\n", "no column called path.*give path_column"),
    ],
)
def test_tables_that_are_none_are_refused(root, text, said):
    (root / "bad.csv").write_text(text)
    with pytest.raises(DataError, match=said) as caught:
        load(root / "bad.csv")
    assert "bad.csv" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_names_that_are_no_utf8_and_hold_newlines_are_found(root):
    shots = os.fsencode(root / "shots")
    with open(root / "odd.csv", "wb") as table:
        table.write(b"path,label\n")
        for number in range(20):
            name = b"caf\xe9 \n%d.png" % number
            with open(os.path.join(shots, name), "wb") as file:
                Image.fromarray(picture(number + 500)).save(file, "PNG")
            table.write(b'"shots/%s",%s\n' % (name, (b"a", b"b")[number % 2]))
    data = load(root / "odd.csv")
    assert sum(map(len, (data.train, data.val, data.test))) == 20


def test_paths_of_windows_and_whole_numbers_with_a_point_are_understood(root):
    table = [{"path": f"shots\\{i}.png", "label": ("9.0", "10.0", "2.0")[i % 3]} for i in range(60)]
    data = load(write(root, table))
    assert data.class_names == ("2", "9", "10")
    assert data.train.labels.tolist() == [(1, 2, 0)[n % 3] for n in numbers(data.train)]


def test_images_may_lie_elsewhere(root, tmp_path):
    path = write(tmp_path, rows())
    with pytest.raises(DataError, match=r"60 of 60 files can't be used.*shots/0\.png \(missing"):
        load(path)
    assert len(load(path, root=root).train) == 43
    absolute = [{**row, "path": str(root / row["path"])} for row in rows()]
    assert len(load(write(tmp_path, absolute)).train) == 43
    with pytest.raises(DataError, match="is no folder"):
        load(path, root=tmp_path / "none")
