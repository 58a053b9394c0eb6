"""A search shared through a real PostgreSQL server: `make test-postgres` installs one."""

import contextlib
import glob
import os
import shutil
import socket
import subprocess

import pytest
from recipe_workers import phase, run_phase, scored, share_and_die

from kcnn.recipe import RecipeError
from kcnn.recipe.shared_search import open_storage, storage_errors

pytest.importorskip("psycopg2", reason="no psycopg2: pip install kcnn[postgres]")
BINARIES = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
pytestmark = pytest.mark.skipif(
    not BINARIES, reason="no PostgreSQL server: `make test-postgres` installs Debian's"
)


def as_user(command):
    """The server refuses to run as root; Debian's package brings a user for it."""
    return ["runuser", "-u", "postgres", "--", *command] if os.geteuid() == 0 else command


class Server:
    """A server of its own in a folder, on a free port."""

    def __init__(self, folder):
        self.folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"postgresql+psycopg2://postgres@127.0.0.1:{self.port}/postgres"

    def control(self, *arguments):
        command = [f"{BINARIES[-1]}/pg_ctl", "-D", self.folder, "-w", *arguments]
        subprocess.run(as_user(command), check=True, stdout=subprocess.DEVNULL, cwd="/", timeout=60)

    def start(self):
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -k {self.folder}"
        self.control("-o", options, "-l", f"{self.folder}/log", "start")


@pytest.fixture(scope="module")
def server():
    import tempfile

    folder = tempfile.mkdtemp(prefix="kcnn-postgres-")
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
    initdb = [f"{BINARIES[-1]}/initdb", "-D", folder, "-U", "postgres", "-A", "trust"]
    subprocess.run(as_user(initdb), check=True, stdout=subprocess.DEVNULL, cwd="/", timeout=120)
    found = Server(folder)
    found.start()
    yield found
    with contextlib.suppress(subprocess.CalledProcessError):
        found.control("-m", "immediate", "stop")
    shutil.rmtree(folder, ignore_errors=True)


def test_three_processes_share_a_server_and_one_of_them_dies(server, tmp_path):
    open_storage(server.url, None)  # makes the tables
    share_and_die(server.url, tmp_path / "log")


def test_a_server_that_goes_away_is_a_line_and_nothing_is_lost(server):
    storage = open_storage(server.url, None)
    seen = []

    def train(place, values, report):
        seen.append(place)
        if place == 2:
            server.control("-m", "immediate", "stop")
        return scored(place, values, report)

    given = phase(storage, name="gone", trials=4)
    with (
        pytest.raises(RecipeError, match=r"storage .* can't be used.*--resume"),
        storage_errors(server.url),
    ):
        run_phase(given, train)
    server.start()
    rows = run_phase(
        phase(open_storage(server.url, None), name="gone", trials=4), train_again(seen)
    )
    assert [row["number"] for row in rows] == [0, 1, 2, 3]
    assert seen == [0, 1, 2, 2, 3]


def train_again(seen):
    def train(place, values, report):
        seen.append(place)
        return scored(place, values, report)

    return train
