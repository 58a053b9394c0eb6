"""Installs the wheel where its requirements are the oldest allowed, and the newest; tries it there.

    make release-check
    python tests/release_check.py [--pythons 3.10 3.13] [--ends oldest] [--backends jax]
    python tests/release_check.py --table    # what the result file holds, as Markdown

Builds the sdist and from it the wheel, then for each Python found and each end of the allowed
versions: a new environment (made by uv, which can take the oldest versions), the wheel, and in it
the command, `import kcnn` and the tests of `SMOKE`, from a folder without the checkout; with the
newest also the layers on the other backends, which are installed for it. Each row replaces its
predecessor in benchmarks/results/release.json. Ends with 1 unless all of it passed. Needs uv and
the package index; an environment takes 2 GB while it stands, 6 with PyTorch.
"""

import argparse
import email.parser
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from operator import itemgetter

ROOT = pathlib.Path(__file__).parent.parent
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
ENDS = {"oldest": "lowest-direct", "newest": "highest"}
SMOKE = (
    "test_initializers.py",
    "test_layers_norm.py",
    "test_layers_norm_factory.py",
    "test_callbacks_finding.py",
    "test_callbacks_initial_loss.py",
    "test_data_arrays.py",
    "test_models_registry.py",
    "test_preprocessing_layer.py",
)
RESULT = ROOT / "benchmarks" / "results" / "release.json"
BACKENDS = ("jax", "torch")
PYTEST = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir=.")
# Of these no version is built from source: an old one would ask for an old compiler.
BINARY = ("numpy", "pillow", "matplotlib", "tensorflow", "h5py", "ml-dtypes", "contourpy", "scipy")
TOLD = ("tensorflow", "keras", "numpy", "keras-cv", "tensorflow-datasets", "optuna", "matplotlib")
VERSIONS = """
import importlib.metadata, json, sys
print(json.dumps({name: importlib.metadata.version(name) for name in sys.argv[1:]}))
"""
COMMAND = "import keras, kcnn; m = kcnn.create_model('resnet20', 3); print(m.count_params())"


def run(*command, cwd=None, seconds=1800):
    """Output of a command that has to succeed."""
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    if done.returncode:
        tail = (done.stdout + done.stderr)[-2000:]
        raise RuntimeError(f"{' '.join(map(str, command[:4]))} ... ended {done.returncode}\n{tail}")
    return done.stdout


def build(folder):
    """The wheel, built from the sdist, which is built from what git knows."""
    source = folder / "source"
    run("git", "-C", ROOT, "checkout-index", "--all", f"--prefix={source}/")
    run("uv", "build", "--python", sys.executable, "--out-dir", folder, source)
    (sdist,) = folder.glob("*.tar.gz")
    (wheel,) = folder.glob("*.whl")
    print(f"{sdist.name} {sdist.stat().st_size // 1024} KB", end="  ")
    print(f"{wheel.name} {wheel.stat().st_size // 1024} KB", flush=True)
    return wheel


def requirements(wheel):
    """What it needs without extras; named directly, since only of those uv takes the oldest."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        metadata = email.parser.Parser().parsestr(archive.read(name).decode())
    return [need for need in metadata.get_all("Requires-Dist") if "extra ==" not in need]


def python_of(version):
    """The interpreter of that version, or None."""
    for name in (
        f"python{version}",
        *sorted(pathlib.Path.home().glob(f".pyenv/versions/{version}.*")),
    ):
        path = name / "bin" / "python" if isinstance(name, pathlib.Path) else shutil.which(name)
        if path and not subprocess.run([path, "-c", ""], capture_output=True).returncode:
            return path
    return None


def summary(told):
    """pytest's last line, without the time."""
    return told.strip().splitlines()[-1].split(" in ")[0]


def check(wheel, tests, version, end, backends, folder):
    """One row of the table."""
    row, begun = {"python": version, "end": end}, time.monotonic()
    interpreter = python_of(version)
    if interpreter is None:
        return {**row, "result": "no such Python here"}
    home, needs = folder / f"{version}-{end}", folder / "requirements.txt"
    try:
        run("uv", "venv", "--quiet", "--python", interpreter, home)
        python = home / "bin" / "python"
        only = [part for name in BINARY for part in ("--only-binary", name)]
        install = ("uv", "pip", "install", "--quiet", "--python", python)
        needs.write_text("\n".join(requirements(wheel)), encoding="utf-8")
        run(*install, "--resolution", ENDS[end], *only, "-r", needs)
        run(*install, "--no-deps", wheel)
        row |= json.loads(run(python, "-c", VERSIONS, *TOLD))
        row["distributions"] = (
            len(run("uv", "pip", "list", "-q", "--python", python).splitlines()) - 2
        )
        site = next((home / "lib").glob("python*/site-packages"))
        row["MB"] = int(run("du", "-sm", site).split()[0])
        run(home / "bin" / "kcnn", "--help")
        run(python, "-m", "kcnn", "--version")
        assert run(python, "-c", COMMAND, cwd=tests).strip().isdigit()
        run(*install, "pytest")
        row["result"] = summary(run(python, *PYTEST, "-m", "not slow", *SMOKE, cwd=tests))
        for backend in backends if end == "newest" else ():
            run(*install, backend)
            told = run(python, *PYTEST, "-k", backend, "test_layers_backends.py", cwd=tests)
            row[backend] = summary(told)
    except (RuntimeError, AssertionError, subprocess.TimeoutExpired) as error:
        row["result"] = f"FAILED {str(error).strip().splitlines()[-1]}"
        print(error, flush=True)
    finally:
        shutil.rmtree(home, ignore_errors=True)
    return {**row, "minutes": round((time.monotonic() - begun) / 60, 1)}


def table(rows):
    """The table, as Markdown."""
    names = ["python", "end", *TOLD, "distributions", "MB", "result", *BACKENDS]
    lines = [names, ["---"] * len(names)]
    lines += [[str(row.get(n, "")).split("\n")[0] for n in names] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def keep(row):
    """Put a row into the results, in the place of its predecessor; all of them, in order."""
    key = itemgetter("python", "end")
    known = json.loads(RESULT.read_text()) if RESULT.exists() else []
    rows = [*(old for old in known if key(old) != key(row)), row]
    rows.sort(key=lambda r: (PYTHONS.index(r["python"]), list(ENDS).index(r["end"])))
    RESULT.write_text("[\n" + ",\n".join(map(json.dumps, rows)) + "\n]\n", encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pythons", nargs="+", default=PYTHONS, choices=PYTHONS)
    parser.add_argument("--ends", nargs="+", default=list(ENDS), choices=ENDS)
    parser.add_argument("--backends", nargs="*", default=BACKENDS, choices=BACKENDS)
    parser.add_argument("--table", action="store_true", help="print what was found before")
    args = parser.parse_args()
    if args.table:
        print(table(json.loads(RESULT.read_text(encoding="utf-8"))))
        return
    if shutil.which("uv") is None:
        sys.exit("release-check needs uv: pip install uv")
    with tempfile.TemporaryDirectory(prefix="kcnn-release-") as place:
        folder = pathlib.Path(place)
        wheel, tests = build(folder), folder / "tests"
        shutil.copytree(ROOT / "tests", tests, ignore=shutil.ignore_patterns("__pycache__"))
        rows = []
        for version in args.pythons:
            for end in args.ends:
                rows.append(check(wheel, tests, version, end, args.backends, folder))
                keep(rows[-1])
                print(rows[-1], flush=True)
    print(f"\n{table(rows)}")
    sys.exit(any("FAILED" in row["result"] for row in rows))


if __name__ == "__main__":
    main()
