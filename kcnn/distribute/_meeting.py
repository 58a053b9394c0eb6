"""Workers meet before TensorFlow connects them, so that who is missing or different is said.

TensorFlow waits for a missing worker for an hour and lets different programs hang in their first
collective operation. Here worker 0 listens on its own port, the others bring what has to be the
same on all of them, and each gets the same verdict.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from typing import Any

from kcnn.distribute._cluster import Cluster, DistributeError

__all__ = ["meet"]

PAUSE = 0.1  # seconds between two tries to reach worker 0
ANSWER = 5.0  # seconds that worker 0 has to decide, once all are there


def meet(cluster: Cluster, facts: Mapping[str, str], *, seed: int, patience: float) -> int:
    """Wait for all workers and compare `facts`; returns worker 0's `seed`.

    Raises:
        DistributeError: on every worker that came: a port is in use, a worker is missing after
            `patience` seconds, or brought other facts.
    """
    own = {"index": cluster.index, "facts": dict(facts)}
    with _listening(cluster) as server:
        if cluster.chief:
            verdict = _lead(cluster, own, server, seed, patience)
        else:
            verdict = _join(cluster, own, patience)
    if verdict["error"]:
        raise DistributeError(verdict["error"])
    return int(verdict["seed"])


def _listening(cluster: Cluster) -> socket.socket:
    port = int(cluster.workers[cluster.index].rpartition(":")[2])
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        server.bind(("", port))
        server.listen(len(cluster.workers))
    except OSError as error:
        server.close()
        raise DistributeError(
            f"{cluster.name(cluster.index)}: port {port} can't be used "
            f"({error.strerror}); end what listens there or name another port."
        ) from error
    return server


def _lead(
    cluster: Cluster, own: dict[str, Any], server: socket.socket, seed: int, patience: float
) -> dict[str, Any]:
    until = time.monotonic() + patience
    came = {0: own}
    error = ""
    with ExitStack() as stack:
        files = []
        while len(came) < len(cluster.workers) and not error:
            server.settimeout(max(0.01, until - time.monotonic()))
            try:
                connection = stack.enter_context(server.accept()[0])
            except TimeoutError:
                missing = [i for i in range(len(cluster.workers)) if i not in came]
                names = " and ".join(cluster.name(i) for i in missing)
                error = f"{names} did not come within {patience:g} s; is it running, and is "
                error += f"{cluster.workers[0]} the right address of worker 0 for it?"
                break
            connection.settimeout(ANSWER)
            file = stack.enter_context(connection.makefile("rw", encoding="utf-8"))
            try:
                told = json.loads(file.readline())
                index = int(told["index"])
            except (OSError, ValueError, KeyError, TypeError):
                continue  # no worker of ours: a port scan, a health check
            files.append(file)
            if index in came:
                error = f"Two processes say that they are worker {index}; each needs its own index."
            came[index] = told
        verdict = {"error": error or _difference(cluster, came), "seed": seed}
        for file in files:
            with suppress(OSError):
                file.write(json.dumps(verdict) + "\n")
                file.flush()
    return verdict


def _join(cluster: Cluster, own: dict[str, Any], patience: float) -> dict[str, Any]:
    host, _, port = cluster.workers[0].rpartition(":")
    until = time.monotonic() + patience
    while time.monotonic() < until:
        with suppress(OSError, ValueError):
            return _ask((host, int(port)), own, until - time.monotonic())
        time.sleep(PAUSE)
    return {"error": f"{cluster.name(0)} did not answer within {patience:g} s; is it running?"}


def _ask(address: tuple[str, int], own: dict[str, Any], patience: float) -> dict[str, Any]:
    with socket.create_connection(address, timeout=patience + ANSWER) as connection:
        file = connection.makefile("rw", encoding="utf-8")
        file.write(json.dumps(own) + "\n")
        file.flush()
        verdict: dict[str, Any] = json.loads(file.readline())
        return verdict


def _difference(cluster: Cluster, came: dict[int, dict[str, Any]]) -> str:
    """What worker brought another fact than worker 0, or nothing."""
    first = came[0]["facts"]
    for index, told in sorted(came.items()):
        for fact in sorted({*first, *told["facts"]}):
            here, there = first.get(fact), told["facts"].get(fact)
            if here != there:
                return (
                    f"{cluster.name(index)} has another {fact} than worker 0: {there}, not {here}; "
                    "give every worker the same code and data."
                )
    return ""
