"""What gets installed is what is tracked: all of it, under the right names, and nothing else."""

import configparser
import os
import re
import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = {
    "kcnn/cli/": "kcnn_cli/",
    "kcnn/serving/server/": "kcnn_server/",
    "callbacks/": "kcnn/callbacks/",
    "kcnn/": "kcnn/",
}

BUILD = "import sys; from setuptools import build_meta; print(build_meta.build_wheel(sys.argv[1]))"


def git(*arguments, text=True):
    # Whoever owns the checkout: a CI's user may be another one.
    command = ["git", "-c", "safe.directory=*", "-C", str(ROOT), *arguments]
    return subprocess.run(command, capture_output=True, text=text, check=False)


def tracked():
    """Installed name and tracked path of every file of the packages."""
    names = {}
    for path in git("ls-files", "-z").stdout.split("\0"):
        folder = next((f for f in FOLDERS if path.startswith(f)), None)
        if folder and path != "kcnn/callbacks":  # the link
            names[FOLDERS[folder] + path.removeprefix(folder)] = path
    return names


def build(folder, *, links=True):
    """A wheel of the tracked files from a clean copy; `links=False`: no symlinks there."""
    pytest.importorskip("setuptools", minversion="70.1")  # it builds wheels by itself from here on
    if git("rev-parse", "--is-inside-work-tree").returncode:
        pytest.skip("no git checkout: what is tracked is unknown")
    source = folder / "source"
    options = [] if links else ["-c", "core.symlinks=false"]
    git(*options, "checkout-index", "--all", f"--prefix={source}/")
    assert (source / "kcnn" / "callbacks").is_symlink() == links
    made = subprocess.run(
        [sys.executable, "-c", BUILD, str(folder)],
        cwd=source,
        env={**os.environ, "PYTHONPATH": ""},
        capture_output=True,
        text=True,
    )
    assert made.returncode == 0, made.stderr[-3000:]
    return folder / made.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return build(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel):
    """The wheel's files in a folder of their own."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(wheel.parent / "site")
    return wheel.parent / "site"


def contents(wheel):
    with zipfile.ZipFile(wheel) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    return {name: data for name, data in files.items() if ".dist-info/" not in name}


def staged(path):
    return git("show", f":{path}").stdout


def test_the_wheel_holds_every_tracked_file_of_the_packages_and_no_other(wheel):
    assert sorted(contents(wheel)) == sorted(tracked())


def test_the_files_arrive_unchanged(wheel):
    inside = contents(wheel)
    for name, path in tracked().items():
        blob = git("show", f":{path}", text=False)
        assert inside[name] == blob.stdout, name


def test_a_system_without_links_builds_the_same_wheel(wheel, tmp_path):
    assert contents(build(tmp_path, links=False)) == contents(wheel)


def metadata(installed):
    (info,) = installed.glob("*.dist-info")
    return info, Parser().parsestr((info / "METADATA").read_text(encoding="utf-8"))


def test_the_versions_agree(installed):
    _, data = metadata(installed)
    module = re.search(r'__version__ = "(.+)"', staged("kcnn/_version.py")).group(1)
    newest = re.search(r"^## (\S+)", staged("CHANGELOG.md"), flags=re.M).group(1)
    assert data["Version"] == module == newest


def test_the_metadata_name_licence_pythons_and_command(installed):
    info, data = metadata(installed)
    assert next(info.rglob("LICENSE")).read_text(encoding="utf-8") == staged("LICENSE")
    assert data["License"] == "Apache-2.0" or data["License-Expression"] == "Apache-2.0"
    low, high = re.fullmatch(r"<3\.(\d+),>=3\.(\d+)", data["Requires-Python"]).group(2, 1)
    pythons = {c.rsplit(" ", 1)[1] for c in data.get_all("Classifier") if "Python :: 3." in c}
    assert pythons == {f"3.{minor}" for minor in range(int(low), int(high))}
    commands = configparser.ConfigParser()
    commands.read(info / "entry_points.txt")
    assert dict(commands["console_scripts"]) == {"kcnn": "kcnn_cli:main"}
    assert len(data.get_payload()) > 200  # the README


def python(code, *arguments, path, cwd):
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(path)},
        capture_output=True,
        text=True,
    )


def test_the_installed_package_works_away_from_the_checkout(installed, tmp_path):
    code = (
        "import kcnn, kcnn.callbacks, kcnn.report, kcnn.serving, kcnn_cli;"
        "print(kcnn.__file__, kcnn.callbacks.__file__, kcnn_cli.__file__, sep='\\n');"
        "print(kcnn.callbacks.Finding.__module__)"
    )
    done = python(code, path=installed, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    *files, module = done.stdout.splitlines()
    assert [Path(file).relative_to(installed).as_posix() for file in files] == [
        "kcnn/__init__.py",
        "kcnn/callbacks/__init__.py",
        "kcnn_cli/__init__.py",
    ]
    assert module.startswith("kcnn.callbacks")


@pytest.mark.parametrize(
    ("statement", "advice"),
    [
        ("import callbacks", "import kcnn.callbacks"),
        ("import callbacks.plots", "import kcnn.callbacks"),
        ("import sys; sys.path.insert(0, 'kcnn'); import cli", "kcnn_cli"),
        ("import sys; sys.path.insert(0, 'kcnn/serving'); import server", "kcnn_server"),
    ],
)
def test_a_folder_refuses_a_second_name_for_its_classes(statement, advice):
    done = python(statement, path="", cwd=ROOT)
    assert done.returncode == 1
    assert re.search(rf"ImportError: .*{re.escape(advice)}", done.stderr)


RUN = """
import sys
from kcnn_cli import main
try:
    main(sys.argv[1:])
