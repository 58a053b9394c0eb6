"""The BentoML service that `serve.py` compares with: its adaptive batching, nothing else."""

import os
from pathlib import Path

import bentoml
import numpy as np
from _serve_peers import MAX_BATCH, load, rows_of

LATENCY_MS = 30_000  # BentoML refuses what would take longer


@bentoml.service(traffic={"timeout": 60}, logging={"access": {"enabled": False}})
class Classifier:
    def __init__(self) -> None:
        self.model = load(os.environ["KCNN_BENCH_FOLDER"])

    @bentoml.api(batchable=True, max_batch_size=MAX_BATCH, max_latency_ms=LATENCY_MS)
    def predict(self, instances: np.ndarray) -> list[dict]:
        import tensorflow as tf

        images = tf.constant(instances, tf.float32)
        return rows_of(self.model.signatures["serving_default"](images=images))

    @bentoml.api(batchable=True, max_batch_size=MAX_BATCH, max_latency_ms=LATENCY_MS)
    def picture(self, image: list[Path]) -> list[dict]:
        import tensorflow as tf

        pictures = tf.constant([file.read_bytes() for file in image])
        return rows_of(self.model.signatures["serving_bytes"](image_bytes=pictures))
