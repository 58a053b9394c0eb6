"""The servers that `serve.py` compares with, each as its own documentation writes them.

`python benchmarks/_serve_peers.py NAME FOLDER PORT`, NAME one of bare, litserve, bentoml, onnx;
FOLDER is one exported version. `tight` and `load` serve nothing: they print how many pictures a
second the SavedModel classifies in a loop, and end once it is loaded.
"""

import json
import os
import sys
import time
from pathlib import Path

import numpy as np

# What litserve and bentoml are told: kcnn serve's own defaults.
MAX_BATCH = 64
MAX_WAIT_S = 0.005
TIGHT_BATCHES = (1, 2, 4, 8, 16, 32, 64)


def load(folder):
    import tensorflow as tf

    return tf.saved_model.load(str(folder))


def rows_of(outputs):
    """One object of plain values per row."""
    columns = {key: np.asarray(value) for key, value in outputs.items()}
    for key, column in columns.items():
        if column.dtype == object:
            columns[key] = np.vectorize(bytes.decode, otypes=[object])(column)
    names = list(columns)
    return [
        dict(zip(names, row, strict=True))
        for row in zip(*(columns[name].tolist() for name in names), strict=True)
    ]


def bare(folder, port):
    """FastAPI and `tf.saved_model.load`, as people write it."""
    import tensorflow as tf
    import uvicorn
    from fastapi import FastAPI, UploadFile
    from pydantic import BaseModel

    model = load(folder)
    plain, encoded = model.signatures["serving_default"], model.signatures["serving_bytes"]
    app = FastAPI()

    class Rows(BaseModel):
        instances: list

    def predict(rows: Rows):
        return {"predictions": rows_of(plain(images=tf.constant(rows.instances, tf.float32)))}

    def picture(image: UploadFile):
        return {"predictions": rows_of(encoded(image_bytes=tf.constant([image.file.read()])))}

    app.post("/predict")(predict)
    app.post("/picture")(picture)
    uvicorn.run(app, port=port, log_level="error")


def onnx(folder, port):
    """The same front before ONNX Runtime; the file takes images of the model's size."""
    import onnxruntime
    import uvicorn
    from fastapi import FastAPI
    from pydantic import BaseModel

    (file,) = sorted(Path(folder).rglob("*.onnx"))
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    app = FastAPI()

    class Rows(BaseModel):
        instances: list

    def predict(rows: Rows):
        outputs = session.run(None, {name: np.asarray(rows.instances, np.float32)})
        return {"predictions": [row.tolist() for row in outputs[0]]}

    app.post("/predict")(predict)
    uvicorn.run(app, port=port, log_level="error")


def litserve(folder, port):
    script = Path(__file__).with_name("_serve_lit.py")
    os.execv(sys.executable, [sys.executable, str(script), str(folder), str(port)])


def bentoml(folder, port):
    os.environ["KCNN_BENCH_FOLDER"] = str(folder)
    os.environ["BENTOML_DO_NOT_TRACK"] = "1"
    here = Path(__file__).parent
    os.chdir(here)
    arguments = ["serve", "_serve_bento:Classifier", "--port", str(port)]
    os.execv(sys.executable, [sys.executable, "-m", "bentoml", *arguments])


def tight(folder, picture, *sizes):
    """Pictures a second of the SavedModel in a loop, for each batch size."""
    import tensorflow as tf

    signature = load(folder).signatures["serving_bytes"]
    data = Path(picture).read_bytes()
    speeds = {}
    for batch in map(int, sizes or TIGHT_BATCHES):
        pictures = tf.constant([data] * batch)
        for _ in range(2):
            signature(image_bytes=pictures)
        count, started = 0, time.perf_counter()
        while time.perf_counter() - started < 1.0 or count < 2:
            outputs = signature(image_bytes=pictures)
            outputs["probabilities"].numpy()
            count += 1
        speeds[batch] = batch * count / (time.perf_counter() - started)
    print(json.dumps(speeds))


if __name__ == "__main__":
    name, folder, argument, *sizes = sys.argv[1:]
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if name == "tight":
        tight(folder, argument, *sizes)
    elif name == "load":
        load(folder)
    else:
        {"bare": bare, "onnx": onnx, "litserve": litserve, "bentoml": bentoml}[name](
            folder, int(argument)
        )
