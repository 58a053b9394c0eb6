"""Requests that arrive together run together.

A batch starts as soon as a runner is free, so a lone request never waits, and whatever arrives
while the runners are busy forms the next batch. Two things adapt to the load: how large a
batch may be (see `BatchSize`) and how long a free runner waits for more (only while more
requests are about to come, and for no more than a share of what a batch takes).
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from kcnn_server.batch_size import BatchSize
from kcnn_server.errors import Busy, HTTPError, TooLate
from kcnn_server.runtime import Model, Signature

__all__ = ["Batcher"]

# A free runner waits for a batch to fill for at most this share of the time that a batch takes.
WAIT_SHARE = 0.25
MOST_SHAPES = 256  # sizes of images to know apart; clients may send any


@dataclass(eq=False, slots=True)
class Job:
    """One request's rows, and where its answer goes."""

    arrays: Sequence[np.ndarray]
    rows: int
    pixels: int
    deadline: float
    future: asyncio.Future


class Lane:
    """What may run in one batch: one signature of one version, images of one size."""

    def __init__(self, model: Model, signature: Signature, size: BatchSize):
        self.model, self.signature, self.size = model, signature, size
        self.jobs: deque[Job] = deque()
        self.rows = 0
        self.timer: asyncio.TimerHandle | None = None


class Batcher:
    """The queue in front of the runners. Lives on the event loop; only batches run in threads."""

    def __init__(
        self,
        *,
        runners: int,
        max_batch: int,
        max_wait_s: float,
        max_queue: int,
        max_pixels: int,
        answer_s: float,
        observe: Callable[[int, float], None],
    ):
        self.max_batch, self.max_wait_s = max_batch, max_wait_s
        self.max_queue, self.max_pixels, self.answer_s = max_queue, max_pixels, answer_s
        self.waiting = 0  # rows in all lanes
        self._observe = observe
        self._runners = self._free = runners
        self._pool = ThreadPoolExecutor(runners, thread_name_prefix="runner")
        self._lanes: dict[tuple, Lane] = {}
        self._ready: deque[Lane] = deque()  # lanes with jobs, the longest waiting first
        self._sizes: dict[tuple, BatchSize] = {}
        self._running: set[Job] = set()
        self._open = 0  # requests without an answer yet
        self._usual_open = 1.0  # the same, as it usually is
        self._rows_per_s = 0.0

    async def run(
        self, model: Model, signature: Signature, arrays: Sequence[np.ndarray], pixels: int = 0
    ) -> list[np.ndarray]:
        """The outputs for one request's rows; raises Busy, TooLate or what the graph says.

        The caller keeps the model acquired until then.
        """
        rows = len(arrays[0]) if signature.batched else 1
        if self.waiting + rows > self.max_queue and (self.waiting or rows > self.max_queue):
            raise Busy("The queue is full; try again later.", seconds=self._seconds_to_drain())
        loop = asyncio.get_running_loop()
        job = Job(arrays, rows, pixels, loop.time() + self.answer_s, loop.create_future())
        self._open += 1
        self._usual_open += 0.05 * (self._open - self._usual_open)
        try:
            self._add(model, signature, job)
            return await job.future
        finally:
            self._open -= 1

    def _add(self, model: Model, signature: Signature, job: Job) -> None:
        shapes = tuple(a.shape[1:] for a in job.arrays)
        key = (id(model), signature.name, shapes)
        lane = self._lanes.get(key)
        if lane is None:
            size = self._sizes.setdefault(key[1:], BatchSize(self.max_batch))
            lane = self._lanes[key] = Lane(model, signature, size)
        if not lane.jobs:
            self._ready.append(lane)
        lane.jobs.append(job)
        lane.rows += job.rows
        self.waiting += job.rows
        if self._free:
            self._start_or_wait(lane)

    def _start_or_wait(self, lane: Lane) -> None:
        wait = self._wait_for_more(lane)
        if not wait:
            self._start(lane)
        elif lane.timer is None:
            lane.timer = asyncio.get_running_loop().call_later(wait, self._waited, lane)

    def _wait_for_more(self, lane: Lane) -> float:
        expected = min(self._usual_open / 2, lane.size.best)
        if lane.rows >= expected or not lane.signature.batched:
            return 0.0
        return min(self.max_wait_s, WAIT_SHARE * lane.size.seconds(lane.size.best))

    def _waited(self, lane: Lane) -> None:
        lane.timer = None
        if lane.jobs and self._free:
            self._start(lane)

    def _start(self, lane: Lane) -> None:
        if lane.timer is not None:
            lane.timer.cancel()
            lane.timer = None
        batch = self._take(lane)
        if not batch:
            return
        self._free -= 1
        self._running.update(batch)
        before = self._runners - self._free
        asyncio.get_running_loop().run_in_executor(
            self._pool, _run_batch, lane, batch
        ).add_done_callback(lambda done: self._finish(lane, batch, before, *done.result()))

    def _take(self, lane: Lane) -> list[Job]:
        """The next jobs of the lane that fit into one batch; those too late are told so."""
        now = asyncio.get_running_loop().time()
        batch: list[Job] = []
        rows = pixels = 0
        largest = lane.size.next() if lane.signature.batched else 1
        while lane.jobs:
            job = lane.jobs[0]
            full = rows + job.rows > largest or pixels + job.pixels > self.max_pixels
            if batch and full:
                break
            lane.jobs.popleft()
            lane.rows -= job.rows
            self.waiting -= job.rows
            if job.future.done():  # its client went away
                continue
            if job.deadline < now:
                job.future.set_exception(_too_late(self.answer_s))
                continue
            batch.append(job)
            rows += job.rows
            pixels += job.pixels
        self._ready.remove(lane)
        if lane.jobs:
            self._ready.append(lane)
        return batch

    def _finish(
        self, lane: Lane, batch: list[Job], before: int, results: list, seconds: float
    ) -> None:
        together = (before + self._runners - self._free) / 2  # batches that shared the cores
        self._free += 1
        self._running.difference_update(batch)
        lane.size.learn(rows := sum(job.rows for job in batch), seconds / together)
        self._rows_per_s += 0.2 * (rows / max(seconds, 1e-6) - self._rows_per_s)
        self._observe(rows, seconds)
        for job, result in zip(batch, results, strict=True):
            if job.future.done():
                continue
            if isinstance(result, Exception):
                job.future.set_exception(result)
            else:
                job.future.set_result(result)
        if self._ready and self._free:
            self._start_or_wait(self._ready[0])

    def expire(self) -> None:
        """Answer the jobs whose time is over, even if they are running; forget old lanes."""
        now = asyncio.get_running_loop().time()
        waiting = [job for lane in self._ready for job in lane.jobs]
        for job in [*waiting, *self._running]:
            if job.deadline < now and not job.future.done():
                job.future.set_exception(_too_late(self.answer_s))
        many = len(self._lanes) > MOST_SHAPES
        self._lanes = {
            key: lane
            for key, lane in self._lanes.items()
            if lane.jobs or not (many or lane.model.retired)
        }
        if len(self._sizes) > MOST_SHAPES:
            self._sizes.clear()

    def _seconds_to_drain(self) -> int:
        return 1 + min(29, int(self.waiting / self._rows_per_s)) if self._rows_per_s else 1


