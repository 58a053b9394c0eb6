"""`kcnn launch SCRIPT.py`: several processes of one script on this machine."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import click

__all__ = ["launch"]

LOOK = 0.1  # seconds between two looks at the workers
GRACE = 5.0  # seconds from the request to end to the end by force
TAIL = 15  # lines of a dead worker's log that are shown
SILENT = 5.0  # seconds; a worker in `fit` touches its file every second
HUNG = 3  # exit code when the workers stand still


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("--processes", type=click.IntRange(1), default=2, show_default=True)
@click.option(
    "--logs",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("logs"),
    show_default=True,
    help="Folder for worker-0.log and the others.",
)
@click.option(
    "--hang",
    type=click.FloatRange(0, min_open=True),
    default=600.0,
    show_default=True,
    help="Seconds without a step of kcnn.distribute.fit after which all are ended.",
)
@click.option(
    "--restarts",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="How often all are started again when one has died; see kcnn.distribute.Checkpoint.",
)
@click.argument("script", type=click.Path(path_type=Path, dir_okay=False))
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def launch(
    script: Path,
    arguments: tuple[str, ...],
    processes: int,
    logs: Path,
    hang: float,
    restarts: int,
) -> None:
    """Run SCRIPT in several processes that train together (kcnn.distribute).

    Options stand before SCRIPT; what follows it is passed on to it. What worker 0 writes is shown,
    the rest is in the log files. If one worker dies or hangs, all are ended and the exit code is
    the one's that died (128 and the signal's number for a killed one; 3 for a hanging one).
    """
    if not script.is_file():
        raise FileNotFoundError(2, "No such script", str(script))
    logs.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    command = [sys.executable, "-u", str(script), *arguments]
    for left in range(restarts, -1, -1):
        code = _run(command, processes, logs, hang)
        if code == 0 or left == 0:
            raise SystemExit(code)
        click.echo(f"kcnn launch: all are started again; {left - 1} restarts are left.", err=True)


def _run(command: list[str], processes: int, logs: Path, hang: float) -> int:
    files = [logs / f"worker-{index}.log" for index in range(processes)]
    signs = [logs / f"worker-{index}.progress" for index in range(processes)]
    for sign in signs:
        sign.unlink(missing_ok=True)
    workers: list[subprocess.Popen[bytes]] = []
    try:
        for environment, file in zip(_environments(processes, signs), files, strict=True):
            with file.open("wb") as log:
                workers.append(
                    subprocess.Popen(
                        command, stdout=log, stderr=log, env=environment, start_new_session=True
                    )
                )
        return _watch(workers, files, signs, hang)
    finally:
        _end(workers)


def _environments(count: int, signs: list[Path]) -> list[dict[str, str]]:
    with ExitStack() as stack:  # all are held until the last is found, so that they differ
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        addresses = [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]
    threads = str(max(1, (os.cpu_count() or 1) // count))
    found = []
    for index in range(count):
        own = {"KCNN_PROCESSES": str(count), "KCNN_PROGRESS": str(signs[index].resolve())}
        if count > 1:
            task = {"type": "worker", "index": index}
            own["TF_CONFIG"] = json.dumps({"cluster": {"worker": addresses}, "task": task})
            os.environ.setdefault("TF_NUM_INTRAOP_THREADS", threads)
        found.append({**os.environ, **own})
    return found


def _watch(
    workers: list[subprocess.Popen[bytes]], files: list[Path], signs: list[Path], hang: float
) -> int:
    """Show worker 0 until all have ended or one has to be blamed; the exit code."""
    shown = 0
    steps: dict[int, Any] = {}
    moved = time.monotonic()
    while True:
        codes = [worker.poll() for worker in workers]
        shown = _show(files[0], shown)
        dead = next((i for i, code in enumerate(codes) if code), None)
        if dead is not None:
            code = codes[dead] or 0
            how = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
            click.echo(f"kcnn launch: worker {dead} {how}; {files[dead]} ends with:", err=True)
            last = files[dead].read_text(errors="replace").splitlines()[-TAIL:]
            click.echo("\n".join(f"  {line}" for line in last), err=True)
            return 128 - code if code < 0 else code
        if all(code == 0 for code in codes):
            return 0
        now = {i: _sign(sign) for i, sign in enumerate(signs) if sign.exists()}
        if now != steps or not now:
            steps, moved = now, time.monotonic()
        elif time.monotonic() - moved > hang:
            blamed, why = _blamed(signs, now)
            names = " and ".join(f"worker {i} (process {workers[i].pid})" for i in blamed)
            click.echo(
                f"kcnn launch: no step for {hang:g} s; {names} {why}; all are ended, "
                f"see {files[blamed[0]]}.",
                err=True,
            )
            return HUNG
        time.sleep(LOOK)


def _blamed(signs: list[Path], steps: dict[int, tuple[int, int]]) -> tuple[list[int], str]:
    """Whom the others wait for, and by what that is seen."""
    silent = [i for i in steps if time.time() - signs[i].stat().st_mtime > SILENT]
    if silent:
        return silent, "gives no sign of life"
    missing = [i for i in range(len(signs)) if i not in steps]
    if missing:
        return missing, "did not begin to train"
    last = min(steps.values())
    return [i for i, step in steps.items() if step == last], f"came no further than step {last[0]}"


def _sign(file: Path) -> tuple[int, int]:
    """How far a worker came: steps begun, and whether it waits within one."""
    with suppress(OSError, ValueError):
        begun, ended = map(int, file.read_text().split())
        return begun, ended
    return 0, 0


def _show(file: Path, shown: int) -> int:
    with file.open("rb") as log:
        log.seek(shown)
        new = log.read()
    sys.stdout.write(new.decode(errors="replace"))
    sys.stdout.flush()
    return shown + len(new)


def _end(workers: list[subprocess.Popen[bytes]]) -> None:
    """Ask all to end, then end them, with whatever they have started."""
    until = time.monotonic() + GRACE
    for number in (signal.SIGTERM, signal.SIGKILL):
        for worker in workers:
            with suppress(ProcessLookupError):
                os.killpg(worker.pid, number)
        while time.monotonic() < until and any(worker.poll() is None for worker in workers):
            time.sleep(LOOK)
    for worker in workers:
        worker.wait()
