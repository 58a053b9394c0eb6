"""Serving: a network that tells digits apart, asked over HTTP with a JPEG.

Exports a small network, or takes the folder of an exported one (`kcnn export RUN --out FOLDER`),
starts `kcnn serve` on a free port, sends it the picture of a digit with curl, and stops it.
Needs `pip install kcnn[serve]` and curl. Takes about half a minute on two cores.
"""

import argparse
import json
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

START = "from kcnn_cli import main; main()"  # what the command `kcnn` does


def digit_jpeg(path: Path, index: int = 0, side: int = 160) -> int:
    """Write a digit of scikit-learn's as a JPEG that a phone might send; return what it shows."""
    digits = load_digits()
    pixels = (digits.images[index] * 255 / 16).astype("uint8")
    Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC).save(path, quality=90)
    return int(digits.target[index])


def trained(folder: Path, epochs: int) -> Path:
    """A network after a few epochs, exported as FOLDER/digits/1; returns FOLDER/digits."""
    import keras

    import kcnn
    from kcnn.data import channel_stats, load
    from kcnn.serving import export

    keras.utils.set_random_seed(0)
    digits = load("digits")
    model = kcnn.create_model(
        "resnet20",
        classes=digits.classes,
        input_shape=digits.image_shape,
        preprocess=digits.preprocessing.normalized(channel_stats(digits.train)).layer(),
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.05, momentum=0.9), loss)
    model.fit(digits.train.batches(64, shuffle=True), epochs=epochs, verbose=2)
    return export(model, folder / "digits", class_names=digits.class_names).parent


def main(folder: Path | None = None, epochs: int = 4) -> None:
    """Serve the model and ask it once."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = folder or trained(Path(scratch), epochs)
        picture = Path(scratch, "digit.jpg")
        shown = digit_jpeg(picture)
        command = [sys.executable, "-c", START, "serve", str(folder), "--port", "0"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
            url = wait_for_url(server)
            ask = [
                "curl",
                "-s",
                "-F",
                f"image=@{picture}",
                f"{url}/v1/models/{folder.name}:predict",
            ]
            print("$", *ask)
            reply = subprocess.run(ask, capture_output=True, text=True, check=True).stdout
            server.send_signal(signal.SIGTERM)
    print(reply)
    answer = json.loads(reply)["predictions"][0]
    chance = float(np.max(answer["probabilities"]))
    print(f"shown {shown}, answered {answer['label']} ({chance:.1%})")


def wait_for_url(server: subprocess.Popen) -> str:
    """Read the server's log, one line of JSON per event, until it is ready."""
    for line in server.stderr:  # type: ignore[union-attr]
        if line.startswith("{") and json.loads(line)["event"] == "ready":
            return json.loads(line)["url"]
    raise SystemExit("The server ended before it was ready.")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "folder", nargs="?", type=Path, help="an exported model; default: train one"
    )
    parser.add_argument("--epochs", type=int, default=4)
    main(**vars(parser.parse_args()))
