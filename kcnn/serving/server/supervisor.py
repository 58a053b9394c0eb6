"""Several workers on one socket; one that dies is replaced."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import asdict

from kcnn_server.logs import log
from kcnn_server.metrics import shared_file
from kcnn_server.settings import Settings

__all__ = ["supervise"]

QUICK_DEATH_S = 10.0  # a worker that lived shorter is replaced after a pause
LONGEST_PAUSE_S = 30.0


class Worker:
    """One process and when to start it again."""

    def __init__(self, number: int):
        self.number = number
        self.process: subprocess.Popen | None = None
        self.started = 0.0
        self.quick_deaths = 0
        self.not_before = 0.0

    def start(self, settings: Settings, listener: socket.socket, shared: int) -> None:
        """The settings go through a pipe: an API key must not show in the list of processes."""
        numbers = [str(n) for n in (listener.fileno(), shared, self.number)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "kcnn_server.process", *numbers],
            stdin=subprocess.PIPE,
            pass_fds=(listener.fileno(), shared),
            start_new_session=True,  # Ctrl-C comes from the supervisor, once
        )
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(asdict(settings)).encode() + b"\n")
        self.process.stdin.flush()  # it stays open: its end tells the worker that we are gone
        self.started = time.monotonic()
        log("worker_started", worker=self.number, worker_pid=self.process.pid)

    def note_death(self) -> None:
        assert self.process is not None
        code, self.process = self.process.returncode, None
        lived = time.monotonic() - self.started
        self.quick_deaths = self.quick_deaths + 1 if lived < QUICK_DEATH_S else 0
        pause = min(LONGEST_PAUSE_S, 2.0**self.quick_deaths - 1) if self.quick_deaths else 0.0
        self.not_before = time.monotonic() + pause
        log("worker_died", worker=self.number, exit_code=code, restart_in_s=pause)


def supervise(settings: Settings, listener: socket.socket) -> None:
    """Run `settings.workers` workers until SIGTERM or Ctrl-C, then let them drain."""
    shared = shared_file(settings.workers)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    workers = [Worker(n) for n in range(settings.workers)]
    host, port = listener.getsockname()[:2]
    log("listening", url=f"http://{host}:{port}", workers=settings.workers)
    while not stop.is_set():
        for worker in workers:
            if worker.process is not None and worker.process.poll() is not None:
                worker.note_death()
            if worker.process is None and time.monotonic() >= worker.not_before:
                worker.start(settings, listener, shared)
        stop.wait(0.1)
    _drain([w.process for w in workers if w.process is not None], settings.drain_s)
    log("stopped")


def _drain(processes: list[subprocess.Popen], seconds: float) -> None:
    """Ask them to end and end those that have not after `seconds` and a little."""
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + seconds + 5.0
    for process in processes:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            log("worker_killed", worker_pid=process.pid)
            process.kill()
            process.wait()
