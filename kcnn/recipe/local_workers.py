"""More processes of this machine join the search of a run (`kcnn recipe --processes`)."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import tensorflow as tf

from kcnn.recipe.display import Display
from kcnn.recipe.steps.search import Search

__all__ = ["DisplayWithWorkers"]

GRACE = 10.0  # seconds for a worker to end by itself; it looks for the search's end every few


class DisplayWithWorkers(Display):
    """The terminal of the leading process, which starts the workers when the search begins.

    Each process has a GPU of its own where there are some (`CUDA_VISIBLE_DEVICES` in turn), else
    a worker has its share of the cores; what it prints goes to `logs/worker-K.log` in the run's
    folder. None is left behind when the block ends.

    Args:
        command: what starts a worker.
        processes: how many there are to be, this one included.
        folder: of the run.
        log_json: as of `Display`.
    """

    def __init__(
        self, command: list[str], processes: int, folder: Path, *, log_json: Path | None = None
    ) -> None:
        super().__init__(log_json=log_json)
        self._command, self._processes, self._logs = command, processes, folder / "logs"
        self._workers: list[subprocess.Popen[bytes]] = []
        self._failed: set[int] = set()  # workers of which that was said
        gpus = tf.config.list_physical_devices("GPU")
        given = os.environ.get("CUDA_VISIBLE_DEVICES")  # some of the machine's, by their own names
        names = given.split(",") if given else map(str, range(len(gpus)))
        self._gpus = list(names) if gpus else []
        if gpus:
            tf.config.set_visible_devices(gpus[0], "GPU")

    def __enter__(self) -> DisplayWithWorkers:
        return self

    def step(self, number: int, title: str, *, kept: bool = False) -> None:
        super().step(number, title, kept=kept)
        if title == Search.title and not kept:
            self._start()
        for worker, process in enumerate(self._workers, 1):
            if process.poll() and worker not in self._failed:
                self._failed.add(worker)
                said = self._log(worker).read_text("utf-8", "replace").strip().splitlines()
                last = said[-1] if said else "it said nothing"
                self.say(f"Worker {worker} ended with code {process.returncode}: {last}", "yellow")

    def _start(self) -> None:
        self._logs.mkdir(exist_ok=True)
        for worker in range(1, self._processes):
            with self._log(worker).open("wb") as log:
                self._workers.append(
                    subprocess.Popen(
                        self._command,
                        stdout=log,
                        stderr=log,
                        env={**os.environ, **self._devices(worker)},
                        start_new_session=True,  # Ctrl-C is for the leading process to answer
                    )
                )

    def _devices(self, worker: int) -> dict[str, str]:
        if self._gpus:
            return {"CUDA_VISIBLE_DEVICES": self._gpus[worker % len(self._gpus)]}
        threads = max(1, (os.cpu_count() or 1) // self._processes)
        return {"TF_NUM_INTRAOP_THREADS": str(threads)}

    def _log(self, worker: int) -> Path:
        return self._logs / f"worker-{worker}.log"

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for process in self._workers:
            if kind is not None:
                process.terminate()
            try:
                process.wait(GRACE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