except SystemExit as end:
    code = end.code
heavy = {"keras", "tensorflow", "numpy", "matplotlib", "optuna", "kcnn"} & set(sys.modules)
print("heavy:", sorted(heavy), "code:", code)
"""


@pytest.mark.parametrize(
    ("arguments", "said", "code"),
    [
        (["--help"], "Usage: ", 0),
        (["recipe", "--help"], "--data", 0),
        (["recpie"], "recipe", 2),
        (["recipe", "--norm", "nrom", "--out", "x"], "nrom", 2),
        (["recipe"], "--out", 2),
        (["serve", "--help"], "--max-queue", 0),
        (["serve", "nowhere", "--label", "stable"], "LABEL=VERSION", 2),
    ],
)
def test_the_command_answers_before_anything_heavy_is_imported(
    installed, tmp_path, arguments, said, code
):
    done = python(RUN, *arguments, path=installed, cwd=tmp_path)
    assert done.stdout.splitlines()[-1] == f"heavy: [] code: {code}", done.stderr
    assert said in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_the_command_tells_the_version(installed, tmp_path):
    done = python(RUN, "--version", path=installed, cwd=tmp_path)
    assert metadata(installed)[1]["Version"] in done.stdout


IMPORTED = """
import sys
import keras
before = set(sys.modules)
import kcnn
new = {name.partition(".")[0] for name in set(sys.modules) - before}
print(sorted(new - {"kcnn"} - set(sys.stdlib_module_names)))
print("kcnn.callbacks" in sys.modules, kcnn.callbacks.LRFinder.__name__, "augment" in dir(kcnn))
"""


def test_the_package_imports_nothing_beyond_keras_and_the_standard_library(installed, tmp_path):
    done = python(IMPORTED, path=installed, cwd=tmp_path)
    assert done.stdout.splitlines() == ["[]", "False LRFinder True"], done.stderr[-3000:]


MODULE = """
import runpy, sys
sys.argv = ["-m", *sys.argv[1:]]  # as `python -m kcnn` has it while it looks for the package
sys.orig_argv = ["python", "-m", "kcnn"]
try:
    runpy.run_module("kcnn", run_name="__main__", alter_sys=True)
except SystemExit as end:
    code = end.code
heavy = {"keras", "tensorflow", "numpy"} & set(sys.modules)
sys.argv = ["whatever"]
import kcnn
print(sorted(heavy), code, callable(kcnn.create_model))
"""


def test_the_module_is_the_command_and_as_light(installed, tmp_path):
    done = python(MODULE, "--help", path=installed, cwd=tmp_path)
    assert "Usage: " in done.stdout, done.stderr[-3000:]
    assert done.stdout.splitlines()[-1] == "[] 0 True", done.stderr[-3000:]
