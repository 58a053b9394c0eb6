"""`kcnn recipe`: a network through the six steps."""

import errno
import shlex
import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from kcnn_cli._errors import describe, fail
from kcnn_cli._interrupts import interrupts, what_was_kept
from kcnn_cli._start import start_tensorflow

__all__ = ["recipe"]

THIS_TIME = {"resume", "overwrite", "keep_going"}  # not of the run itself
LEADERS = THIS_TIME | {"processes", "worker", "log_json"}
# The disk, or the share of it that one may use; None is what the export says itself.
FULL = (errno.ENOSPC, errno.EDQUOT, None)

_folder = click.Path(path_type=Path, file_okay=False)
_file = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.option(
    "--data",
    default="digits",
    show_default=True,
    help="digits (embedded), a tensorflow-datasets name, a folder with one sub-folder per "
    "class, or an .npz file with x and y.",
)
@click.option("--out", type=_folder, help="Folder of the run.")
@click.option(
    "--pretrained",
    help="A backbone with weights, on which a new head is trained: a name of `kcnn models`, "
    "keras.applications.NAME, a .keras file, or a file of weights for --model.",
)
@click.option(
    "--model",
    help="A name of `kcnn models`, keras.applications.NAME, or FILE.py:FUNCTION that makes a "
    "model from hp.  [default: resnet20, or a smaller one that fits --time]",
)
@click.option(
    "--norm",
    type=click.Choice(["batch", "group", "instance", "layer", "none"]),
    help="Of a model of `kcnn models`.  [default: batch]",
)
@click.option(
    "--budget",
    type=click.Choice(["quick", "standard", "thorough"]),
    default="standard",
    show_default=True,
    help="How much searching and training.",
)
@click.option("--time", help="Wall time for all of it instead, like 20m or 8h.")
@click.option("--space", help="What the search varies: FILE.toml or FILE.py:NAME.")
@click.option("--show-space", is_flag=True, help="Print the search's space as TOML and end.")
@click.option("--seed", default=0, show_default=True, help="Of weights, split, order and search.")
@click.option(
    "--optimizer", default="sgd", show_default=True, help="sgd, adamw or any other of Keras."
)
@click.option(
    "--augment",
    type=click.Choice(["auto", "none", "light", "crop", "standard", "strong", "mixup", "cutmix"]),
    default="auto",
    show_default=True,
    help="auto flips only images whose mirror keeps the class; mixup and cutmix mix labels too.",
)
@click.option(
    "--search", type=click.Choice(["random", "grid", "tpe"]), default="random", show_default=True
)
@click.option(
    "--pruner", type=click.Choice(["median", "asha", "none"]), default="median", show_default=True
)
@click.option("--storage", help="Optuna storage URL, or journal file, that workers share.")
@click.option(
    "--processes",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="How many processes of this machine share the search, each with a GPU of its own.",
)
@click.option("--worker", is_flag=True, help="Join the search of a run: of --out or --storage.")
@click.option("--batch-size", type=int, help="Default: by the size of the data.")
@click.option(
    "--flip/--no-flip",
    default=None,
    help="Whether a mirrored image keeps its class.  [default: as known of the data, or guessed]",
)
@click.option("--image-size", type=int, help="Resize to this height and width.")
@click.option("--max-images", type=int, help="Take a stratified subset.")
@click.option(
    "--manual-dir",
    type=_folder,
    envvar="KCNN_MANUAL_DIR",
    help="Hand-downloaded files for tensorflow-datasets (or KCNN_MANUAL_DIR).",
)
@click.option("--data-dir", type=_folder, help="Where tensorflow-datasets keeps its sets.")
@click.option(
    "--precision",
    type=click.Choice(["float32", "mixed_bfloat16", "mixed_float16"]),
    default="float32",
    show_default=True,
)
@click.option(
    "--strategy",
    help="mirrored for all GPUs, mirrored:GPU:0,GPU:1 for these, or one device such as GPU:1.",
)
@click.option(
    "--jit",
    type=click.Choice(["auto", "on", "off"]),
    default="auto",
    show_default=True,
    help="Whether XLA compiles the training step.",
)
@click.option("--deterministic", is_flag=True, help="The same weights, bit by bit, every time.")
@click.option("--log-json", type=_file, help="Add every event to this file, one JSON a line.")
@click.option("--keep-going", is_flag=True, help="Go on after a step that failed.")
@click.option("--resume", is_flag=True, help="Go on with an interrupted run.")
@click.option("--overwrite", is_flag=True, help="Replace an earlier run.")
def recipe(out: Path | None, show_space: bool, worker: bool, **options: Any) -> None:
    """Take a network through the six steps and export it.

    Initial loss, overfit a small sample, find a learning rate, search, refine, read the
    curves. Leaves result.json, report.html, model.keras and saved_model/1 in the run folder.
    Exit code 0 when the run finished, 1 when a step failed, 2 when it could not run.
    """
    if out is None and not show_space and not (worker and options["storage"]):
        raise click.UsageError("Missing option '--out'.")
    if options["processes"] > 1 and options["strategy"]:
        raise click.UsageError("--processes gives each a device; it goes without --strategy.")
    start_tensorflow()
    with interrupts():
        try:
            finished = _run(out, show_space, worker, options)
        except KeyboardInterrupt:
            fail(what_was_kept(out))
        except OSError as error:
            if error.errno not in FULL or out is None or not (out / "result.json").exists():
                raise
            said = describe(error)
            fail(f"{said} What was finished is kept in {out}: make room, go on with --resume.")
    if not finished:
        raise SystemExit(1)


