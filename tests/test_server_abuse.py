"""What clients should not send: no crash, no 5xx but the documented ones, memory within bounds,
and right answers in between."""

import contextlib
import json
import re
import socket
import struct
import subprocess
import sys
import threading
import time
import zlib

import numpy as np
import pytest
from server_tools import SIDE, Server, b64, encoded, oracle, random_images, save_tiny

pytest.importorskip("fastapi")
PATH = "/v1/models/colours:predict"
IMAGES = random_images(2)
GOOD = {"instances": IMAGES.tolist()}
MEMORY = 400 * 2**20  # bytes that the server may grow by, whatever comes
LIMITS = ("--max-body", str(2**20), "--max-pixels", "1000000")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "colours"
    save_tiny(folder, 1)
    return folder


@pytest.fixture(scope="module")
def server(folder):
    with Server(folder, *LIMITS) as server:
        check_right(server)
        yield server
        check_right(server)
        assert server.process.poll() is None


@pytest.fixture(scope="module")
def hasty(folder):
    """A server that waits two seconds for a request at most."""
    with Server(folder, *LIMITS, "--receive-timeout", "2", "--max-connections", "40") as server:
        yield server


@pytest.fixture(autouse=True)
def unharmed(server):
    """Every test here leaves the server answering rightly and no fatter than allowed."""
    before = resident(server)
    yield
    check_right(server)
    assert resident(server) - before < MEMORY
    assert not [e for e in server.events if e["event"] == "internal_error"]


def check_right(server):
    status, answer, _ = server.predict(GOOD)
    assert status == 200, answer
    got = [row["probabilities"] for row in answer["predictions"]]
    np.testing.assert_allclose(got, oracle(IMAGES), atol=1e-5)


def resident(server):
    text = server.get("/metrics")[1].decode()
    return float(re.search(r"^kcnn_worker_resident_bytes (\S+)", text, re.M)[1])


