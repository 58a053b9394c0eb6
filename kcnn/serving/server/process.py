"""One worker: loads the model, then answers requests on a socket until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import uvicorn

from kcnn_server.app import App
from kcnn_server.batching import Batcher
from kcnn_server.logs import log
from kcnn_server.metrics import Metrics
from kcnn_server.predict import Predictor
from kcnn_server.protocol import make_protocol
from kcnn_server.runtime import start_tensorflow
from kcnn_server.settings import Settings
from kcnn_server.versions import Versions

__all__ = ["listen", "serve"]

BACKLOG = 2048  # connections that the kernel keeps for us while we load or are busy
KEEP_ALIVE_S = 75  # for an idle connection; proxies usually give up after 60
TICK_S = 0.25  # between two looks for requests and connections that take too long


def listen(host: str, port: int) -> socket.socket:
    """A bound socket; OSError says which address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise OSError(error.errno, f"{error.strerror}: {host}:{port}") from None
    listener.listen(BACKLOG)
    listener.set_inheritable(True)
    return listener


class Server(uvicorn.Server):
    """uvicorn's server, which ends with exit code 0 after a SIGTERM."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop, number)
        yield

    def _stop(self, number: int) -> None:
        log("draining", signal=signal.Signals(number).name)
        self.handle_exit(number, None)


def serve(
    settings: Settings, listener: socket.socket, metrics: Metrics, started: float | None = None
) -> None:
    """Load what there is, then answer requests until SIGTERM or Ctrl-C and drain."""
    started = time.perf_counter() if started is None else started
    start_tensorflow()
    versions = Versions(
        Path(settings.folder),
        settings.name,
        labels=settings.labels,
        threads=settings.threads,
        report=log,
    )
    # FastAPI takes as long to import as a small model to load, and that lets go of Python's lock.
    threading.Thread(target=import_module, args=("kcnn_server.routes",), daemon=True).start()
    versions.update()
    watcher = threading.Thread(target=versions.watch, args=(settings.poll_s,), daemon=True)
    try:
        asyncio_run(_run(settings, listener, metrics, versions, watcher, started))
    finally:
        versions.stop()
    log("stopped")


async def _run(
    settings: Settings,
    listener: socket.socket,
    metrics: Metrics,
    versions: Versions,
    watcher: threading.Thread,
    started: float,
) -> None:
    from kcnn_server.routes import make_routes

    def observe(rows: int, seconds: float) -> None:
        metrics.observe("kcnn_batch_rows", rows)
        metrics.observe("kcnn_batch_seconds", seconds)

    batcher = Batcher(
        runners=min(2, settings.threads),
        max_batch=settings.max_batch,
        max_wait_s=settings.max_wait_s,
        max_queue=settings.max_queue,
        max_pixels=settings.max_pixels,
        answer_s=settings.answer_s,
        observe=observe,
    )
    predictor = Predictor(settings, batcher)
    app = App(settings, versions, predictor, metrics, make_routes(settings, versions, metrics))
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # told by our own log
    server = Server(
        uvicorn.Config(
            app,
            http=make_protocol(settings),
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            backlog=BACKLOG,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=int(settings.drain_s),
        )
    )
    gc.freeze()  # what is here stays: a pass of Python's collector over it takes 0.2 s
    watcher.start()
    chores = asyncio.ensure_future(_look_after(server.server_state.connections, batcher, metrics))
    host, port = listener.getsockname()[:2]
    log(
        "ready" if versions.newest else "no_model",
        url=f"http://{host}:{port}",
        model=settings.name,
        version=versions.newest.version if versions.newest else None,
        seconds=round(time.perf_counter() - started, 3),
    )
    await server.serve(sockets=[listener])
    chores.cancel()


async def _look_after(connections: set, batcher: Batcher, metrics: Metrics) -> None:
    """Answer what takes too long and note the gauges, for as long as the server runs."""
    while True:
        await asyncio.sleep(TICK_S)
        now = asyncio.get_running_loop().time()
        for connection in list(connections):
            connection.expire(now)
        batcher.expire()
        metrics.set("kcnn_queue_rows", batcher.waiting)
        metrics.set("kcnn_open_connections", len(connections))


def asyncio_run(main) -> None:
    """`asyncio.run` on uvloop where it is installed."""
    try:
        import uvloop
    except ImportError:
        asyncio.run(main)
    else:
        uvloop.run(main)


def _worker() -> None:
    """`python -m kcnn_server.process SETTINGS LISTENER METRICS WORKER`, started by a supervisor."""
    started = time.perf_counter()
    settings = Settings(**json.loads(sys.stdin.readline()))
    threading.Thread(target=_follow_supervisor, daemon=True).start()
    listener, shared, worker = (int(argument) for argument in sys.argv[1:4])
    metrics = Metrics(shared, worker, settings.workers)
    serve(settings, socket.socket(fileno=listener), metrics, started)


def _follow_supervisor() -> None:
    """Drain once the supervisor is gone, however it went."""
    while sys.stdin.read(1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    _worker()
