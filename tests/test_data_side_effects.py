"""Loading data changes nothing for the rest of the process."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

ROOT = Path(__file__).parent.parent

# Run in a process of its own, where nothing was loaded before; prints what differs afterwards.
CODE = r"""
import json, logging, os, socket, sys, warnings
import keras, numpy as np, tensorflow as tf
import kcnn.data
if sys.argv[2] == "tfds":
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core.utils import tqdm_utils
    if sys.argv[3] == "off":
        tfds.disable_progress_bar()
warnings.filterwarnings("error", category=ResourceWarning)
logging.getLogger("absl").setLevel(17)

def state():
    found = {
        "filters": repr(warnings.filters),
        "showwarning": repr(warnings.showwarning),
        "environ": dict(os.environ),
        "timeout": socket.getdefaulttimeout(),
        "stdout": repr(sys.stdout),
        "stderr": repr(sys.stderr),
        "python": {
            name: (logger.level, logger.disabled, repr(logger.handlers))
            for name, logger in {"": logging.root, **logging.root.manager.loggerDict}.items()
            if isinstance(logger, logging.Logger)
        },
        "numpy": np.geterr(),
        "threads": tf.config.threading.get_inter_op_parallelism_threads(),
        "umask": (os.umask(0o22), os.umask(0o22))[0],
        "folder": os.getcwd(),
    }
    if sys.argv[2] == "tfds":
        found["bars"] = isinstance(tqdm_utils.tqdm(disable=True), tqdm_utils.EmptyTqdm)
        found["absl"] = __import__("absl.logging").logging.get_verbosity()
    return found

before = state()
options = {"data_dir": sys.argv[4]} if sys.argv[2] == "tfds" else {}
data = kcnn.data.load(sys.argv[1], image_size=8, **options)
next(iter(data.train.batches(4)))
after = state()
after["python"] = {name: after["python"][name] for name in before["python"]}
changes = [name for name in before if before[name] != after[name]]
print(json.dumps(changes))
"""


def changed(source, kind, tmp_path, bars="on", data_dir=""):
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(source), kind, bars, str(data_dir)],
        capture_output=True,
        text=True,
        check=False,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "KCNN_CACHE": str(tmp_path / "cache"),
            "TF_CPP_MIN_LOG_LEVEL": "3",
        },
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


@pytest.mark.parametrize("kind", ["folder", "table"])
def test_a_folder_and_a_table_leave_the_process_as_it_was(tmp_path, kind):
    rng = np.random.default_rng(0)
    lines = ["path,label"]
    for name in ("ant", "bee"):
        (tmp_path / "bugs" / name).mkdir(parents=True)
        for index in range(10):
            pixels = rng.integers(0, 256, (12, 10, 3)).astype(np.uint8)
            exif = Image.Exif()
            exif[0x0112] = 6
            path = tmp_path / "bugs" / name / f"{index}.jpg"
            Image.fromarray(pixels).save(path, exif=exif)
            lines.append(f"{name}/{index}.jpg,{name}")
    table = tmp_path / "bugs" / "table.csv"
    table.write_text("\n".join(lines))
    assert changed(table if kind == "table" else tmp_path / "bugs", kind, tmp_path) == []


@pytest.mark.parametrize("bars", ["on", "off"])
def test_a_set_of_tensorflow_datasets_does_too(tmp_path, bars):
    tfds = pytest.importorskip("tensorflow_datasets")
    features = tfds.features.FeaturesDict(
        {
            "image": tfds.features.Image(shape=(8, 8, 3)),
            "label": tfds.features.ClassLabel(names=["a", "b"]),
        }
    )
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (20, 8, 8, 3)).astype(np.uint8)
    rows = tf.data.Dataset.from_tensor_slices({"image": images, "label": np.arange(20) % 2})
    tfds.dataset_builders.store_as_tfds_dataset(
        "tiny",
        version="1.0.0",
        features=features,
        split_datasets={"train": rows},
        data_dir=tmp_path,
        disable_shuffling=True,
    )
    assert changed("tiny", "tfds", tmp_path, bars, tmp_path) == []
