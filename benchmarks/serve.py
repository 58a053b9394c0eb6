"""`kcnn serve` against a bare FastAPI server, LitServe, BentoML and ONNX Runtime.

Two models: a ResNet-20 on digits (a request costs more than the network) and EfficientNet-Lite0
at 224x224 (the network costs more). All servers run at once and are asked in turn, over
loopback, by clients in a process of their own; a figure is the median of the rounds. Answers
per second, median and 99th percentile at 1, 8 and 64 clients, for JPEG files and JSON arrays.

`python benchmarks/serve.py [--model digits|lite0] [--rounds 2] [--seconds 2.5]`; needs
`pip install -e ".[serve,bench]"`. Writes benchmarks/results/serve_MODEL.json; five minutes each.
"""

import argparse
import contextlib
import io
import json
import os
import platform
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
CLIENTS = (1, 8, 64)
FORM = "multipart/form-data; boundary=frontier"
WARM_CLIENTS, WARM_S = 16, 1.0  # each server is asked so before it counts
LONGEST_START_S = 120
MODELS = ("digits", "lite0")
JPEG_SIDE = {"digits": 32, "lite0": 400}
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONWARNINGS": "ignore"}


def export_model(name: str, folder: Path) -> Path:
    """FOLDER/NAME/1 in a process of its own: Keras must not count in anybody's time."""
    code = (
        "import sys, kcnn\nfrom kcnn.serving import export\n"
        "name, folder, formats = sys.argv[1], sys.argv[2], sys.argv[3].split(',')\n"
        "if name == 'digits':\n"
        "    model = kcnn.create_model('resnet20', classes=10, input_shape=(8, 8, 1))\n"
        "else:\n"
        "    model = kcnn.create_model('efficientnet_lite0', pretrained='imagenet')\n"
        "export(model, f'{folder}/{name}', version=1, formats=formats)\n"
    )
    for formats in ("saved_model,onnx", "saved_model"):
        command = [sys.executable, "-c", code, name, str(folder), formats]
        done = subprocess.run(command, capture_output=True, text=True, env=environment())
        if not done.returncode:
            return folder / name / "1"
    raise SystemExit(done.stderr)


def environment() -> dict:
    return {**os.environ, **QUIET}


