"""`kcnn doctor SCRIPT.py`: examine every `fit` of a script."""

import functools
import json
from pathlib import Path

import click

from kcnn_cli._findings_page import headline, page, proof
from kcnn_cli._start import start_tensorflow

__all__ = ["doctor"]

FOUND, INCOMPLETE = 1, 3  # exit codes beside 0, healthy
COLORS = {"failure": "bold red", "warning": "yellow", "note": "cyan", "ok": "green"}


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option(
    "--json",
    "json_path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the findings to this file, with every number.",
)
@click.option(
    "--html",
    "html_path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the findings to this file, as a page.",
)
@click.option(
    "--fast",
    is_flag=True,
    help="Do not train what the set-up alone proves wrong.",
)
@click.option("--budget", type=float, help="Seconds for the examination of one fit.")
@click.option("--select", multiple=True, metavar="IDS", help="Only these checks.")
@click.option("--ignore", multiple=True, metavar="IDS", help="Not these checks.")
@click.option(
    "--fail-on",
    type=click.Choice(["failure", "warning"]),
    help="What makes the exit code 1; failure unless pyproject.toml says otherwise.",
)
@click.option("--debug", is_flag=True, help="Show the traceback of a check that broke.")
@click.argument("script", type=click.Path(path_type=Path, dir_okay=False))
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def doctor(
    script: Path,
    arguments: tuple[str, ...],
    json_path: Path | None,
    html_path: Path | None,
    fast: bool,
    budget: float | None,
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    fail_on: str | None,
    debug: bool,
) -> None:
    """Run SCRIPT unchanged and say why its models do not train.

    Every `fit` in it is done as written and examined. Options stand before SCRIPT; what follows
    it is passed on to it. IDS are separated by commas; they and the numbers of checks can be set
    in [tool.kcnn] of the pyproject.toml nearest to SCRIPT. Exit code 1 when a failure was found,
    3 when something could not be examined, 0 when everything is healthy, otherwise the script's
    own; 130 after Ctrl-C, with what was found so far.
    """
    if not script.is_file():
        raise FileNotFoundError(2, "No such script", str(script))
    start_tensorflow()
    from kcnn.callbacks._settings import read_settings
    from kcnn.callbacks.doctor._script import examine_script

    settings = read_settings(script.parent).over(
        select=_ids(select), ignore=_ids(ignore), fail_on=fail_on
    )
    visits, code = examine_script(
        script,
        list(arguments),
        fast=fast,
        budget_s=budget,
        heard=functools.partial(_print_visit, debug=debug),
        begun=_print_begin,
        **settings.chosen,
    )
    if json_path is not None:
        data = {"script": str(script), "exit_code": code, "fits": [v.to_dict() for v in visits]}
        text = json.dumps(data, indent=2, default=str, allow_nan=False)
        json_path.write_text(text, encoding="utf-8")
    if html_path is not None:
        html_path.write_text(page(str(script), visits), encoding="utf-8")
    if not visits:
        click.echo("kcnn doctor: no fit was called.", err=True)
    raise SystemExit(_exit_code(visits, code, settings))


def _ids(given: tuple[str, ...]) -> list[str] | None:
    """Names out of options that may each hold several; None where there is no option."""
    names = [name.strip() for part in given for name in part.split(",")]
    return [name for name in names if name] or None


def _exit_code(visits, script: int, settings) -> int:
    """1 for a failure, 3 for an examination with gaps, else what the script itself ended with."""
    if script == 130:
        return script
    if any(settings.fails(f.severity) for v in visits for f in v.diagnosis.findings):
        return FOUND
    gaps = any(not v.diagnosis.complete for v in visits)
    return INCOMPLETE if gaps and script == 0 else script


def _print_begin(place: str) -> None:
    click.secho(f"kcnn doctor: examining fit at {place} ...", err=True, dim=True)


def _print_visit(visit, *, debug: bool = False) -> None:
    from rich.console import Console
    from rich.text import Text

    from kcnn.callbacks.doctor._words import short

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    words, good = headline(visit.diagnosis)
    style = "green" if good else "bold red"
    console.print(Text(f"{short(visit.file)}:{visit.line} fit: {words}", style=style))
    for finding, place in zip(visit.diagnosis.findings, visit.places, strict=True):
        if finding.severity == "ok":
            continue
        line = Text("  ")
        line.append(finding.severity, style=COLORS[finding.severity])
        if finding.check == "examination":
            line.append(f": {finding.seen}")
        else:
            line.append(f" {finding.cause or finding.check} at {place}\n    seen: {finding.seen}")
        expected = finding.expected and f"expected: {finding.expected}"
        for words in (expected, finding.advice, proof(finding)):
            if words:
                line.append(f"\n    {words}")
        console.print(line)
    if visit.diagnosis.causes:
        console.print(Text(f"  more: kcnn explain {visit.diagnosis.causes[0]}", style="dim"))
    for why in visit.diagnosis.unseen:
        console.print(Text(f"  not examined: {why}", style="yellow"))
    for lines in visit.diagnosis.numbers.get("tracebacks", ()) if debug else ():
        console.print(Text(lines, style="dim"))
