"""Training on several devices and in several processes, with any Keras model on TensorFlow::

    strategy = kcnn.distribute.strategy()      # the cluster this process was started in
    with strategy.scope():
        model = ...; model.compile(...)
    kcnn.distribute.fit(model, x, y, batch_size=64, epochs=10)

The same script runs alone, under `kcnn launch --processes 2 script.py`, under SLURM and in a
Kubernetes JobSet.
"""

from kcnn.distribute._checkpoint import Checkpoint
from kcnn.distribute._cluster import Cluster, DistributeError, cluster
from kcnn.distribute._strategy import strategy
from kcnn.distribute._training import evaluate, fit, predict
from kcnn.distribute.keras_internals import repaired

__all__ = [
    "Checkpoint",
    "Cluster",
    "DistributeError",
    "cluster",
    "evaluate",
    "fit",
    "predict",
    "repaired",
    "strategy",
]
