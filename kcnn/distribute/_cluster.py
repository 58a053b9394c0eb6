"""Which processes train together, read from what started them."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["PROCESSES", "Cluster", "DistributeError", "cluster"]

PORT = 12340  # of a node's first worker, where nothing names one; the next ones follow
PROCESSES = "KCNN_PROCESSES"  # how many processes `kcnn launch` or a JobSet has started


class DistributeError(ValueError):
    """Workers that can't train together: one or two lines saying who, what and what to do.

    >>> cluster({"TF_CONFIG": "{}"})
    Traceback (most recent call last):
    ...
    kcnn.distribute._cluster.DistributeError: TF_CONFIG can't be read (KeyError: 'cluster'); ...
    """


@dataclass(frozen=True)
class Cluster:
    """The workers of a training, `host:port` each, and which of them this process is.

    >>> Cluster(("a:1", "b:1"), index=1).chief
    False
    """

    workers: tuple[str, ...] = ("localhost",)
    index: int = 0
    source: str = "alone"

    @property
    def chief(self) -> bool:
        """Whether this is worker 0, the one that writes files."""
        return self.index == 0

    def name(self, index: int) -> str:
        """A worker as messages name it."""
        return f"worker {index} ({self.workers[index]})"

    def tf_config(self) -> str:
        """The value of TF_CONFIG that says the same to TensorFlow."""
        task = {"type": "worker", "index": self.index}
        return json.dumps({"cluster": {"worker": list(self.workers)}, "task": task})


def cluster(environment: Mapping[str, str] | None = None) -> Cluster:
    """The cluster that the environment tells of: TF_CONFIG, a JobSet's or SLURM's variables.

    Raises:
        DistributeError: they contradict each other, or name too few workers.

    >>> cluster({}).source
    'alone'
    """
    environment = os.environ if environment is None else environment
    if environment.get("TF_CONFIG"):
        return _from_tf_config(environment)
    if "JOBSET_NAME" in environment:
        return _from_jobset(environment)
    if int(environment.get("SLURM_NTASKS", 1)) > 1 and "SLURM_PROCID" in environment:
        return _from_slurm(environment)
    return Cluster()


def _from_tf_config(environment: Mapping[str, str]) -> Cluster:
    try:
        told = json.loads(environment["TF_CONFIG"])
        tasks, task = told["cluster"], told["task"]
        workers = (*tasks.get("chief", ()), *tasks.get("worker", ()))
        first = len(tasks.get("chief", ())) if task["type"] == "worker" else 0
        index = first + int(task["index"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DistributeError(
            f"TF_CONFIG can't be read ({type(error).__name__}: {error}); it has to be like "
            f"{Cluster(('host-a:12340', 'host-b:12340')).tf_config()}."
        ) from error
    if task["type"] not in ("chief", "worker"):
        raise DistributeError(f"TF_CONFIG: a task of type {task['type']!r} does not train here.")
    started = int(environment.get(PROCESSES) or environment.get("SLURM_NTASKS") or len(workers))
    if not 0 <= index < len(workers) or started > len(workers):
        raise DistributeError(
            f"TF_CONFIG names {len(workers)} workers, but this is worker {index} of {started} "
            "processes; name each of them."
        )
    return Cluster(workers, index, "TF_CONFIG")


def _from_jobset(environment: Mapping[str, str]) -> Cluster:
    try:
        jobset, job = environment["JOBSET_NAME"], environment["REPLICATED_JOB_NAME"]
        index, count = int(environment["JOB_COMPLETION_INDEX"]), int(environment[PROCESSES])
    except (KeyError, ValueError) as error:
        raise DistributeError(
            f"JobSet: {error} is missing or no number in the pod's environment; the manifest in "
            "the documentation sets JOBSET_NAME, REPLICATED_JOB_NAME and KCNN_PROCESSES."
        ) from error
    workers = tuple(f"{jobset}-{job}-0-{pod}.{jobset}:{PORT}" for pod in range(count))
    if index >= count:
        raise DistributeError(f"JobSet: pod {index} is not among the {count} of {PROCESSES}.")
    return Cluster(workers, index, "JobSet")


def _from_slurm(environment: Mapping[str, str]) -> Cluster:
    nodes = hosts(environment.get("SLURM_STEP_NODELIST") or environment["SLURM_JOB_NODELIST"])
    each = environment.get("SLURM_STEP_TASKS_PER_NODE") or environment["SLURM_TASKS_PER_NODE"]
    counts: list[int] = []
    for tasks, times in re.findall(r"(\d+)(?:\(x(\d+)\))?", each):
        counts += [int(tasks)] * int(times or 1)
    base = int(environment.get("KCNN_PORT", PORT))
    placed = zip(nodes, counts, strict=False)
    workers = tuple(f"{node}:{base + i}" for node, count in placed for i in range(count))
    if len(workers) != int(environment["SLURM_NTASKS"]):
        raise DistributeError(
            f"SLURM: {environment['SLURM_NTASKS']} tasks, but {len(workers)} places on "
            f"{', '.join(nodes)}; start them by `srun`, with the block distribution of tasks."
        )
    return Cluster(workers, int(environment["SLURM_PROCID"]), "SLURM")


def hosts(names: str) -> list[str]:
    """SLURM's short form of host names, spelled out: "n[08-10],a" is n08, n09, n10, a."""
    found = []
    for prefix, ranges in re.findall(r"([^,\[]+)(?:\[([^\]]*)\])?", names):
        for part in ranges.split(",") if ranges else [""]:
            low, _, high = part.partition("-")
            if not high:
                found.append(prefix + low)
            else:
                numbers = range(int(low), int(high) + 1)
                found += [f"{prefix}{number:0{len(low)}}" for number in numbers]
    return found
