"""The strategy for the cluster that this process was started in."""

from __future__ import annotations

import hashlib
import os
import platform
import random
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from kcnn.distribute._cluster import Cluster, DistributeError, cluster
from kcnn.distribute._meeting import meet
from kcnn.distribute.keras_internals import global_seed

__all__ = ["strategy"]

PATIENCE = 120.0  # seconds; containers of one job start that far apart


def strategy(
    *,
    same: Mapping[str, str] | None = None,
    workers: Cluster | None = None,
    patience: float = PATIENCE,
) -> Any:
    """The `tf.distribute` strategy for `workers`, or for the cluster of the environment.

    Alone it is `MirroredStrategy` over several GPUs, or TensorFlow's default for one device. With
    other workers it waits for them and compares the script, the versions and `same`; the random
    seed of TensorFlow, where none is set, becomes that of worker 0, so that all shuffle alike.
    To be called before anything else is done with TensorFlow.

    Args:
        same: more that has to be equal, like {"data": dataset.fingerprint}.
        workers: instead of what the environment says.
        patience: seconds to wait for the others.

    Raises:
        DistributeError: on every worker, if one is missing, different or can't use its port.

    >>> strategy().num_replicas_in_sync
    1
    """
    if keras.backend.backend() != "tensorflow":
        raise DistributeError(
            "kcnn.distribute.strategy needs Keras on TensorFlow, not on "
            f"{keras.backend.backend()}; there is keras.distribution.DataParallel for JAX."
        )
    import tensorflow as tf

    workers = workers or cluster()
    if len(workers.workers) == 1:
        several = len(tf.config.list_physical_devices("GPU")) > 1
        return tf.distribute.MirroredStrategy() if several else tf.distribute.get_strategy()
    seed = meet(
        workers, {**_facts(), **(same or {})}, seed=random.getrandbits(31), patience=patience
    )
    if global_seed() is None:
        tf.random.set_seed(seed)
    os.environ["TF_CONFIG"] = workers.tf_config()
    try:
        return tf.distribute.MultiWorkerMirroredStrategy()
    except RuntimeError as error:
        if "program startup" not in str(error):
            raise
        raise DistributeError(
            "TensorFlow was in use already; call kcnn.distribute.strategy() before models, "
            "tensors and data sets are made."
        ) from error


def _facts() -> dict[str, str]:
    """What has to be the same on all workers."""
    import tensorflow as tf

    script = Path(getattr(sys.modules["__main__"], "__file__", None) or sys.executable)
    code = script.read_bytes() if script.suffix == ".py" else b""
    return {
        "script": f"{script.name} {hashlib.blake2b(code, digest_size=4).hexdigest()}",
        "Python": ".".join(platform.python_version_tuple()[:2]),
        "Keras": keras.__version__,
        "TensorFlow": tf.__version__,
    }
