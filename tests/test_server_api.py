"""The server's answers, over real HTTP, against the tiny model in NumPy and TensorFlow Serving's
documented requests and replies."""

import json
import subprocess
import sys

import numpy as np
import pytest
from server_tools import NAMES, SIDE, Server, b64, encoded, oracle, random_images, save_tiny

pytest.importorskip("fastapi")
PATH = "/v1/models/colours"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "colours"
    save_tiny(folder, 1)
    return folder


@pytest.fixture(scope="module")
def server(folder):
    with Server(folder, "--label", "stable=1") as server:
        yield server


@pytest.mark.parametrize("where", ["", "/versions/1", "/labels/stable"])
def test_rows_of_numbers_get_one_object_each(server, where):
    x = random_images(3)
    status, answer, headers = server.predict({"instances": x.tolist()}, where=where)
    assert (status, headers["content-type"]) == (200, "application/json")
    assert len(answer["predictions"]) == 3
    expected = oracle(x)
    for row, wanted in zip(answer["predictions"], expected, strict=True):
        np.testing.assert_allclose(row["probabilities"], wanted, atol=1e-5)
        order = np.argsort(-wanted)
        assert row["class"] == order[0]
        assert row["label"] == NAMES[order[0]]
        assert row["top_labels"] == [NAMES[i] for i in order]
        np.testing.assert_allclose(row["top_probabilities"], wanted[order], atol=1e-5)


def test_columns_are_answered_as_columns(server):
    x = random_images(2)
    for inputs in (x.tolist(), {"images": x.tolist()}):
        status, answer, _ = server.predict({"signature_name": "serving_uint8", "inputs": inputs})
        assert status == 200
        np.testing.assert_allclose(answer["outputs"]["probabilities"], oracle(x), atol=1e-5)
        assert answer["outputs"]["label"] == [NAMES[i] for i in oracle(x).argmax(1)]


@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF", "JPEG"])
def test_encoded_pictures_come_as_base64_or_as_a_form(server, kind):
    x = np.zeros((2, SIDE, SIDE, 3), "uint8")
    x[0, ..., 1], x[1, ..., 2] = 200, 250
    pictures = [encoded(image, kind) for image in x]
    rows = [b64(p) for p in pictures]
    named = [{"image_bytes": row} for row in rows]
    answers = [
        server.predict({"signature_name": "serving_bytes", "instances": rows}),
        server.predict({"signature_name": "serving_bytes", "instances": named}),
        server.upload(*pictures),
    ]
    for status, answer, _ in answers:
        assert status == 200
        assert [row["label"] for row in answer["predictions"]] == ["green", "blü"]
        got = [row["probabilities"] for row in answer["predictions"]]
        np.testing.assert_allclose(got, oracle(x), atol=0.02)  # JPEG loses a little


def test_classify_names_every_class(server):
    image = random_images(1)
    for body in (
        {"examples": [{"image_bytes": b64(encoded(image[0]))}]},
        {"context": {"images": image[0].tolist()}, "examples": [{}]},
    ):
        status, answer, _ = server.predict(body, method="classify")
        assert status == 200
        (pairs,) = answer["results"]
        assert [name for name, _ in pairs] == NAMES
        np.testing.assert_allclose([score for _, score in pairs], oracle(image)[0], atol=1e-5)


def test_a_large_request_is_answered_in_parts_and_in_order(server):
    x = random_images(150)
    status, answer, _ = server.predict({"instances": x.tolist()})
    assert status == 200
    got = [row["probabilities"] for row in answer["predictions"]]
    np.testing.assert_allclose(got, oracle(x), atol=1e-5)


def test_status_and_metadata_are_tensorflow_servings(server):
    available = {
        "version": "1",
        "state": "AVAILABLE",
        "status": {"error_code": "OK", "error_message": ""},
    }
    for where in ("", "/versions/1", "/labels/stable"):
        assert server.get(PATH + where)[:2] == (200, {"model_version_status": [available]})
    status, answer, _ = server.get(PATH + "/metadata")
    assert status == 200
    assert answer["model_spec"] == {"name": "colours", "signature_name": "", "version": "1"}
    signatures = answer["metadata"]["signature_def"]["signature_def"]
    assert sorted(signatures) == ["serving_bytes", "serving_default", "serving_uint8"]
    images = signatures["serving_uint8"]["inputs"]["images"]
    assert images["dtype"] == "DT_UINT8"
    assert [d["size"] for d in images["tensor_shape"]["dim"]] == ["-1", "8", "8", "3"]
    assert signatures["serving_default"]["method_name"] == "tensorflow/serving/predict"


