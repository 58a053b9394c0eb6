"""Ordinary set-ups are left in peace: no failure, no warning, by `examine` and by `Doctor`."""

import keras
import pytest
from doctor_zoo import ZOO

from kcnn.callbacks import Doctor, examine

QUICK = ("resnet_sgd_cosine", "fine_tuning_at_1e_5", "two_outputs", "class_ids_with_gaps")
NAMES = [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in ZOO]


@pytest.mark.parametrize("name", NAMES)
def test_ordinary_set_ups_are_left_in_peace(name):
    keras.utils.set_random_seed(1)
    model, x, y, fit = ZOO[name]()
    found = examine(model, x, y, **fit)
    assert found.healthy, str(found)
    assert not [f for f in found.findings if not f.ok], str(found)


@pytest.mark.parametrize("name", NAMES)
def test_a_doctor_beside_an_ordinary_training_is_silent(name):
    keras.utils.set_random_seed(1)
    model, x, y, fit = ZOO[name]()
    if hasattr(x, "as_numpy_iterator"):
        sample = next(iter(x.as_numpy_iterator()))
    elif isinstance(x, keras.utils.PyDataset):
        sample = x[0]
    else:
        sample = next(x) if hasattr(x, "__next__") else (x, y)
    heard = []
    watched = [*fit.pop("callbacks", ()), Doctor(*sample, sink=heard.append)]
    model.fit(x, y, verbose=0, callbacks=watched, **fit)
    assert heard == []
