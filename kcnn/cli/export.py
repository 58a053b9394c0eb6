"""`kcnn export`: a run or a `.keras` file as a folder that a server takes."""

import json
import shlex
import sys
from pathlib import Path

import click

from kcnn_cli._start import start_tensorflow

__all__ = ["export"]

_folder = click.Path(path_type=Path, file_okay=False)
_file = click.Path(path_type=Path, dir_okay=False, exists=True)
FORMATS = ("saved_model", "onnx", "litert", "litert_dynamic", "litert_float16", "openvino")


@click.command()
@click.argument("source", metavar="RUN_OR_MODEL.keras", type=click.Path(path_type=Path))
@click.option("--out", type=_folder, required=True, help="Folder of the models that are served.")
@click.option("--name", help="Name of the model. Default: that of the run or file.")
@click.option(
    "--format",
    "formats",
    type=click.Choice(FORMATS),
    multiple=True,
    default=("saved_model",),
    show_default=True,
    help="May be given several times; all but saved_model need pip install kcnn[export].",
)
@click.option("--class-names", type=_file, help="One name a line. Default: those of the run.")
@click.option("--version", type=click.IntRange(min=1), help="Default: the next free number.")
@click.option("--multi-label/--one-label", default=None, help="Default: read off the model.")
@click.option("--from-logits/--from-probabilities", default=None, help="Default: likewise.")
def export(
    source: Path,
    out: Path,
    name: str | None,
    formats: tuple[str, ...],
    class_names: Path | None,
    version: int | None,
    multi_label: bool | None,
    from_logits: bool | None,
) -> None:
    """Write OUT/NAME/VERSION with the model, its preprocessing, class names and a card.

    RUN_OR_MODEL.keras is a folder of `kcnn recipe` or a `.keras` file, which is read in Keras's
    safe mode. TensorFlow Serving and `kcnn serve` take the folder as it is.
    """
    if not source.exists():
        raise FileNotFoundError(2, "No such run folder or .keras file", str(source))
    if name is not None and Path(name).name != name:
        raise ValueError(f"--name {name!r} is no single name; give the folder with --out.")
    names = None if class_names is None else class_names.read_text(encoding="utf-8").splitlines()
    start_tensorflow()
    import kcnn.serving

    found = kcnn.serving.read_source(source)
    written = kcnn.serving.export(
        found.model,
        out / (name or found.name),
        class_names=names or found.class_names,
        version=version,
        formats=formats,
        from_logits=from_logits,
        multi_label=multi_label,
        images=found.images,
        facts={**found.facts, "command": shlex.join(["kcnn", *sys.argv[1:]])},
    )
    _say(written)


def _say(folder: Path) -> None:
    """Where it went, and how each file compares with Keras."""
    card = json.loads((folder / "assets" / "card.json").read_text(encoding="utf-8"))
    for name, entry in card["formats"].items():
        done = entry["check"]
        click.echo(
            f"{name:<15} {entry['file']:<21} differs by {done['largest_difference']:.1g} at most, "
            f"same class in {done['top_class_agreement']:.0%} of {done['pictures']} pictures"
        )
    click.echo(folder)