def request_bodies(name: str, folder: Path) -> dict[str, Path]:
    """One picture as a JPEG, as a form with it, and one image as a JSON array."""
    from PIL import Image

    rng = np.random.default_rng(0)
    side = JPEG_SIDE[name]
    coarse = rng.integers(0, 256, (side // 8, side // 8, 3)).astype("uint8")
    out = io.BytesIO()
    picture = Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC)
    picture.save(out, "JPEG", quality=90)
    shape = (1, 8, 8, 1) if name == "digits" else (1, 224, 224, 3)
    head = b'--frontier\r\nContent-Disposition: form-data; name="image"; filename="p.jpg"\r\n'
    files = {
        "jpg": out.getvalue(),
        "jpeg": head
        + b"Content-Type: image/jpeg\r\n\r\n"
        + out.getvalue()
        + b"\r\n--frontier--\r\n",
        "json": json.dumps({"instances": rng.integers(0, 256, shape).tolist()}).encode(),
    }
    for key, data in files.items():
        (folder / key).write_bytes(data)
    return {key: folder / key for key in files}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


class Server:
    """One server process and how to ask it."""

    def __init__(self, name: str, version: Path, log: Path):
        self.name, self.port = name, free_port()
        model = version.parent.name
        if name == "kcnn":
            start = "from kcnn_cli import main; main()"
            command = ["-c", start, "serve", str(version.parent), "--port", str(self.port)]
            self.paths = dict.fromkeys(("jpeg", "json"), f"/v1/models/{model}:predict")
            self.health = "/readyz"
        else:
            command = [str(HERE / "_serve_peers.py"), name, str(version), str(self.port)]
            self.paths = {"jpeg": "/picture", "json": "/predict"}
            self.health = {"litserve": "/health", "bentoml": "/readyz"}.get(name, "/openapi.json")
        if name == "onnx":
            del self.paths["jpeg"]  # the file decodes no pictures
        self.started = time.perf_counter()
        self.log = log.open("w")
        self.process = subprocess.Popen(
            [sys.executable, *command],
            stdout=self.log,
            stderr=self.log,
            env=environment(),
            start_new_session=True,  # some servers leave their workers behind
        )

    def wait(self) -> float:
        """Seconds from the start to the first healthy answer."""
        while time.perf_counter() - self.started < LONGEST_START_S:
            with contextlib.suppress(OSError):
                address = f"http://127.0.0.1:{self.port}{self.health}"
                with urllib.request.urlopen(address, timeout=5):
                    return time.perf_counter() - self.started
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        self.log.flush()
        said = Path(self.log.name).read_text().strip().splitlines() or ["it said nothing"]
        raise OSError(f"{self.name} did not start: {said[-1][:300]}")

    def stop(self) -> None:
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(15)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.log.close()

    def ask(self, kind: str, body: Path, clients: int, seconds: float) -> dict:
        content = FORM if kind == "jpeg" else "application/json"
        arguments = [self.port, self.paths[kind], clients, seconds, body, content]
        command = [sys.executable, str(HERE / "_serve_client.py"), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return json.loads(done.stdout)


def start_all(version: Path, folder: Path) -> tuple[dict[str, Server], dict[str, str]]:
    """The servers that start, and why the others do not."""
    names = ["kcnn", "bare", "litserve", "bentoml"]
    if list(version.rglob("*.onnx")):
        names.append("onnx")
    servers, missing = {}, {}
    for name in names:
        server = Server(name, version, folder / f"{name}.log")
        try:
            server.wait()
            servers[name] = server
        except OSError as error:
            server.stop()
            missing[name] = str(error)
    return servers, missing


def measure_start(version: Path, folder: Path, rounds: int) -> dict:
    """Ready against TensorFlow's own import and load of the same folder, in turn."""
    ready, plain = [], []
    for _ in range(rounds):
        server = Server("kcnn", version, folder / "start.log")
        ready.append(server.wait())
        server.stop()
        started = time.perf_counter()
        command = [sys.executable, str(HERE / "_serve_peers.py"), "load", str(version), "-"]
        subprocess.run(command, check=True, env=environment(), capture_output=True)
        plain.append(time.perf_counter() - started)
    return {"ready_s": statistics.median(ready), "import_and_load_s": statistics.median(plain)}


def measure_tight(version: Path, picture: Path, *sizes: int) -> dict[int, float]:
    """Pictures a second of the SavedModel in a loop, for each of these batch sizes or the usual."""
    script = [sys.executable, str(HERE / "_serve_peers.py")]
    command = [*script, "tight", str(version), str(picture), *map(str, sizes)]
    done = subprocess.run(command, check=True, env=environment(), capture_output=True, text=True)
    return {int(size): speed for size, speed in json.loads(done.stdout).items()}


def run(model: str, rounds: int, seconds: float) -> dict:
    """All figures of one model."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        version = export_model(model, folder)
        bodies = request_bodies(model, folder)
        start = measure_start(version, folder, rounds)
        servers, missing = start_all(version, folder)
        seen: dict[tuple, list[dict]] = {}
        speeds = measure_tight(version, bodies["jpg"])
        best, tight = max(speeds, key=speeds.__getitem__), []
        asked = [(server, kind) for server in servers.values() for kind in server.paths]
        try:
            for server, kind in asked:
                server.ask(kind, bodies[kind], WARM_CLIENTS, WARM_S)
            for number in range(rounds):
                tight.append(measure_tight(version, bodies["jpg"], best)[best])
                for kind in ("jpeg", "json"):
                    for clients in CLIENTS:
                        for server in rotated(list(servers.values()), number):
                            if kind in server.paths:
                                got = server.ask(kind, bodies[kind], clients, seconds)
                                seen.setdefault((server.name, kind, clients), []).append(got)
        finally:
            for server in servers.values():
                server.stop()
    return {
        "model": model,
        "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores",
        "rounds": rounds,
        "seconds": seconds,
        "missing": missing,
        "start": start,
        "tight_loop_per_second": statistics.median(tight),
        "tight_loop_batch": best,
        "results": [
            {"server": name, "kind": kind, "clients": clients, **middle(figures)}
            for (name, kind, clients), figures in seen.items()
        ],
    }


def rotated(servers: list[Server], by: int) -> list[Server]:
    """The same in another order each round, so that nobody is always asked first."""
    by %= len(servers)
    return servers[by:] + servers[:by]


def middle(figures: list[dict]) -> dict:
    return {
        "per_second": statistics.median(f["per_second"] for f in figures),
        "p50_ms": statistics.median(f["p50_ms"] or float("inf") for f in figures),
        "p99_ms": statistics.median(f["p99_ms"] or float("inf") for f in figures),
        "failed": sum(f["failed"] for f in figures),
    }


def print_report(record: dict) -> None:
    print(f"{record['model']} ({record['machine']})")
    for row in record["results"]:
        print(
            f"  {row['kind']:4} {row['clients']:3} clients  {row['server']:9}"
            f"{row['per_second']:9.1f}/s  p50 {row['p50_ms']:8.2f} ms  p99 {row['p99_ms']:8.2f} ms"
            + (f"  {row['failed']} failed" if row["failed"] else "")
        )
    found = {(r["server"], r["kind"], r["clients"]): r for r in record["results"]}
    for peer in ("bare", "litserve", "bentoml", "onnx"):
        for (name, kind, clients), row in found.items():
            if name == peer:
                own = found["kcnn", kind, clients]
                print(
                    f"  kcnn / {peer}: {kind} {clients:2} clients "
                    f"{own['per_second'] / row['per_second']:6.2f} times the answers, "
                    f"{own['p50_ms'] / row['p50_ms']:5.2f} times the p50"
                )
    best = max(r["per_second"] for k, r in found.items() if k[:2] == ("kcnn", "jpeg"))
    print(f"  kcnn / SavedModel in a loop: {best / record['tight_loop_per_second']:.2f}")
    ready, plain = record["start"]["ready_s"], record["start"]["import_and_load_s"]
    print(f"  ready after {ready:.2f} s, {ready / plain:.2f} times TensorFlow's import and load")
    for name, why in record["missing"].items():
        print(f"  {name} is missing: {why}")


def main(models: list[str], rounds: int, seconds: float) -> None:
    for model in models:
        record = run(model, rounds, seconds)
        print_report(record)
        target = HERE / "results" / f"serve_{model}.json"
        target.parent.mkdir(exist_ok=True)
        target.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", dest="models", action="append", choices=MODELS)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=2.5)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # the servers are stopped, too
    main(options.models or list(MODELS), options.rounds, options.seconds)
