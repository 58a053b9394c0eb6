"""`kcnn launch` with scripts that need no TensorFlow: who died, who hangs, nothing left behind."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
RUN = "import sys; from kcnn_cli import main; main(sys.argv[1:])"


def launch(tmp_path, script, *options, **arguments):
    file = tmp_path / "script.py"
    file.write_text("import json, os, sys, time, signal\n" + script)
    command = [sys.executable, "-c", RUN, "launch", "--logs", str(tmp_path / "logs"), *options]
    return subprocess.Popen(
        [*command, str(file), *arguments.pop("passed", ())],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env={k: v for k, v in os.environ.items() if k != "TF_CONFIG"},
    )


def ended(process, limit=60):
    out, errors = process.communicate(timeout=limit)
    return process.returncode, out, errors


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


TELL = """
task = json.loads(os.environ["TF_CONFIG"])
print(json.dumps([task, sys.argv[1:], os.environ["KCNN_PROCESSES"]]), flush=True)
"""


def test_each_worker_knows_all_and_itself_and_writes_its_own_log(tmp_path):
    code, out, errors = ended(launch(tmp_path, TELL, "--processes", "3", passed=["--epochs", "4"]))
    assert (code, errors) == (0, "")
    logs = [(tmp_path / "logs" / f"worker-{i}.log").read_text() for i in range(3)]
    assert out == logs[0]
    found = [json.loads(log) for log in logs]
    assert [task["task"]["index"] for task, _, _ in found] == [0, 1, 2]
    assert len({json.dumps(task["cluster"]) for task, _, _ in found}) == 1
    assert len(set(found[0][0]["cluster"]["worker"])) == 3
    assert [rest for _, *rest in found] == [[["--epochs", "4"], "3"]] * 3


ONE_DIES = """
index = json.loads(os.environ["TF_CONFIG"])["task"]["index"]
open(f"{sys.argv[1]}/{index}", "w").write(str(os.getpid()))
if index == 1:
    time.sleep(0.5)
    print("the reason", flush=True)
    HOW
signal.signal(signal.SIGTERM, signal.SIG_IGN)  # one that waits in a collective operation
time.sleep(100)
"""


@pytest.mark.parametrize(
    ("how", "code", "said"),
    [
        ("sys.exit(7)", 7, "worker 1 ended with exit code 7"),
        ("os.kill(os.getpid(), signal.SIGKILL)", 137, "worker 1 was ended by signal 9"),
    ],
)
def test_one_that_dies_is_named_and_ends_all(tmp_path, how, code, said):
    process = launch(tmp_path, ONE_DIES.replace("HOW", how), passed=[str(tmp_path)])
    found, _, errors = ended(process)
    assert found == code
    assert said in errors
    assert "the reason" in errors
    assert not any(alive(int((tmp_path / str(i)).read_text())) for i in range(2))


TRAINS = """
index = json.loads(os.environ["TF_CONFIG"])["task"]["index"]
def sign(begun, ended):
    open(os.environ["KCNN_PROGRESS"], "w").write(f"{begun} {ended}")
sign(1, 1)
time.sleep(0.3)
if index == 1:
    HOW
sign(2, 1)
while True:
    time.sleep(1)
    os.utime(os.environ["KCNN_PROGRESS"])
"""


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("os.kill(os.getpid(), signal.SIGSTOP)", "gives no sign of life"),
        ("sign(1, 1)", "came no further than step 1"),
    ],
)
def test_one_that_hangs_is_named(tmp_path, how, said):
    if "sign" in how[:4]:
        how += "\n    while True:\n        time.sleep(1); os.utime(os.environ['KCNN_PROGRESS'])"
    code, _, errors = ended(launch(tmp_path, TRAINS.replace("HOW", how), "--hang", "7"))
    assert code == 3
    assert "no step for 7 s; worker 1 (process" in errors
    assert said in errors


def test_ending_the_launcher_ends_the_workers(tmp_path):
    process = launch(tmp_path, ONE_DIES.replace("HOW", "time.sleep(100)"), passed=[str(tmp_path)])
    files = [tmp_path / "0", tmp_path / "1"]
    until = time.monotonic() + 20
    while not all(f.exists() and f.read_text() for f in files) and time.monotonic() < until:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert ended(process)[0] == 143
    assert not any(alive(int(file.read_text())) for file in files)


def test_all_are_started_again_as_often_as_allowed(tmp_path):
    script = "open(sys.argv[1] + '/starts', 'a').write('x'); sys.exit(5)"
    done = launch(tmp_path, script, "--processes", "1", "--restarts", "2", passed=[str(tmp_path)])
    code, _, errors = ended(done)
    assert code == 5
    assert "1 restarts are left" in errors
    assert (tmp_path / "starts").read_text() == "xxx"


def test_a_script_that_is_not_there_is_said(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", RUN, "launch", "nowhere.py"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "No such script (nowhere.py)" in done.stderr
