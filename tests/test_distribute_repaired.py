"""Keras's functions are replaced within the block alone, and only where they are faulty."""

import dataclasses

import pytest

from kcnn.distribute import keras_internals, repaired
from kcnn.distribute.keras_internals import FAULTS


def functions():
    return [getattr(*fault.place()) for fault in FAULTS]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_the_installed_keras_has_the_fault(fault):
    """If not: see whether it is mended there, and take ours out or write it anew."""
    assert fault.present()


def test_all_are_replaced_within_the_block_once_and_come_back():
    before = functions()
    with repaired():
        within = functions()
        assert not any(a is b for a, b in zip(before, within, strict=True))
        with repaired():
            assert functions() == within
        assert functions() == within
    assert functions() == before
    with pytest.raises(KeyError), repaired():
        raise KeyError
    assert functions() == before


def test_ours_steps_aside_where_the_line_is_gone_or_the_function_moved(monkeypatch):
    before = functions()
    gone = [
        dataclasses.replace(FAULTS[0], line="no such line"),
        dataclasses.replace(FAULTS[1], name="no_such_function"),
        dataclasses.replace(FAULTS[2], module="keras.src.no_such_module"),
    ]
    monkeypatch.setattr(keras_internals, "FAULTS", gone)
    with repaired():
        assert functions() == before