def test_the_metadata_is_the_saved_models_own(server, folder):
    """Every signature as protobuf's own JSON has it."""
    from google.protobuf.json_format import MessageToDict
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel.FromString((folder / "1" / "saved_model.pb").read_bytes())
    told = server.get(PATH + "/metadata")[1]["metadata"]["signature_def"]["signature_def"]
    for name, signature in told.items():
        own = MessageToDict(
            saved.meta_graphs[0].signature_def[name], preserving_proto_field_name=True
        )
        assert signature["method_name"] == own["method_name"]
        for side in ("inputs", "outputs"):
            for key, info in own[side].items():
                assert signature[side][key]["dtype"] == info["dtype"]
                assert signature[side][key]["name"] == info["name"]
                dims = [d["size"] for d in info["tensor_shape"]["dim"]]
                assert [d["size"] for d in signature[side][key]["tensor_shape"]["dim"]] == dims


def test_the_documented_half_plus_three_example(tmp_path):
    """The requests and replies of TensorFlow Serving's page on its REST API."""
    import tensorflow as tf

    module = tf.Module()
    module.a, module.b = tf.Variable(0.5), tf.Variable(3.0)
    half = tf.function(
        lambda x: {"y": module.a * x + module.b}, [tf.TensorSpec([None], tf.float32, name="x")]
    )
    two = tf.function(
        lambda tag, signal: {"tag_out": tag, "sum": tf.reduce_sum(signal, -1)},
        [
            tf.TensorSpec([None], tf.string, name="tag"),
            tf.TensorSpec([None, 5], tf.float32, name="signal"),
        ],
    )
    folder = tmp_path / "half_plus_three"
    tf.saved_model.save(
        module,
        str(folder / "123"),
        {"serving_default": half.get_concrete_function(), "two": two.get_concrete_function()},
    )
    with Server(folder) as server:
        assert server.get("/v1/models/half_plus_three")[1]["model_version_status"] == [
            {
                "version": "123",
                "state": "AVAILABLE",
                "status": {"error_code": "OK", "error_message": ""},
            }
        ]
        reply = server.predict({"instances": [1.0, 2.0, 5.0]})
        assert reply[:2] == (200, {"predictions": [3.5, 4.0, 5.5]})
        assert server.predict({"inputs": [1.0, 2.0]})[1] == {"outputs": [3.5, 4.0]}
        status, answer, _ = server.ask("POST", "/v1/models/half:predict", {"instances": [1.0, 5.0]})
        assert status == 404
        assert answer == {"error": "Servable not found for request: Latest(half)"}
        rows = [
            {"tag": "foo", "signal": [1, 2, 3, 4, 5]},
            {"tag": "bar", "signal": [3, 4, 1, 2, 5]},
        ]
        status, answer, _ = server.predict({"signature_name": "two", "instances": rows})
        assert answer == {
            "predictions": [{"sum": 15.0, "tag_out": "foo"}, {"sum": 15.0, "tag_out": "bar"}]
        }
        columns = {"tag": ["foo", "bar"], "signal": [r["signal"] for r in rows]}
        status, answer, _ = server.predict({"signature_name": "two", "inputs": columns})
        assert answer == {"outputs": {"sum": [15.0, 15.0], "tag_out": ["foo", "bar"]}}
        nan = server.predict('{"instances": [NaN, Infinity, -Infinity]}')[1]["predictions"]
        np.testing.assert_array_equal(nan, [np.nan, np.inf, -np.inf])


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ("", 400, "JSON"),
        ("[1]", 400, "object"),
        ("{}", 400, "Missing 'inputs' or 'instances' key"),
        ({"instances": [], "inputs": []}, 400, "both"),
        ({"instances": []}, 400, "at least one"),
        ({"instances": [[1, 2], [3]]}, 400, "unequal"),
        ({"instances": [[[[1, 2, "3"]]]]}, 400, "DT_FLOAT; got strings"),
        ({"instances": [{"b64": "AAAA"}]}, 400, "serving_bytes"),
        ({"signature_name": "nix", "instances": [1]}, 400, "serving_default"),
        ({"signature_name": 3, "instances": [1]}, 400, "string value"),
        ({"signature_name": "serving_bytes", "instances": [{"b64": "?"}]}, 400, "base64"),
        ({"signature_name": "serving_bytes", "instances": ["abc"]}, 400, "no picture"),
        ({"signature_name": "serving_uint8", "instances": [[[[256] * 3] * 8] * 8]}, 400, "0..255"),
        ({"signature_name": "serving_uint8", "instances": [[[[0.5] * 3] * 8] * 8]}, 400, "decimal"),
        ({"instances": [[[[1e39] * 3] * 8] * 8]}, 400, "loss of precision"),
        ({"instances": [[[[2**24 + 1] * 3] * 8] * 8]}, 400, "loss of precision"),
        ({"instances": [[[[1] * 3] * 8] * 7]}, 400, "expected [-1, 8, 8, 3]"),
    ],
)
def test_errors_are_tensorflow_servings_form(server, body, status, said):
    got, answer, _ = server.predict(body)
    assert got == status
    assert list(answer) == ["error"]
    assert said in answer["error"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/models/other", 404),
        ("GET", PATH + "/versions/2", 404),
        ("GET", PATH + "/versions/x", 404),
        ("GET", PATH + "/labels/none", 400),
        ("GET", "/v1/models/..%2f..%2fetc/versions/1", 404),
        ("GET", PATH + "/versions/..%2f..%2f1", 404),
        ("POST", PATH + "/versions/2:predict", 404),
        ("POST", PATH + "/labels/none:predict", 400),
        ("POST", PATH + ":regress", 400),
        ("POST", PATH + "/versions/../../1:predict", 404),
        ("DELETE", PATH, 405),
        ("GET", "/nowhere", 404),
    ],
)
def test_what_is_not_there_is_said_so(server, method, path, status):
    got, answer, _ = server.ask(method, path, b"{}" if method == "POST" else None)
    assert (got, list(answer)) == (status, ["error"])


