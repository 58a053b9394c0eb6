"""Every image exactly once an epoch, over all workers that share a split."""

import numpy as np
import pytest
import tensorflow as tf

from kcnn.data import DataError, Split, load


def ids(batches, epochs=1):
    """The number that each image carries in its pixels, epoch by epoch."""
    return [[int(i) for x, _ in batches for i in x.numpy()[:, 0, 0, 0]] for _ in range(epochs)]


def split(count=53):
    x = np.zeros((count, 2, 2, 1), "uint8")
    x[:, 0, 0, 0] = np.arange(count)
    return Split(x, np.arange(count) % 3)


@pytest.mark.parametrize("workers", [2, 3, 4])
@pytest.mark.parametrize("shuffle", [False, True])
def test_each_image_is_in_one_part_in_every_epoch(workers, shuffle):
    whole = split()
    parts = [
        ids(whole.batches(4, shuffle=shuffle, seed=3, shard=(i, workers)), epochs=3)
        for i in range(workers)
    ]
    for epoch in zip(*parts, strict=True):
        assert sorted(i for part in epoch for i in part) == list(range(53))
        assert max(map(len, epoch)) - min(map(len, epoch)) <= 1
    assert (parts[0][0] != parts[0][1]) == shuffle


def test_the_parts_of_a_stream_are_whole_together():
    x = np.zeros((40, 2, 2, 1), "uint8")
    x[:, 0, 0, 0] = np.arange(40)
    data = load(tf.data.Dataset.from_tensor_slices((x, np.arange(40) % 2)))
    whole = sorted(ids(data.train.batches(4))[0])
    found = [ids(data.train.batches(4, shuffle=True, shard=(i, 3)))[0] for i in range(3)]
    assert sorted(i for part in found for i in part) == whole


def test_full_batches_are_as_many_for_each():
    found = [ids(split().batches(4, drop_remainder=True, shard=(i, 3)))[0] for i in range(3)]
    assert [len(part) for part in found] == [16, 16, 16]
    assert len({i for part in found for i in part}) == 48


@pytest.mark.parametrize(
    ("shard", "said"), [((2, 2), r"shard=\(2, 2\)"), ((0, 60), "53 images are none for each of 60")]
)
def test_a_part_that_is_none_is_refused(shard, said):
    with pytest.raises(DataError, match=said):
        split().batches(4, shard=shard)
