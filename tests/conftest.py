"""Shared by all tests: a quiet TensorFlow, two threads, and one seed."""

import os
import tempfile

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

# what data sets keep between starts goes nowhere near the user's own cache
_CACHE = tempfile.TemporaryDirectory(prefix="kcnn-tests-")
os.environ["KCNN_CACHE"] = _CACHE.name


@pytest.fixture(autouse=True)
def seeded():
    """Every test starts from the same random state and the float32 policy."""
    import keras

    keras.config.set_dtype_policy("float32")
    keras.utils.set_random_seed(0)


@pytest.fixture
def small_images_are_not_compiled(monkeypatch):
    """Augmentation of few pixels runs operation by operation."""
    from kcnn.augment import _compile

    monkeypatch.setattr(_compile, "_WORTH_COMPILING", 2048)