def test_one_broken_picture_does_not_fail_another(server):
    good = encoded(random_images(1)[0], "JPEG")
    broken = good[: len(good) // 2]
    results = {}

    def send(index, picture):
        results[index] = server.upload(picture)[0]

    import threading

    threads = [
        threading.Thread(target=send, args=(i, broken if i % 4 == 0 else good)) for i in range(24)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {i: 400 if i % 4 == 0 else 200 for i in range(24)}


def test_health_readiness_metrics_and_description(server):
    assert server.get("/healthz")[:2] == (200, {"status": "ok"})
    assert server.get("/readyz")[:2] == (200, {"status": "ok", "version": "1"})
    before = _metric(server, 'kcnn_requests_total{endpoint="predict",code="200"}')
    server.predict({"instances": random_images(2).tolist()})
    after = _metric(server, 'kcnn_requests_total{endpoint="predict",code="200"}')
    assert after == before + 1
    assert _metric(server, "kcnn_model_version") == 1
    assert _metric(server, "kcnn_worker_resident_bytes") > 2**26
    paths = server.get("/openapi.json")[1]["paths"]
    assert "/v1/models/{name}:predict" in paths
    assert "/v1/models/{name}/labels/{label}/metadata" in paths


def _metric(server, series):
    lines = server.get("/metrics")[1].decode().splitlines()
    return next((float(line.split()[-1]) for line in lines if line.startswith(series + " ")), 0.0)


def test_the_key_opens_everything_but_health_and_page(folder, tmp_path):
    key = tmp_path / "key"
    key.write_text("sesame\n")
    body = json.dumps({"instances": random_images(1).tolist()})
    with Server(folder, "--api-key-file", str(key), "--access-log") as server:
        assert server.predict(body)[0] == 401
        assert server.predict(body, authorization="Bearer nope")[0] == 401
        assert server.predict(body, authorization="Bearer sesame")[0] == 200
        assert server.predict(body, x_api_key="sesame")[0] == 200
        assert server.get(PATH)[0] == 401
        assert server.get(PATH, authorization="Bearer sesame")[0] == 200
        assert server.get("/metrics")[0] == 401
        assert server.get("/healthz")[0] == server.get("/")[0] == 200
        seen = server.event("request")
        assert (seen["method"], seen["code"], seen["client"]) == ("POST", 401, "127.0.0.1")
        assert "sesame" not in json.dumps(server.events)


def test_the_process_imports_neither_keras_nor_kcnn(folder):
    code = (
        "import sys, kcnn_server.process, kcnn_server.routes\n"
        "from kcnn_server.runtime import load_model, start_tensorflow\n"
        "from pathlib import Path\n"
        "start_tensorflow()\n"
        f"load_model(Path({str(folder / '1')!r}), 1, threads=1)\n"
        "loaded = {name.split('.')[0] for name, m in sys.modules.items() if m is not None}\n"
        "assert 'tensorflow' in loaded\n"
        "print(sorted(loaded & {'keras', 'kcnn', 'kcnn_cli', 'sklearn', 'PIL'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr[-2000:]


def test_a_wrong_start_is_one_line(folder, tmp_path):
    for arguments, said in (
        ([str(tmp_path / "nowhere")], "No such folder"),
        ([str(folder / "1")], "itself"),
        ([str(folder), "--name", "a/b"], "--name"),
    ):
        done = subprocess.run(
            [sys.executable, "-c", "from kcnn_cli import main; main()", "serve", *arguments],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 2
        assert said in done.stderr
        assert "Traceback" not in done.stderr
