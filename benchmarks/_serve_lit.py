"""The LitServe server that `serve.py` compares with: its batching, nothing else.

`python benchmarks/_serve_lit.py FOLDER PORT`. LitServe starts its workers anew and hands them
these classes by name, so they stand in a module of their own.
"""

import sys

import litserve
import numpy as np
from _serve_peers import MAX_BATCH, MAX_WAIT_S, load, rows_of


class Classifier(litserve.LitAPI):
    def setup(self, device):
        self.model = load(sys.argv[1])

    def batch(self, inputs):
        return inputs

    def unbatch(self, outputs):
        return outputs

    def encode_response(self, output):
        return {"predictions": [output]}


class Numbers(Classifier):
    def decode_request(self, request):
        return np.asarray(request["instances"][0], np.float32)

    def predict(self, x):
        import tensorflow as tf

        images = tf.constant(np.stack(x))
        return rows_of(self.model.signatures["serving_default"](images=images))


class Pictures(Classifier):
    def decode_request(self, request):
        return request["image"].file.read()

    def predict(self, x):
        import tensorflow as tf

        return rows_of(self.model.signatures["serving_bytes"](image_bytes=tf.constant(x)))


if __name__ == "__main__":
    options = {"max_batch_size": MAX_BATCH, "batch_timeout": MAX_WAIT_S}
    apis = [Numbers(api_path="/predict", **options), Pictures(api_path="/picture", **options)]
    server = litserve.LitServer(apis, accelerator="cpu")
    server.run(port=int(sys.argv[2]), generate_client_file=False, log_level="error")