def _run(out: Path | None, show_space: bool, worker: bool, options: dict[str, Any]) -> bool:
    from kcnn.data import load
    from kcnn.recipe import BUDGETS, Display, Settings, run
    from kcnn.recipe.folder import RunFolder, network_of
    from kcnn.recipe.settings import seconds_of
    from kcnn_cli._backbone import backbone_of, preprocessing_of
    from kcnn_cli._builder import Source, fitting, source_of, space_of

    take = options.pop
    resume, overwrite = take("resume"), take("overwrite")
    model, norm, data, log_json = take("model"), take("norm"), take("data"), take("log_json")
    pretrained, processes = take("pretrained"), take("processes")
    given_space = space_of(take("space"))
    reading = {k: take(k) for k in ("flip", "image_size", "max_images", "manual_dir", "data_dir")}
    Settings(**options)
    if out is not None and not show_space and not worker:
        with RunFolder(out, resume=resume, overwrite=overwrite):
            pass  # a folder that can't be had is said before the data are read
    preprocessing, backbone = None, None
    if pretrained is not None:
        backbone = backbone_of(pretrained, model, reading.pop("image_size"))
        preprocessing = preprocessing_of(backbone)
    dataset = load(data, seed=options["seed"], preprocessing=preprocessing, **reading)
    if backbone is not None:
        views = "features of the frozen backbone are computed once per image and view"
        told = f"{pretrained}, with a new head"
        source = Source(None, told, chosen=(views,), backbone=backbone)
    else:
        said: tuple[str, ...] = ()
        if model is None and out is not None and (resume or worker):
            model = network_of(out)
        if model is None:
            model, said = fitting(dataset, seconds_of(options["time"]))
        source = source_of(model, dataset, norm=norm, widths=BUDGETS[options["budget"]].widths)
        source = replace(source, chosen=(*said, *source.chosen))
    space = {**source.space, **given_space}
    common = {"space": space, "source": source.name, "backbone": source.backbone, **options}
    if show_space:
        from kcnn.recipe.context import Context

        asked = Settings(**options)
        ready = Context(source.build, dataset, asked, Path(), space=space, backbone=source.backbone)
        click.echo(ready.space.to_toml(), nl=False)
        return True
    if worker:
        from kcnn.recipe.worker import work

        work(source.build, dataset, out=out, display=Display(log_json=log_json), **common)
        return True
    assert out is not None
    with _display(out, processes, log_json) as display:
        record = run(
            source.build,
            dataset,
            out=out,
            resume=resume,
            overwrite=overwrite,
            display=display,
            chosen=source.chosen,
            command=f"kcnn recipe {shlex.join(_words(THIS_TIME))}",
            **common,
        )
    return record["status"] == "finished"


def _display(out: Path, processes: int, log_json: Path | None) -> AbstractContextManager[Any]:
    from kcnn.recipe import Display

    if processes == 1:
        return nullcontext(Display(log_json=log_json))
    from kcnn.recipe.local_workers import DisplayWithWorkers

    worker = [sys.executable, "-m", "kcnn", "recipe", *_words(LEADERS), "--worker"]
    return DisplayWithWorkers(worker, processes, out, log_json=log_json)


def _words(left_out: set[str]) -> list[str]:
    """The options of this command that were typed, to be typed again; without some."""
    context = click.get_current_context()
    words = []
    for option in context.command.params:
        name = option.name or ""
        typed = context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if typed and name not in left_out:
            value = context.params[name]
            flag = isinstance(option, click.Option) and option.is_flag
            words.append(option.secondary_opts[0] if flag and not value else option.opts[0])
            words += [] if flag else [str(value)]
    return words
