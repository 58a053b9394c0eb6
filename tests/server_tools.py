"""A tiny SavedModel whose answers are known, and the real server in a process of its own."""

import base64
import contextlib
import http.client
import io
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
from PIL import Image

NAMES = ["red", "green", "blü"]
SIDE = 8
GAIN = 5.0


def save_tiny(folder, version, *, shift=0, pause=0):
    """NAME/<version>: the strongest colour of an 8x8 picture, its class moved on by `shift`.

    Signatures as kcnn exports them. `pause` lengthens the graph by so many small products.
    """
    import tensorflow as tf

    table = tf.constant(NAMES)
    module = tf.Module()
    module.gain = tf.Variable(np.roll(np.eye(3, dtype="float32") * GAIN, shift, axis=1))

    def answer(images):
        scores = tf.reduce_mean(images, [1, 2]) / 255.0 @ module.gain
        if pause:
            waste = tf.random.stateless_uniform([128, 128], [1, 2]) / 64.0
            waste = tf.while_loop(lambda i, m: i < pause, lambda i, m: (i + 1, m @ m), [0, waste])[
                1
            ]
            scores += 0.0 * tf.reduce_max(waste)
        probabilities = tf.nn.softmax(scores)
        top, order = tf.math.top_k(probabilities, 3)
        best = tf.argmax(probabilities, -1)
        return {
            "probabilities": probabilities,
            "class": best,
            "label": tf.gather(table, best),
            "top_probabilities": top,
            "top_labels": tf.gather(table, order),
        }

    def decode(data):
        picture = tf.io.decode_image(data, channels=3, expand_animations=False)
        return tf.ensure_shape(tf.image.resize(picture, (SIDE, SIDE)), (SIDE, SIDE, 3))

    def spec(dtype):
        return [tf.TensorSpec([None, SIDE, SIDE, 3], dtype, name="images")]

    plain = tf.function(answer, input_signature=spec(tf.float32))
    small = tf.function(lambda images: answer(tf.cast(images, tf.float32)), spec(tf.uint8))
    encoded = tf.function(
        lambda image_bytes: answer(tf.map_fn(decode, image_bytes, fn_output_signature=tf.float32)),
        [tf.TensorSpec([None], tf.string, name="image_bytes")],
    )
    with contextlib.ExitStack() as stack:
        names = stack.enter_context(open_asset(folder))
        module.names = tf.saved_model.Asset(names)
        target = Path(folder, f".{version}.new")
        tf.saved_model.save(
            module,
            str(target),
            signatures={
                "serving_default": plain.get_concrete_function(),
                "serving_uint8": small.get_concrete_function(),
                "serving_bytes": encoded.get_concrete_function(),
            },
        )
    target.rename(Path(folder, str(version)))
    return Path(folder, str(version))


@contextlib.contextmanager
def open_asset(folder):
    file = Path(folder, ".assets", "class_names.txt")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(f"{name}\n" for name in NAMES), encoding="utf-8")
    yield str(file)


def oracle(images, shift=0):
    """Probabilities of the tiny model in float64 NumPy."""
    scores = np.asarray(images, float).mean((1, 2)) / 255 @ np.roll(np.eye(3) * GAIN, shift, 1)
    e = np.exp(scores - scores.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def random_images(n, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, SIDE, SIDE, 3)).astype("uint8")


def encoded(image, kind="PNG"):
    out = io.BytesIO()
    Image.fromarray(image).save(out, kind)
    return out.getvalue()


def b64(data):
    return {"b64": base64.b64encode(data).decode()}


class Server:
    """`kcnn serve FOLDER ...` on a free port of 127.0.0.1; use as a context."""

    def __init__(self, folder, *options, env=None, wait=True):
        self.command = [
            sys.executable,
            "-c",
            "from kcnn_cli import main; main()",
            "serve",
            str(folder),
            "--port",
            "0",
            *options,
        ]
        self.env = {**os.environ, **(env or {})}
        self.wait = wait
        self.name = Path(folder).name
        self.events = []
        self._new = queue.Queue()

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stderr=subprocess.PIPE, env=self.env)
        threading.Thread(target=self._read, daemon=True).start()
        if self.wait:
            ready = self.event("ready", "no_model", "listening")
            self.port = int(ready["url"].rsplit(":", 1)[1])
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(40)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def _read(self):
        for line in self.process.stderr:
            with contextlib.suppress(ValueError):
                event = json.loads(line)
                self.events.append(event)
                self._new.put(event)
        self._new.put(None)

    def event(self, *names, seconds=60):
        """The next event of one of these names; an AssertionError if none comes."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                event = self._new.get(timeout=max(0.01, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no {names} within {seconds} s: {self.events}") from None
            assert event is not None, f"the server ended: {self.events}"
            if event["event"] in names:
                return event

    def connection(self, seconds=30):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=seconds)

    def ask(self, method, path, body=None, headers=None):
        """(status, body as JSON where it is JSON, headers) on a connection of its own."""
        connection = self.connection()
        try:
            if isinstance(body, dict | list):
                body = json.dumps(body)
            connection.request(method, path, body, headers or {})
            reply = connection.getresponse()
            data = reply.read()
            if reply.getheader("content-type") == "application/json":
                data = json.loads(data)
            return reply.status, data, dict(reply.getheaders())
        finally:
            connection.close()

    def get(self, path, **headers):
        return self.ask("GET", path, headers=headers)

    def predict(self, body, *, where="", method="predict", **headers):
        path = f"/v1/models/{self.name}{where}:{method}"
        return self.ask("POST", path, body, {k.replace("_", "-"): v for k, v in headers.items()})

    def upload(self, *pictures):
        """Send pictures as a form, as a browser or `curl -F` does."""
        parts = [
            b'--frontier\r\ncontent-disposition: form-data; name="image"; filename="p"\r\n'
            b"content-type: application/octet-stream\r\n\r\n" + picture + b"\r\n"
            for picture in pictures
        ]
        body = b"".join(parts) + b"--frontier--\r\n"
        return self.predict(body, content_type="multipart/form-data; boundary=frontier")
