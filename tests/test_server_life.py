"""Versions come, go and break under load; workers die; SIGTERM drains: no request is lost."""

import gc
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import weakref

import numpy as np
import pytest
from server_tools import Server, oracle, random_images, save_tiny

from kcnn_server import versions

pytest.importorskip("fastapi")
IMAGES = random_images(1)
BODY = json.dumps({"instances": IMAGES.tolist()})
WINNERS = {shift: int(oracle(IMAGES, shift)[0].argmax()) for shift in range(3)}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Versions 1, 2, 3 with another answer each, and a slow one, to be copied from."""
    folder = tmp_path_factory.mktemp("saved")
    for shift in range(3):
        save_tiny(folder, shift + 1, shift=shift)
    save_tiny(folder, 9, pause=3000)
    return folder


def put(saved, folder, version, *, as_version=None):
    """Copy a version as a careful deployment does: aside, then renamed."""
    folder.mkdir(exist_ok=True)
    aside = folder / f".{version}.new"
    shutil.copytree(saved / str(version), aside)
    aside.rename(folder / str(as_version or version))


def put_broken(saved, folder, version):
    put(saved, folder, 1, as_version=version)
    data = folder / str(version) / "variables" / "variables.data-00000-of-00001"
    data.write_bytes(b"")


class Load:
    """Clients that ask again and again on kept connections and remember every answer."""

    def __init__(self, server, clients=8):
        self.server, self.answers, self.lost = server, [], []
        self.stop = threading.Event()
        self.threads = [threading.Thread(target=self._client) for _ in range(clients)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join()

    def _client(self):
        connection = self.server.connection()
        path = f"/v1/models/{self.server.name}:predict"
        while not self.stop.is_set():
            try:
                connection.request("POST", path, BODY)
                reply = connection.getresponse()
                answer = json.loads(reply.read())
            except Exception as error:  # which ones a client may see, the test says
                self.lost.append(error)
                connection.close()
                continue
            row = answer["predictions"][0] if reply.status == 200 else answer
            self.answers.append((reply.status, row.get("class")))


def wait_for(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def test_a_new_version_takes_over_without_a_lost_request(saved, tmp_path):
    folder = tmp_path / "colours"
    put(saved, folder, 1)
    with Server(folder) as server, Load(server) as load:
        wait_for(lambda: len(load.answers) > 100)
        put(saved, folder, 2)
        server.event("model_unloaded")
        seen = len(load.answers)
        wait_for(lambda: len(load.answers) > seen + 100)
        put_broken(saved, folder, 5)
        broken = server.event("model_broken")
        seen = len(load.answers)
        wait_for(lambda: len(load.answers) > seen + 100)
        status = server.get("/v1/models/colours")[1]["model_version_status"]
        shutil.rmtree(folder / "5")
        put(saved, folder, 3)
        server.event("model_unloaded")
        seen = len(load.answers)
        wait_for(lambda: len(load.answers) > seen + 100)
    assert broken["version"] == 5
    assert [(s["version"], s["state"]) for s in status][:2] == [("5", "END"), ("2", "AVAILABLE")]
    assert status[0]["status"]["error_message"]
    assert not load.lost
    assert {code for code, _ in load.answers} == {200}
    kinds = [winner for _, winner in load.answers]
    assert kinds[0] == WINNERS[0]
    assert kinds[-1] == WINNERS[2]
    assert set(kinds) == set(WINNERS.values())


def test_a_replaced_version_leaves_no_memory_behind(tmp_path, monkeypatch):
    class Loaded:
        def __init__(self, folder, version, *, threads):
            self.version, self.circle = version, self  # as TensorFlow's graphs hold themselves

        def retire(self):
            pass

    monkeypatch.setattr(versions, "load_model", Loaded)

    def add(version):
        (tmp_path / str(version)).mkdir()
        (tmp_path / str(version) / "saved_model.pb").touch()

    served = versions.Versions(tmp_path, "tiny", labels={}, threads=1, report=lambda *a, **k: None)
    add(1)
    served.update()
    first = weakref.ref(served.newest)
    gc.freeze()  # as the server does once it is ready
    try:
        served.update()
        assert first() is served.newest
        add(2)
        served.update()
        assert served.newest.version == 2
        assert first() is None
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()


def test_a_version_that_is_copied_slowly_is_loaded_once_it_is_whole(saved, tmp_path):
    folder = tmp_path / "colours"
    (folder / "1").mkdir(parents=True)
    with Server(folder) as server:
        assert server.get("/readyz")[0] == 503
        status, answer, _ = server.predict(BODY)
        assert (status, answer["error"]) == (
            404,
            "Servable not found for request: Latest(colours)",
        )
        shutil.copy(saved / "1" / "saved_model.pb", folder / "1")
        server.event("model_broken")
        shutil.copytree(saved / "1", folder / "1", dirs_exist_ok=True)
        server.event("model_loaded")
        assert server.get("/readyz")[0] == 200
        assert server.predict(BODY)[1]["predictions"][0]["class"] == WINNERS[0]


def test_labels_keep_a_version_beside_the_newest(saved, tmp_path):
    folder = tmp_path / "colours"
    for version in (1, 2, 3):
        put(saved, folder, version)
    with Server(folder, "--label", "stable=1") as server:

        def winner(where):
            status, answer, _ = server.predict(BODY, where=where)
            return answer["predictions"][0]["class"] if status == 200 else status

        assert winner("") == winner("/versions/3") == WINNERS[2]
        assert winner("/labels/stable") == winner("/versions/1") == WINNERS[0]
        assert winner("/versions/2") == 404
        shutil.rmtree(folder / "3")  # a step back is a version change too
        server.event("model_unloaded")
        assert winner("") == WINNERS[1]


def test_sigterm_answers_what_has_arrived_and_ends_with_0(saved, tmp_path):
    folder = tmp_path / "colours"
    put(saved, folder, 9)
    with Server(folder) as server:
        codes = []
        threads = [
            threading.Thread(target=lambda: codes.append(server.predict(BODY)[0])) for _ in range(6)
        ]
        half = socket.create_connection(("127.0.0.1", server.port))
        path = f"/v1/models/{server.name}:predict"
        head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(BODY)}\r\n\r\n"
        half.sendall(head.encode() + BODY[:50].encode())
        for thread in threads:
            thread.start()
        time.sleep(0.3)
        server.process.send_signal(signal.SIGTERM)
        server.event("draining")
        half.sendall(BODY[50:].encode())
        reply = b""
        while chunk := half.recv(65536):
            reply += chunk
        for thread in threads:
            thread.join()
        assert reply.startswith(b"HTTP/1.1 200")
        assert b"connection: close" in reply
        assert codes == [200] * 6
        assert server.process.wait(30) == 0
        with pytest.raises(ConnectionRefusedError):
            server.get("/healthz")


def test_a_full_queue_says_when_to_come_back_and_late_answers_are_504(saved, tmp_path):
    folder = tmp_path / "colours"
    put(saved, folder, 9)
    options = ("--max-queue", "4", "--max-batch", "1", "--timeout", "1")
    with Server(folder, *options) as server:
        replies = []
        threads = [
            threading.Thread(target=lambda: replies.append(server.predict(BODY))) for _ in range(40)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        codes = {code for code, _, _ in replies}
        assert codes <= {200, 429, 504}
        assert {200, 429} <= codes
        for code, answer, headers in replies:
            if code == 429:
                assert int(headers["retry-after"]) >= 1
            if code == 504:
                assert "within 1 s" in answer["error"]
        assert server.predict(BODY)[0] == 200


@pytest.mark.slow
def test_thirty_seconds_with_swaps_a_broken_version_and_a_killed_worker(saved, tmp_path):
    folder = tmp_path / "colours"
    put(saved, folder, 1)
    with Server(folder, "--workers", "2") as server:
        pids = [server.event("worker_started")["worker_pid"] for _ in range(2)]
        for _ in pids:
            server.event("ready")
        with Load(server, clients=16) as load:
            started = time.monotonic()
            time.sleep(5)
            put(saved, folder, 2)
            time.sleep(5)
            put_broken(saved, folder, 4)
            time.sleep(5)
            os.kill(pids[0], signal.SIGKILL)
            died = server.event("worker_died")
            time.sleep(5)
            shutil.rmtree(folder / "4")
            put(saved, folder, 3)
            time.sleep(max(0.0, 30 - (time.monotonic() - started)))
        starts = server.get("/metrics")[1].decode()
    assert died["exit_code"] == -signal.SIGKILL
    assert "kcnn_worker_starts_total 3" in starts
    codes = [code for code, _ in load.answers]
    assert set(codes) == {200}
    assert len(codes) > 1000
    # what the killed worker held broke visibly, some in the midst of an answer: at most one request
    # per client
    assert len(load.lost) <= 16
    told = OSError, http.client.IncompleteRead
    assert all(isinstance(error, told) for error in load.lost), load.lost
    kinds = [winner for _, winner in load.answers]
    assert kinds[0] == WINNERS[0]
    assert kinds[-1] == WINNERS[2]


def test_workers_are_replaced_share_their_counters_and_end_with_their_supervisor(saved, tmp_path):
    folder = tmp_path / "colours"
    put(saved, folder, 1)
    with Server(folder, "--workers", "2") as server:
        pids = [server.event("worker_started")["worker_pid"] for _ in range(2)]
        for _ in pids:
            server.event("ready")
        for _ in range(20):
            assert server.predict(BODY)[0] == 200
        series = 'kcnn_requests_total{endpoint="predict",code="200"} 20'
        assert series in server.get("/metrics")[1].decode()
        os.kill(pids[1], signal.SIGKILL)
        assert server.event("worker_started")["worker"] == 1
        server.event("ready")
        server.process.kill()  # the supervisor itself
        wait_for(lambda: not _answers(server))


def _answers(server):
    try:
        server.get("/healthz")
    except OSError:
        return False
    return True


def test_a_port_in_use_is_one_line(saved, tmp_path):
    folder = tmp_path / "colours"
    put(saved, folder, 1)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [sys.executable, "-c", "from kcnn_cli import main; main()", "serve", str(folder)]
            + ["--port", port],
            capture_output=True,
            text=True,
        )
    assert done.returncode == 2
    assert f"127.0.0.1:{port}" in done.stderr
    assert "Traceback" not in done.stderr


def test_answers_stay_right_while_versions_change_their_files_in_place(saved, tmp_path):
    """An export with overwrite=True replaces a version under its number."""
    folder = tmp_path / "colours"
    put(saved, folder, 1)
    with Server(folder) as server:
        (folder / "1").rename(tmp_path / "old")
        put(saved, folder, 2, as_version=1)
        server.event("model_loaded")
        wait_for(lambda: server.predict(BODY)[1]["predictions"][0]["class"] == WINNERS[1])
        got = server.predict(BODY)[1]["predictions"][0]["probabilities"]
        np.testing.assert_allclose(got, oracle(IMAGES, 1)[0], atol=1e-5)
