"""Real processes on the loopback address that train together."""

import json
import os
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

ROOT = Path(__file__).parent.parent
LIMIT = 480  # seconds; four workers on two busy cores are slow


def free_ports(count):
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def begin(script, index, ports, *arguments, **environment):
    """One worker of those at `ports`, or a process alone if there is one port."""
    workers = [f"127.0.0.1:{port}" for port in ports]
    config = {"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}}
    told = {"TF_CONFIG": json.dumps(config)} if len(ports) > 1 else {}
    return subprocess.Popen(
        [sys.executable, str(script), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={
            **{k: v for k, v in os.environ.items() if k != "TF_CONFIG"},
            "PYTHONPATH": str(ROOT),
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "TF_ENABLE_ONEDNN_OPTS": "0",
            **told,
            **environment,
        },
    )


def ended(processes):
    """(exit code, output, errors) of each, once all have ended; none is left behind."""
    try:
        found = [process.communicate(timeout=LIMIT) for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [(p.returncode, out, err) for p, (out, err) in zip(processes, found, strict=True)]


def results(script, count, *arguments, **environment):
    """What each of `count` workers wrote behind the word RESULT, as JSON."""
    ports = free_ports(count)
    told = ended([begin(script, i, ports, *arguments, **environment) for i in range(count)])
    for code, _, errors in told:
        assert code == 0, errors[-3000:]
    lines = [[li for li in out.splitlines() if li.startswith("RESULT")] for _, out, _ in told]
    return [json.loads(found[-1].removeprefix("RESULT")) for found in lines]
