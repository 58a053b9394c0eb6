"""Who trains with whom: read from the environment, and met before TensorFlow connects them."""

import json
import re
import socket
import threading
import time

import pytest
from distribute_tools import ROOT, free_ports

from kcnn.distribute import Cluster, DistributeError, cluster
from kcnn.distribute._cluster import hosts
from kcnn.distribute._meeting import meet


def tf_config(workers, kind, index, **more):
    told = {"cluster": {"worker": workers, **more}, "task": {"type": kind, "index": index}}
    return {"TF_CONFIG": json.dumps(told)}


def test_nothing_said_is_a_process_alone():
    assert cluster({}) == Cluster(("localhost",), 0, "alone")
    assert cluster({}).chief


def test_tf_config_with_a_chief_puts_it_first():
    found = cluster(tf_config(["a:1", "b:2"], "worker", 1, chief=["c:3"]))
    assert found == Cluster(("c:3", "a:1", "b:2"), 2, "TF_CONFIG")
    assert cluster(tf_config(["a:1"], "chief", 0, chief=["c:3"])).chief
    assert cluster({"TF_CONFIG": found.tf_config()}) == found


def test_slurm_tasks_are_placed_as_its_variables_say():
    told = {
        "SLURM_NTASKS": "5",
        "SLURM_PROCID": "3",
        "SLURM_STEP_NODELIST": "n[09-10],login",
        "SLURM_STEP_TASKS_PER_NODE": "2(x2),1",
    }
    found = cluster(told)
    assert found.workers == ("n09:12340", "n09:12341", "n10:12340", "n10:12341", "login:12340")
    assert (found.index, found.source) == (3, "SLURM")


def test_host_lists_are_spelled_out():
    assert hosts("n[08-10,12],a,b[1]") == ["n08", "n09", "n10", "n12", "a", "b1"]


def test_a_jobset_names_its_pods():
    told = {"JOBSET_NAME": "digits", "REPLICATED_JOB_NAME": "workers", "KCNN_PROCESSES": "2"}
    found = cluster({**told, "JOB_COMPLETION_INDEX": "1"})
    assert found.workers == (
        "digits-workers-0-0.digits:12340",
        "digits-workers-0-1.digits:12340",
    )
    assert found.index == 1


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"TF_CONFIG": "{"}, "can't be read"),
        ({"TF_CONFIG": '{"cluster": {}}'}, "can't be read"),
        (tf_config(["a:1"], "worker", 1), "names 1 workers, but this is worker 1"),
        ({**tf_config(["a:1", "b:1"], "worker", 0), "KCNN_PROCESSES": "3"}, "of 3 processes"),
        (tf_config(["a:1"], "ps", 0), "'ps' does not train"),
        ({"JOBSET_NAME": "x"}, "REPLICATED_JOB_NAME"),
        (
            {
                "SLURM_NTASKS": "3",
                "SLURM_PROCID": "0",
                "SLURM_JOB_NODELIST": "n1",
                "SLURM_TASKS_PER_NODE": "2",
            },
            "3 tasks, but 2 places",
        ),
    ],
)
def test_contradictions_are_refused(told, said):
    with pytest.raises(DistributeError, match=said):
        cluster(told)


def meeting(facts, *, ports=None, patience=5.0, indices=None):
    """What each worker hears: a seed, or an error."""
    ports = ports or free_ports(len(facts))
    workers = tuple(f"127.0.0.1:{port}" for port in ports)
    heard = [None] * len(facts)

    def go(place, index):
        try:
            own = Cluster(workers, index)
            heard[place] = meet(own, facts[place], seed=100 + index, patience=patience)
        except DistributeError as error:
            heard[place] = str(error)

    indices = indices or range(len(facts))
    threads = [threading.Thread(target=go, args=pair) for pair in enumerate(indices)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return heard


def test_workers_that_are_alike_take_the_seed_of_the_first():
    assert meeting([{"script": "a"}] * 4) == [100] * 4


def test_another_fact_is_said_on_every_worker():
    heard = meeting([{"script": "a"}, {"script": "a"}, {"script": "b"}])
    assert len(set(heard)) == 1
    assert "worker 2 (127.0.0.1:" in heard[0]
    assert "another script than worker 0: b, not a" in heard[0]


def test_a_missing_worker_is_named_on_all_that_came():
    began = time.monotonic()
    ports = free_ports(3)
    heard = meeting([{}, {}], ports=ports, patience=1.0)
    assert heard[0] == heard[1]
    assert f"worker 2 (127.0.0.1:{ports[2]}) did not come within 1 s" in heard[0]
    assert time.monotonic() - began < 10


def test_a_missing_first_worker_is_named():
    ports = free_ports(2)
    (heard,) = meeting([{}], ports=ports, patience=0.5, indices=[1])
    assert f"worker 0 (127.0.0.1:{ports[0]}) did not answer" in heard


def test_a_port_in_use_is_said_by_its_number():
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        port = taken.getsockname()[1]
        (heard,) = meeting([{}], ports=[port, port + 1])
    assert f"port {port} can't be used" in heard


def test_a_stranger_at_the_port_does_not_disturb():
    ports = free_ports(2)
    knocked = threading.Event()

    def knock():
        until = time.monotonic() + 5
        while not knocked.is_set() and time.monotonic() < until:
            try:
                with socket.create_connection(("127.0.0.1", ports[0])) as stranger:
                    stranger.sendall(b"GET / HTTP/1.1\r\n\r\n")
                knocked.set()
            except OSError:
                time.sleep(0.01)

    thread = threading.Thread(target=knock)
    thread.start()
    workers = tuple(f"127.0.0.1:{port}" for port in ports)
    heard = []
    leader = threading.Thread(
        target=lambda: heard.append(meet(Cluster(workers, 0), {}, seed=1, patience=5))
    )
    leader.start()
    thread.join()
    heard.append(meet(Cluster(workers, 1), {}, seed=2, patience=5))
    leader.join()
    assert knocked.is_set()
    assert heard == [1, 1]


def test_the_manifest_of_kubernetes_sets_what_is_read():
    """Without a YAML reader: names of variables, of the set, of the job, and the port."""
    text = (ROOT / "docs" / "manifests" / "jobset.yaml").read_text()
    names = re.findall(r"- name: ([A-Z_]+)", text)
    values = {"JOBSET_NAME": "digits", "REPLICATED_JOB_NAME": "workers", "KCNN_PROCESSES": "2"}
    assert sorted(names) == sorted(values)
    assert re.search(r"metadata:\n  name: digits\n", text)
    found = cluster({**values, "JOB_COMPLETION_INDEX": "0"})
    (port,) = re.findall(r"containerPort: (\d+)", text)
    (subdomain,) = re.findall(r"subdomain: (\w+)", text)
    assert found.workers[1] == f"digits-workers-0-1.{subdomain}:{port}"