def raw(server, data, *, half_close=False, seconds=10):
    """Send bytes as they are and read until the server closes or is silent."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=seconds) as connection:
        reply = b""
        try:
            connection.sendall(data)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
            while chunk := connection.recv(65536):
                reply += chunk
                if b"\r\n\r\n" in reply and not half_close:
                    break
        except OSError:  # reset while we still sent: the answer may have come before
            pass
        return reply


def code_of(reply):
    match = re.match(rb"HTTP/1.1 (\d+)", reply)
    return int(match[1]) if match else None


def png(width, height, data=b""):
    def chunk(kind, content):
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def bomb(side=20_000):
    """A PNG of 400 million pixels in a few kilobytes... of which 1.2 GB would come."""
    squeeze = zlib.compressobj(9)
    row = b"\0" * (3 * side + 1)
    data = b"".join(squeeze.compress(row) for _ in range(64)) + squeeze.flush()
    return png(side, side, data)


def gif_bomb(frames=2000):
    head = b"GIF89a" + struct.pack("<HHBBB", 1000, 1000, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1000, 1000, 0) + b"\x02\x02\x44\x01\x00"
    return head + frame * frames + b"\x3b"


PICTURES = {
    "empty": (b"", 400),
    "text": (b"<svg/>", 400),
    "png bomb": (bomb(), 413),
    "gif bomb": (gif_bomb(), 413),
    "huge header": (png(2**31 - 1, 2**31 - 1), 413),
    "zero wide": (png(0, 5), 400),
    "short png": (b"\x89PNG\r\n\x1a\n\0\0", 400),
    "no data": (png(8, 8), 400),
    "jpeg start": (b"\xff\xd8\xff", 400),
    "jpeg of fill": (b"\xff\xd8" + b"\xff" * 10_000, 400),
    "jpeg segment": (b"\xff\xd8\xff\xe0\xff\xff" + b"\0" * 100, 400),
    "jpeg large": (b"\xff\xd8\xff\xc0\0\x11\x08\xff\xff\xff\xff\x03" + b"\0" * 20, 413),
    "bmp": (b"BM" + b"\xff" * 60, 400),
    "webp": (b"RIFF\0\0\0\0WEBPVP8X" + b"\xff" * 20, 413),
    "webp short": (b"RIFF\0\0\0\0WEBPVP8L", 400),
}


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_that_are_none_or_too_large(server, name):
    data, expected = PICTURES[name]
    body = {"signature_name": "serving_bytes", "instances": [b64(data)]}
    if data:
        assert server.upload(data)[0] == expected
    assert server.predict(body)[0] == expected


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP"])
def test_pictures_cut_anywhere(server, kind):
    whole = encoded(random_images(1)[0], kind)
    cuts = np.linspace(0, len(whole) - 1, 25).astype(int)
    assert {server.upload(whole[:cut])[0] for cut in cuts} <= {200, 400, 413}


def test_pictures_with_flipped_bytes(server):
    rng = np.random.default_rng(0)
    codes = set()
    for kind in ("JPEG", "PNG", "GIF", "BMP"):
        whole = np.frombuffer(encoded(random_images(1)[0], kind), "uint8")
        for _ in range(25):
            broken = whole.copy()
            broken[rng.integers(0, len(broken), 3)] = rng.integers(0, 256, 3)
            codes.add(server.upload(broken.tobytes())[0])
    assert codes <= {200, 400, 413}


DEEP = 2000
BODIES = {
    "nothing": b"",
    "no JSON": b"{",
    "no UTF-8": b'{"instances": "\xff\xfe"}',
    "list": b"[]",
    "null": b"null",
    "deep": b'{"instances": ' + b"[" * DEEP + b"]" * DEEP + b"}",
    "deep NaN": b'{"instances": ' + b"[" * 50_000 + b"NaN" + b"]" * 50_000 + b"}",
    "100 deep": b'{"instances": ' + b"[" * 100 + b"1" + b"]" * 100 + b"}",
    "100 deep strings": b'{"signature_name": "serving_bytes", "instances": '
    + b"[" * 100
    + b'"1"'
    + b"]" * 100
    + b"}",
    "ragged": b'{"instances": [[1], [1, 2]]}',
    "ragged strings": b'{"signature_name": "serving_bytes", "instances": [["a"], "b"]}',
    "huge number": b'{"instances": [1' + b"0" * 400 + b"]}",
    "huge exponent": b'{"instances": [1e999]}',
    "many digits": b'{"instances": [0.' + b"1" * 100_000 + b"]}",
    "empty lists": b'{"instances": [' + b",".join([b"[]"] * 50_000) + b"]}",
    "objects": b'{"instances": [' + b",".join([b"{}"] * 50_000) + b"]}",
    "nulls": b'{"instances": [null, null]}',
    "mixed": b'{"instances": [1, "a", true, null, {}, []]}',
    "names": b'{"instances": [{"nix": 1}]}',
    "many keys": json.dumps({str(i): i for i in range(20_000)}).encode(),
    "instances object": b'{"instances": {"images": 1}}',
    "inputs of wrong names": b'{"inputs": {"x": 1, "y": 2}}',
    "surrogate": b'{"signature_name": "serving_bytes", "instances": ["\\ud800"]}',
    "long name": json.dumps({"signature_name": "x" * 500_000, "instances": [1]}).encode(),
    "b64 of a list": b'{"signature_name": "serving_bytes", "instances": [{"b64": [1]}]}',
    "b64 with spaces": b'{"signature_name": "serving_bytes", "instances": [{"b64": "AA A="}]}',
}


@pytest.mark.parametrize("method", ["predict", "classify"])
@pytest.mark.parametrize("name", BODIES)
def test_bodies_that_fit_nothing(server, name, method):
    status, answer, _ = server.predict(BODIES[name], method=method)
    assert (status, list(answer)) == (400, ["error"])
    assert len(answer["error"]) < 1000


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e38])
def test_numbers_at_the_edge_are_answered(server, value):
    x = np.zeros((1, SIDE, SIDE, 3))
    x[0, 0, 0, 0] = value
    status, answer, _ = server.predict({"instances": x.tolist()})
    assert status == 200
    assert len(answer["predictions"][0]["probabilities"]) == 3


FORMS = {
    "no boundary": (b"x", "multipart/form-data"),
    "other boundary": (b"--a\r\n\r\nx\r\n--a--", "multipart/form-data; boundary=b"),
    "unended": (
        b'--a\r\ncontent-disposition: form-data; name="i"; filename="p"\r\n\r\nabc',
        "multipart/form-data; boundary=a",
    ),
    "no file": (
        b'--a\r\ncontent-disposition: form-data; name="i"\r\n\r\nabc\r\n--a--\r\n',
        "multipart/form-data; boundary=a",
    ),
    "many parts": (
        b'--a\r\ncontent-disposition: form-data; name="i"; filename="p"\r\n\r\n\r\n' * 5_000
        + b"--a--\r\n",
        "multipart/form-data; boundary=a",
    ),
    "long header": (
        b"--a\r\ncontent-disposition: " + b"x" * 500_000 + b"\r\n\r\n\r\n--a--\r\n",
        "multipart/form-data; boundary=a",
    ),
    "JSON as a form": (json.dumps(GOOD).encode(), "multipart/form-data; boundary=a"),
    "picture as JSON": (encoded(IMAGES[0]), "application/json"),
}


@pytest.mark.parametrize("name", FORMS)
def test_forms_that_cannot_be_read(server, name):
    body, content_type = FORMS[name]
    status, answer, _ = server.predict(body, content_type=content_type)
    assert (status, list(answer)) == (400, ["error"])


def test_bodies_over_the_limit_are_refused_before_they_are_read(server):
    head = b"POST %s HTTP/1.1\r\nhost: x\r\n" % PATH.encode()
    announced = raw(server, head + b"content-length: 9999999999\r\n\r\n{")
    assert code_of(announced) == 413
    assert b"connection: close" in announced
    piece = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    assert code_of(raw(server, head + b"transfer-encoding: chunked\r\n\r\n" + piece * 40)) == 413


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"\r\n\r\n", {400, None}),
        (b"\x16\x03\x01\x02\x00" + b"\0" * 200, {400}),  # TLS
        (b"GET / HTTP/9.9\r\n\r\n", {400, 505}),
        (b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n", {431, 400}),
        (b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 20_000 + b"\r\n", {431}),
        (b"GET / HTTP/1.1\r\nx: " + b"y" * 5_000_000, {431, None}),
        (b"POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n", {400}),
        (b"POST / HTTP/1.1\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nabcde", {400}),
        (
            b"POST / HTTP/1.1\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            {400},
        ),
        (
            b"POST %s HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n" % PATH.encode(),
            {400},
        ),
        (b"GET /v1/models/%ff%fe HTTP/1.1\r\nhost: x\r\n\r\n", {404}),
        (b"GET /../../../../etc/passwd HTTP/1.1\r\nhost: x\r\n\r\n", {404}),
        (b"GET / HTTP/1.1\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n", {200, 400}),
        (b"OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n", {400, 404, 405}),
    ],
)
def test_what_is_no_proper_http(server, data, expected):
    assert code_of(raw(server, data)) in expected


def test_a_half_closed_connection_still_gets_its_answer(server):
    body = json.dumps(GOOD).encode()
    head = b"POST %s HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % (PATH.encode(), len(body))
    reply = raw(server, head + body, half_close=True)
    assert code_of(reply) == 200
    assert b"predictions" in reply
    assert code_of(raw(server, head + body[:10], half_close=True)) is None  # it never was whole


def test_clients_that_leave_before_their_answer(server):
    body = json.dumps(GOOD).encode()
    head = b"POST %s HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % (PATH.encode(), len(body))
    for sent in (head, head + body[:100], head + body):
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", server.port)) as connection:
                reset = struct.pack("ii", 1, 0)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
                connection.sendall(sent)


def test_pipelined_requests_are_answered_in_order(server):
    request = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"
    reply = raw(server, request * 200, half_close=True)
    assert reply.count(b"HTTP/1.1 200") == 200


def test_slow_requests_are_given_up_and_the_others_answered(hasty):
    head = b"POST %s HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n" % PATH.encode()
    slow = []
    for start in (b"", b"GET / HT", head, head + b"{"):
        connection = socket.create_connection(("127.0.0.1", hasty.port), timeout=10)
        connection.sendall(start)
        slow.append(connection)
    started = time.monotonic()
    dripping = threading.Thread(target=_drip, args=(slow[-1],))
    dripping.start()
    check_right(hasty)
    for connection in slow:
        assert code_of(connection.recv(65536)) == 408
        connection.close()
    assert 1.5 < time.monotonic() - started < 8
    dripping.join()


def _drip(connection):
    try:
        for _ in range(100):
            connection.sendall(b" ")
            time.sleep(0.05)
    except OSError:
        pass


def test_more_connections_than_allowed_are_told_so(hasty):
    held = [socket.create_connection(("127.0.0.1", hasty.port), timeout=10) for _ in range(60)]
    time.sleep(0.3)
    refused = 0
    for connection in held:
        connection.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            refused += code_of(connection.recv(1000)) == 503
        connection.close()
    assert refused == 20
    time.sleep(0.3)
    check_right(hasty)


def test_generated_requests(server, tmp_path):
    """A few hundred requests that schemathesis makes of the published description."""
    run_schemathesis(server, tmp_path, examples=20)


@pytest.mark.slow
def test_ten_thousand_generated_requests(server, tmp_path):
    before = requests_so_far(server)
    run_schemathesis(server, tmp_path, examples=1000)
    assert requests_so_far(server) - before >= 10_000


def requests_so_far(server):
    text = server.get("/metrics")[1].decode()
    return sum(float(line.split()[-1]) for line in text.splitlines() if "requests_total{" in line)


def run_schemathesis(server, folder, examples):
    pytest.importorskip("schemathesis")
    wrong = threading.Event()
    stop = threading.Event()

    def watch():
        while not stop.wait(0.5):
            try:
                check_right(server)
            except Exception:
                wrong.set()

    watcher = threading.Thread(target=watch)
    watcher.start()
    done = subprocess.run(
        [sys.executable, "-m", "schemathesis.cli", "run"]
        + [f"http://127.0.0.1:{server.port}/openapi.json"]
        + ["--checks", "not_a_server_error", "--max-examples", str(examples)]
        + ["--phases", "examples,coverage,fuzzing", "--mode", "all", "--seed", "1"]
        + ["--suppress-health-check", "all", "--no-color"],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    stop.set()
    watcher.join()
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert not wrong.is_set()
