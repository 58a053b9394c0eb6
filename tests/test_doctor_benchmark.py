"""The doctor's benchmark: the table is complete, programs build, the figures are counted right."""

import math

import numpy as np
import pytest

from benchmarks.doctor import HALVES, programs
from benchmarks.doctor._judge import figures, table, wilson
from kcnn.callbacks.causes import CAUSES

FAULTY = [one for one in programs() if one.main]
HEALTHY = [one for one in programs() if not one.main]


@pytest.mark.parametrize("label", CAUSES)
def test_every_label_has_three_programs_and_both_halves(label):
    found = [one for one in FAULTY if label in one.main]
    assert len(found) >= 3
    assert {one.half for one in found} >= set(HALVES)


def test_thirty_healthy_programs_in_both_halves():
    assert len(HEALTHY) >= 30
    assert min(sum(one.half == half for one in HEALTHY) for half in HALVES) >= 15


def test_halves_are_of_like_size_and_names_are_unique():
    sizes = [sum(one.half == half for one in programs()) for half in HALVES]
    assert max(sizes) < 1.3 * min(sizes)
    names = [one.name for one in programs()]
    assert len(set(names)) == len(names)


def test_the_sealed_part_has_forty_faulty_programs_and_ten_healthy_ones():
    sealed = list(programs("sealed"))
    assert sum(bool(one.main) for one in sealed) >= 40
    assert sum(not one.main for one in sealed) >= 10


@pytest.mark.parametrize(
    ("hits", "total", "low", "high"), [(19, 38, 0.348499, 0.651501), (0, 10, 0, 0.277533)]
)
def test_interval_of_a_share(hits, total, low, high):
    assert wilson(hits, total) == pytest.approx((low, high), abs=1e-4)


def test_every_program_says_what_its_user_sees_and_what_proves_the_fault():
    for one in programs():
        assert len(one.complaint) > 15, one.name
        assert one.good > (one.bad if one.main else -math.inf), one.name
        assert not set(one.main) & set(one.also), one.name


@pytest.mark.parametrize("name", ["cancer_softmax_over_one_unit", "digits_only_x_shuffled"])
def test_a_build_is_the_same_program_every_time(name):
    (one,) = programs(only=name)
    first, again, mended = one.build(True), one.build(True), one.build(False)
    for a, b in zip(first.model.get_weights(), again.model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(first.x, again.x)
    assert first.fit.keys() == mended.fit.keys()


def test_the_fault_is_the_only_difference_of_a_twin():
    (one,) = programs(only="cancer_softmax_over_one_unit")
    faulty, mended = one.build(True), one.build(False)
    last = [case.model.layers[-1].get_config() for case in (faulty, mended)]
    assert last[0].pop("activation") == "softmax"
    assert last[1].pop("activation") == "sigmoid"
    np.testing.assert_array_equal(faulty.x, mended.x)
    np.testing.assert_array_equal(faulty.y, mended.y)


def test_a_fault_shows_when_trained():
    from benchmarks.doctor.verify import holds, train

    (one,) = programs(only="cancer_softmax_over_one_unit")
    scores = {variant: train(one, variant == "faulty")[0] for variant in one.variants}
    assert all(holds(one, variant, score) for variant, score in scores.items())
    assert not holds(one, "mended", scores["faulty"])


def _record(variant, causes, main=("lr_too_high",), **more):
    faults = {"main": list(main), "also": ["dying_relu"]}
    return {"program": "p", "variant": variant, "causes": causes, **faults, **more}


def test_figures_by_hand():
    records = [
        _record("faulty", ["lr_too_high"], fit_s=1.0, examine_s=2.0),
        _record("faulty", ["dying_relu", "lr_too_high"], fit_s=1.0, examine_s=4.0),
        _record("faulty", ["wrong_loss"], fit_s=1.0, examine_s=3.0),
        _record("faulty", []),
        _record("mended", []),
        _record("mended", ["nan_inputs"]),
        {**_record("healthy", []), "main": []},
    ]
    f = figures(records)
    assert (f["detected"], f["named"], f["first"]) == (0.75, 0.5, 0.25)
    assert f["precision"] == 0.75  # three of the four names are true
    assert (f["alarms_mended"], f["alarms_healthy"]) == (0.5, 0.0)
    assert f["cost_median"] == 3.0


def test_table_lists_misses_and_alarms():
    text = table([_record("faulty", []), _record("mended", ["nan_inputs"])], "title")
    assert "| p | faulty | lr_too_high | nothing |" in text
    assert "| p | mended | nothing | nan_inputs |" in text
