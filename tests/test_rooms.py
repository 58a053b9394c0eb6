"""The house rule: which room may import which (docs: the picture of the rooms)."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
COMMAND = "kcnn_cli"  # the folder kcnn/cli, installed under this name
SERVER = "kcnn_server"  # kcnn/serving/server, likewise

# What a room may import of kcnn; "" is the package itself. The rooms below may use all above.
ALLOWED = {
    "kcnn.callbacks": set(),
    "kcnn._version": set(),
    "kcnn.initializers": set(),
    "kcnn.layers": {"kcnn.initializers"},
    "kcnn.preprocessing": set(),
    "kcnn.models": {"kcnn.initializers", "kcnn.layers", "kcnn.preprocessing"},
    "kcnn.transfer": {"kcnn.initializers", "kcnn.layers", "kcnn.models"},
    "kcnn.augment": set(),
    "kcnn.data": {"kcnn.augment", "kcnn.preprocessing"},
    "kcnn.distribute": set(),
    "kcnn.report": set(),
    "kcnn.serving": {"kcnn.preprocessing"},
    "kcnn.recipe": None,  # everything but the command
    "kcnn": {
        "kcnn._version",
        "kcnn.augment",
        "kcnn.callbacks",
        "kcnn.initializers",
        "kcnn.layers",
        "kcnn.models",
        "kcnn.preprocessing",
        "kcnn.transfer",
    },
    COMMAND: None,
    SERVER: set(),
}
OUTSIDE = {
    "kcnn.callbacks": {"keras", "numpy", "rich", "matplotlib", "mlflow", "wandb", "tomli"},
    "kcnn.distribute": {"keras", "numpy"},
    "kcnn.initializers": {"keras", "numpy"},
    "kcnn.layers": {"keras", "numpy"},
    "kcnn.models": {"keras", "numpy"},
    "kcnn.transfer": {"keras", "numpy"},
    SERVER: {"fastapi", "numpy", "orjson", "python_multipart", "starlette", "uvicorn", "uvloop"},
}
# Never at module top:
LAZY = {"matplotlib", "mlflow", "wandb", "keras_cv", "optuna", "tensorflow_datasets"}
# What only one backend needs is imported when that backend runs: within functions, or at the
# top of a file named after the backend. Weights may come in a safetensors file.
BACKENDS = {"tensorflow", "jax", "torch"}
ON_DEMAND = {"kcnn.models": {"h5py", "safetensors"}}


def modules():
    """(module name, file) of every module of the package and the command."""
    for file in sorted([*(ROOT / "kcnn").rglob("*.py"), *(ROOT / "callbacks").rglob("*.py")]):
        parts = file.relative_to(ROOT).with_suffix("").parts
        if parts[:2] == ("kcnn", "callbacks"):
            continue  # a link to callbacks/
        if parts[0] == "callbacks":
            parts = ("kcnn", *parts)
        elif parts[:2] == ("kcnn", "cli"):
            parts = (COMMAND, *parts[2:])
        elif parts[:3] == ("kcnn", "serving", "server"):
            parts = (SERVER, *parts[3:])
        name = ".".join(parts)
        yield name.removesuffix(".__init__"), file


def imports(name, file):
    """(imported module, whether at the top of the module) for every import statement.

    `from kcnn import layers` counts as kcnn.layers. Imports for type checkers do not count.
    """
    tree = ast.parse(file.read_text())
    skipped = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    within = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        for inner in ast.walk(node)
    }
    package = name if file.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        top = id(node) not in within
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, top
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parents, *([base] if base else [])])
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                yield (inner if room(inner) != room(base) else base), top


def room(module):
    """The room that a module of ours is in, or None for other packages."""
    parts = module.split(".")
    if parts[0] not in ("kcnn", COMMAND, SERVER):
        return None
    if parts[0] == SERVER or parts[:3] == ["kcnn", "serving", "server"]:
        return SERVER
    if parts[0] == COMMAND or parts[:2] in (["kcnn", "cli"], ["kcnn", "__main__"]):
        return COMMAND
    two = ".".join(parts[:2])
    return two if two in ALLOWED else "kcnn"


FILES = list(modules())


@pytest.mark.parametrize(("name", "file"), FILES, ids=[name for name, _ in FILES])
def test_no_arrow_goes_against_the_rule(name, file):
    here = room(name)
    for imported, _ in imports(name, file):
        there = room(imported)
        if there is None or there == here:
            continue
        allowed = ALLOWED[here]
        if allowed is None:
            assert here == COMMAND or there != COMMAND, f"{name} imports {imported}"
        else:
            assert there in allowed, f"{name} imports {imported}"


@pytest.mark.parametrize(("name", "file"), FILES, ids=[name for name, _ in FILES])
def test_rooms_import_only_the_packages_they_may(name, file):
    allowed = OUTSIDE.get(room(name))
    for imported, top in imports(name, file):
        package = imported.split(".")[0]
        if room(imported) is not None or package in sys.stdlib_module_names:
            continue
        if room(name) in OUTSIDE:
            assert not (top and package in LAZY), f"{name} imports {package} at its top"
        if allowed is not None and package not in allowed:
            known = BACKENDS | ON_DEMAND.get(room(name), set())
            assert package in known, f"{name} imports {package}"
            assert package in file.stem or not top, f"{name} imports {package} at its top"


def test_the_command_needs_no_keras_before_its_arguments_are_read():
    for name, file in FILES:
        if room(name) != COMMAND or "__main__" in name:
            continue
        top = {imported.split(".")[0] for imported, at_top in imports(name, file) if at_top}
        assert not top & {"kcnn", SERVER, "keras", "tensorflow", "keras_cv", "optuna"}, name


def test_the_reader_of_imports_sees_every_form(tmp_path):
    file = tmp_path / "__init__.py"
    file.write_text(
        "import os, kcnn.layers\n"
        "from kcnn import models\n"
        "from . import _feed\n"
        "from ..layers import norm\n"
        "def f():\n    import matplotlib.pyplot\n"
        "if TYPE_CHECKING:\n    import torch\n"
    )
    found = list(imports("kcnn.callbacks", file))
    assert ("kcnn.models", True) in found
    assert ("kcnn.layers", True) in found
    assert ("kcnn.callbacks", True) in found
    assert ("matplotlib.pyplot", False) in found
    assert [room(module) for module, _ in found].count("kcnn.layers") == 2
    assert not any(module == "torch" for module, _ in found)


def test_callbacks_live_under_one_name_only():
    sys.modules.pop("callbacks", None)
    sys.path.insert(0, str(ROOT))
    try:
        with pytest.raises(ImportError, match=r"kcnn\.callbacks"):
            __import__("callbacks")
    finally:
        sys.path.remove(str(ROOT))


def test_callbacks_work_without_the_rest_of_kcnn():
    """Under a stub parent package, in a fresh process."""
    import subprocess

    code = (
        "import sys, types, importlib.util as u\n"
        "stub = types.ModuleType('kcnn'); stub.__path__ = []; sys.modules['kcnn'] = stub\n"
        f"spec = u.spec_from_file_location('kcnn.callbacks', r'{ROOT / 'callbacks/__init__.py'}',"
        f" submodule_search_locations=[r'{ROOT / 'callbacks'}'])\n"
        "module = u.module_from_spec(spec); sys.modules['kcnn.callbacks'] = module\n"
        "spec.loader.exec_module(module)\n"
        "print(module.read_curves({'loss': [2.0, 1.0]}).verdict)\n"
        "assert not {'keras_cv', 'optuna', 'tensorflow_datasets'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "healthy"
