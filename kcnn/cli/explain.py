"""`kcnn explain CAUSE`: what a label of a diagnosis means, and how it is mended."""

import difflib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import click

from kcnn_cli._errors import fail

__all__ = ["explain"]


@click.command()
@click.argument("cause", required=False)
def explain(cause: str | None) -> None:
    """Say what CAUSE means, how it shows, how to make sure and how to mend it.

    Without CAUSE: the list of all of them, in the order in which to look.
    """
    from rich.console import Console
    from rich.markdown import Markdown

    causes = _registry()
    if cause is not None and cause not in causes.CAUSES:
        near = difflib.get_close_matches(cause, causes.CAUSES, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        fail(f"There is no cause {cause!r}.{hint} `kcnn explain` lists all {len(causes.CAUSES)}.")
    text = causes.overview() if cause is None else causes.CAUSES[cause].markdown()
    if sys.stdout.isatty():
        Console().print(Markdown(text))
    else:
        click.echo(text, nl=False)


def _registry() -> ModuleType:
    """`kcnn.callbacks.causes`, read from its files: importing kcnn would import TensorFlow."""
    package = importlib.util.find_spec("kcnn")
    assert package is not None, "kcnn is installed with its command"
    assert package.submodule_search_locations, "kcnn is a package"
    folder = Path(next(iter(package.submodule_search_locations)), "callbacks", "causes")
    spec = importlib.util.spec_from_file_location("kcnn_causes", folder / "__init__.py")
    assert spec is not None, folder
    assert spec.loader is not None, folder
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