def _too_late(seconds: float) -> TooLate:
    return TooLate(f"No answer within {seconds:g} s.")


def _run_batch(lane: Lane, batch: list[Job]) -> tuple[list, float]:
    """What `_answers` gives, and the seconds that it took; runs in a thread."""
    started = time.perf_counter()
    return _answers(lane.signature, batch), time.perf_counter() - started


def _answers(signature: Signature, batch: list[Job]) -> list:
    """For each job its rows of the outputs, or an exception."""
    columns = [job.arrays for job in batch]
    try:
        if len(batch) == 1:
            arrays = columns[0]
        else:
            arrays = [np.concatenate(parts) for parts in zip(*columns, strict=True)]
        outputs = signature.run(arrays)
    except HTTPError as error:
        if len(batch) == 1:
            return [error]
        half = len(batch) // 2  # one broken picture must not fail its neighbours
        return _answers(signature, batch[:half]) + _answers(signature, batch[half:])
    except Exception as error:  # a fault of ours; the jobs must be answered all the same
        return [error] * len(batch)
    if not signature.batched:
        return [outputs]
    ends = np.cumsum([job.rows for job in batch]).tolist()
    starts = [0, *ends[:-1]]
    return [[a[start:end] for a in outputs] for start, end in zip(starts, ends, strict=True)]
