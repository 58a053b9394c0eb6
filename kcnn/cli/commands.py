"""The commands and their options; what they do is imported when they run."""

from pathlib import Path

import click

from kcnn_cli._errors import Friendly
from kcnn_cli._start import start_tensorflow
from kcnn_cli.doctor import doctor
from kcnn_cli.explain import explain
from kcnn_cli.export import export
from kcnn_cli.launch import launch
from kcnn_cli.recipe import recipe
from kcnn_cli.serve import serve

__all__ = ["main"]

_folder = click.Path(path_type=Path, file_okay=False)


@click.group(cls=Friendly, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="kcnn")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def main(debug: bool) -> None:
    """Train convolutional networks and find out why one does not train."""


main.add_command(doctor)
main.add_command(explain)
main.add_command(export)
main.add_command(launch)
main.add_command(recipe)
main.add_command(serve)


@main.command()
@click.argument("pattern", default="*")
def models(pattern: str) -> None:
    """List the models, all or those that match PATTERN (like "resnet*")."""
    start_tensorflow()
    from rich.console import Console
    from rich.table import Table

    from kcnn.models import list_models, model_info

    names = list_models(pattern)
    if not names:
        raise ValueError(f"No model matches {pattern!r}; `kcnn models` lists all of them.")
    table = Table(box=None, header_style="bold")
    for column in ("model", "parameters", "multiply-adds", "input", "weights, top-1"):
        table.add_column(column, justify="left" if column == "model" else "right")
    table.add_column("source", no_wrap=False)
    for name in names:
        info = model_info(name)
        table.add_row(
            name,
            f"{info.parameters:,}",
            f"{info.multiply_adds / 1e6:,.0f} M",
            "x".join(str(n) for n in info.input),
            ", ".join(f"{card.name} {card.top_1 or 0:.1%}" for card in info.pretrained),
            info.source,
        )
    Console(highlight=False).print(table)


@main.command()
@click.argument("run", type=_folder)
def report(run: Path) -> None:
    """Draw report.html of the run folder RUN again."""
    start_tensorflow()
    from kcnn.recipe import write_report

    click.echo(write_report(run))
