"""Shared by all tests: a quiet TensorFlow, two threads, and one seed."""

import os
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

# what data sets keep between starts goes nowhere near the user's own cache
os.environ["KCNN_CACHE"] = tempfile.mkdtemp(prefix="kcnn-tests-")

import pytest


@pytest.fixture(autouse=True)
def seeded():
    """Every test starts from the same random state and the float32 policy."""
    import keras

    keras.config.set_dtype_policy("float32")
    keras.utils.set_random_seed(0)
