"""The commands and their options; what they do is imported when they run."""

from __future__ import annotations

from pathlib import Path

import click

from kcnn_cli._errors import Friendly, fail
from kcnn_cli._start import start_tensorflow
from kcnn_cli.doctor import doctor
from kcnn_cli.explain import explain
from kcnn_cli.export import export
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
main.add_command(serve)


@main.command()
@click.option(
    "--data",
    default="digits",
    show_default=True,
    help="digits (embedded), a tensorflow-datasets name, a folder with one sub-folder per "
    "class, or an .npz file with x and y.",
)
@click.option("--out", type=_folder, required=True, help="Folder of the run.")
@click.option("--model", default="resnet20", show_default=True, help="See `kcnn models`.")
@click.option(
    "--norm",
    type=click.Choice(["batch", "group", "instance", "layer", "none"]),
    default="batch",
    show_default=True,
)
@click.option(
    "--budget",
    type=click.Choice(["quick", "standard", "thorough"]),
    default="standard",
    show_default=True,
    help="How much searching and training.",
)
@click.option("--seed", default=0, show_default=True, help="Of weights, split, order and search.")
@click.option("--optimizer", type=click.Choice(["sgd", "adamw"]), default="sgd", show_default=True)
@click.option(
    "--augment",
    type=click.Choice(["auto", "none", "crop", "standard"]),
    default="auto",
    show_default=True,
    help="auto flips only images whose mirror keeps the class.",
)
@click.option(
    "--search", type=click.Choice(["random", "grid"]), default="random", show_default=True
)
@click.option("--batch-size", type=int, help="Default: by the size of the data.")
@click.option("--image-size", type=int, help="Resize to this height and width.")
@click.option("--max-images", type=int, help="Take a stratified subset.")
@click.option(
    "--manual-dir",
    type=_folder,
    envvar="KCNN_MANUAL_DIR",
    help="Hand-downloaded files for tensorflow-datasets (or KCNN_MANUAL_DIR).",
)
@click.option("--data-dir", type=_folder, help="Where tensorflow-datasets keeps its sets.")
@click.option("--keep-going", is_flag=True, help="Go on after a step that failed.")
@click.option("--resume", is_flag=True, help="Go on with an interrupted run.")
@click.option("--overwrite", is_flag=True, help="Replace an earlier run.")
def recipe(out: Path, resume: bool, overwrite: bool, **options) -> None:
    """Take a network through the six steps and export it.

    Initial loss, overfit a small sample, find a learning rate, coarse search, refine, read the
    curves. Leaves result.json, report.html, model.keras and saved_model/1 in the run folder.
    Exit code 0 when the run finished, 1 when a step failed, 2 when it could not run.
    """
    start_tensorflow()
    from kcnn.recipe import RecipeConfig, run_recipe

    record = None
    try:
        record = run_recipe(RecipeConfig(**options), out, resume=resume, overwrite=overwrite)
    except KeyboardInterrupt:
        fail(_what_was_kept(out))
    if record and record["status"] != "finished":
        raise SystemExit(1)


@main.command()
@click.argument("pattern", default="*")
def models(pattern: str) -> None:
    """List the models, all or those that match PATTERN (like "resnet*")."""
    start_tensorflow()
    from kcnn_cli._tables import print_models

    print_models(pattern)


@main.command()
@click.argument("run", type=_folder)
def report(run: Path) -> None:
    """Draw report.html of the run folder RUN again."""
    start_tensorflow()
    from kcnn.report import write_report

    click.echo(write_report(run))


def _what_was_kept(out: Path) -> str:
    import json

    try:
        steps = json.loads((out / "result.json").read_text(encoding="utf-8"))["steps"]
    except (OSError, ValueError, KeyError):
        return "Interrupted before the first step; nothing was written."
    finished = f"steps 1 to {len(steps)} are finished" if steps else "no step was finished"
    return f"Interrupted: {finished} and kept in {out}. Go on with --resume."
