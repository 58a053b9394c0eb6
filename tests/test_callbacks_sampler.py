"""The bounded sampler: any stream, any length, in bounded memory, and nothing taken from `fit`."""

import itertools
import tracemalloc

import keras
import numpy as np
import pytest
import tensorflow as tf

from kcnn.callbacks.data import Census, Sampler, draw, even_rows, flat_rows, row_keys
from kcnn.callbacks.data import _sampler as bounds
from kcnn.callbacks.data._rows import Rows

RNG = np.random.default_rng(5)
N = 480
X = RNG.normal(size=(N, 6)).astype("float32")
Y = np.arange(N) % 3


class Batches(keras.utils.PyDataset):
    def __init__(self, *, noise=0.0, size=40):
        super().__init__()
        self.noise, self.size, self.order, self.given = noise, size, np.arange(N), []

    def __len__(self):
        return N // self.size

    def __getitem__(self, index):
        self.given.append(index)
        rows = self.order[self.size * index : self.size * (index + 1)]
        return X[rows] + self.noise * RNG.normal(size=(len(rows), 6)), Y[rows]

    def on_epoch_end(self):
        RNG.shuffle(self.order)


def dataset(*, shuffle=False, noise=False):
    data = tf.data.Dataset.from_tensor_slices((X, Y))
    data = data.shuffle(N) if shuffle else data
    if noise:
        data = data.map(lambda x, y: (x + tf.random.normal((6,)), y))
    return data.batch(40)


def generator():
    yield from ((X[i : i + 40], Y[i : i + 40]) for i in range(0, N, 40))


@pytest.fixture
def small(monkeypatch):
    """Bounds of 100 rows kept, 200 read."""
    monkeypatch.setattr(bounds, "MOST_ROWS", 100)
    monkeypatch.setattr("kcnn.callbacks.data._stream.MOST_ROWS", 100)


@pytest.mark.parametrize("make", [None, dataset, Batches, generator])
def test_what_fits_is_kept_whole_and_in_order(make):
    x, y = (X, Y) if make is None else (make(), None)
    case = draw(x, y, {"batch_size": 40, "epochs": 2})
    np.testing.assert_allclose(case.train.x, X)
    np.testing.assert_array_equal(case.train.y, Y)
    assert (case.steps, case.batch_size, str(case.part)) == (24, 40, "all 480 rows")
    assert case.census.rows == 480
    assert not [note for note in case.notes if "examined on" in note]


@pytest.mark.parametrize("kind", ["arrays", "dataset", "PyDataset"])
def test_beyond_the_bounds_an_even_draw_is_kept_and_the_part_is_named(small, kind):
    x, y = {"arrays": (X, Y), "dataset": (dataset(), None), "PyDataset": (Batches(), None)}[kind]
    case = draw(x, y, {"batch_size": 40})
    assert case.train.n == 100
    assert case.part.total == N
    assert "100 of " in case.notes[-1]
    assert "480 rows" in case.notes[-1]
    places = [int(np.flatnonzero((row == X).all(1))[0]) for row in case.train.x]
    assert places == sorted(places)
    assert case.steps == 12
    if kind != "dataset":  # a data set is read from its start, the others all over
        assert max(places) > 0.8 * N
    assert case.census.rows > 100


def test_every_row_that_goes_by_has_the_same_chance():
    kept = np.zeros(300)
    for seed in range(200):
        sampler = Sampler(seed=seed)
        sampler.add((np.arange(10.0), np.zeros(10)))
        sampler._capacity = 30
        for start in range(10, 300, 10):
            sampler.add((np.arange(start, start + 10.0), np.zeros(10)))
        rows = sampler.rows().x
        assert len(set(rows)) == 30
        kept[rows.astype(int)] += 1
    assert abs(kept.mean() - 20) < 1e-9
    assert kept.max() < 20 + 5 * np.sqrt(18)  # binomial (200, 0.1)
    assert abs(kept[:150].mean() - kept[150:].mean()) < 1.5


def test_a_stream_of_ten_gigabytes_in_bounded_memory():
    made = [0]

    def endless():
        for made[0] in itertools.count(1):
            yield np.zeros((64, 224, 224, 3), "float32"), np.arange(64) % 10  # 38 MB

    tracemalloc.start()
    case = draw(endless(), None, {"steps_per_epoch": 265, "epochs": 3})  # 10 GB an epoch
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 500e6
    assert made[0] < 8
    assert (case.part.total, case.steps) == (64 * 265, 3 * 265)
    first = next(case.x)  # fit still gets every batch
    assert len(first[0]) == 64
    assert "of about 16,960 rows" in case.notes[-1]


def test_arrays_on_disk_are_read_in_part(tmp_path):
    path = tmp_path / "x.npy"
    x = np.lib.format.open_memmap(path, "w+", "float32", (4000, 64, 64, 3))  # 197 MB
    x[::500] = 1.0
    del x
    tracemalloc.start()
    x = np.load(path, mmap_mode="r")
    case = draw(x, np.arange(4000) % 7, {"batch_size": 32})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 250e6
    assert case.train.n < 4000
    assert case.census.rows == 4000


@pytest.mark.parametrize(("data", "moving"), [
    (dataset(), False), (dataset(shuffle=True), False), (dataset(shuffle=True, noise=True), True),
    (Batches(), False), (Batches(noise=1.0), True),
])  # fmt: skip
def test_shuffled_rows_are_not_taken_for_transformed_ones(data, moving):
    assert draw(data, None, {}).moving == moving


def test_steps_per_epoch_cuts_an_epoch_that_never_ends():
    case = draw(dataset().repeat(), None, {"steps_per_epoch": 5, "epochs": 4})
    assert (case.train.n, case.steps, case.part.whole) == (200, 20, True)
    short = draw(dataset(), None, {"steps_per_epoch": 100})
    assert (short.train.n, short.part.whole) == (N, True)


def test_reading_takes_nothing_from_what_fit_gets():
    tf.random.set_seed(3)
    data = dataset(shuffle=True, noise=True)
    alone = [x.numpy() for x, _ in data] + [x.numpy() for x, _ in data]
    tf.random.set_seed(3)
    data = dataset(shuffle=True, noise=True)
    draw(data, None, {"validation_data": data})
    watched = [x.numpy() for x, _ in data] + [x.numpy() for x, _ in data]
    np.testing.assert_array_equal(alone, watched)
    batches = Batches()
    draw(batches, None, {})
    assert batches.given == []


def test_a_cache_file_is_neither_made_nor_locked(tmp_path):
    data = dataset().cache(str(tmp_path / "cache"))
    draw(data, None, {"steps_per_epoch": 3})
    assert list(tmp_path.iterdir()) == []
    assert len(list(data)) == 12


def test_a_data_set_of_large_arrays_is_drawn_from_its_rows(monkeypatch):
    monkeypatch.setattr("kcnn.callbacks.data._twin.SHARED_BYTES", 1000)
    monkeypatch.setattr("kcnn.callbacks.data._stream.MOST_ROWS", 90)
    calls = []

    def scale(x, y):
        calls.append(1)
        return x / 2, y

    data = tf.data.Dataset.from_tensor_slices((X, Y)).shuffle(N).map(scale).batch(40).prefetch(1)
    case = draw(data, None, {"epochs": 2})
    assert (case.train.n, case.part.total, case.steps) == (90, N, 24)
    known = set(row_keys(X / 2).tolist())
    assert set(row_keys(case.train.x).tolist()) <= known
    assert calls == [1]  # not traced again


def test_padded_batches_of_different_lengths_and_ragged_ones():
    sampler = Sampler()
    sampler.add((np.ones((2, 3)), np.zeros(2)))
    sampler.add((np.ones((2, 5)), np.zeros(2)))
    sampler.add((tf.ragged.constant([[7.0], [7.0, 7.0]]), np.zeros(2)))
    np.testing.assert_array_equal((sampler.rows().x != 0).sum(1), [3, 3, 5, 5, 1, 2])


def test_nests_weights_and_tables_keep_their_form():
    weights = np.linspace(0.5, 1.5, N)  # weights that are all 1 count as none
    case = draw({"a": X, "b": Y}, {"k": Y}, {"sample_weight": weights, "validation_split": 0.25})
    assert (case.train.n, case.val.n, case.train.weight.dtype) == (360, 120, np.float32)
    assert case.census["k"].values.tolist() == [0, 1, 2]
    scipy = pytest.importorskip("scipy.sparse")
    np.testing.assert_array_equal(draw(scipy.csr_matrix(X), Y, {}).train.x, X)


@pytest.mark.parametrize(("y", "values"), [
    (np.array([3, 900, 3]), [3, 900]), (np.eye(4)[[1, 3, 1]], [1, 3]),
    (np.array([0.5, 1.0, 2.0]), None), (np.ones((3, 4, 4)), None), (np.array([np.nan] * 3), None),
])  # fmt: skip
def test_the_census_counts_labels_and_nothing_else(y, values):
    census = Census()
    census.add(y)
    assert (None if census.values is None else census.values.tolist()) == values


def test_wide_rows_are_compared_on_a_few_columns():
    x = np.zeros((3000, 40, 100), "uint8")
    assert flat_rows(x, 1500).shape == (1500, 4000)
    assert flat_rows(np.zeros((1500, 20000)), 1500).nbytes < 64e6
    assert len(even_rows(x, 10_000)) <= 2000
    assert Rows(x, x[:, 0]).n == 3000
    keys = row_keys(np.array([[1, 2], [3, 4], [1, 2]]))
    assert keys[0] == keys[2] != keys[1]


def test_a_label_that_only_the_census_met_is_a_class(small):
    from kcnn.callbacks.doctor._reading import read_context

    y = Y.copy()
    drawn = draw(X, y, {}).train.x
    place = next(i for i in range(N) if not (drawn == X[i]).all(1).any())
    y[place] = 7
    layers = [keras.Input((6,)), keras.layers.Dense(3, "softmax")]
    model = keras.Sequential(layers)
    model.compile("adam", "sparse_categorical_crossentropy")
    case = draw(X, y, {})
    assert 7 not in case.train.y
    found = list(read_context(model, case).hypotheses("static", "data", "start"))
    assert "wrong_output_units" in [one.cause for one in found if one.is_proven]
