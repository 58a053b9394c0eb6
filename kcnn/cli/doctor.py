"""`kcnn doctor SCRIPT.py`: examine every `fit` of a script."""

from __future__ import annotations

import json
from pathlib import Path

import click

__all__ = ["doctor"]

COLORS = {"failure": "bold red", "warning": "yellow", "note": "cyan", "ok": "green"}


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("--json", "json_path", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--html", "html_path", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--fast", is_flag=True, help="End each fit once a failure is found.")
@click.option("--budget", type=float, help="Seconds for the examination of one fit.")
@click.argument("script", type=click.Path(path_type=Path, dir_okay=False))
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def doctor(
    script: Path,
    arguments: tuple[str, ...],
    json_path: Path | None,
    html_path: Path | None,
    fast: bool,
    budget: float | None,
) -> None:
    """Run SCRIPT unchanged and say why its models do not train.

    Every `fit` in it is examined. Options stand before SCRIPT; what follows it is passed on to
    it. Exit code 1 when a failure was found, 0 when everything is healthy, otherwise the
    script's own.
    """
    if not script.is_file():
        raise FileNotFoundError(2, "No such script", str(script))
    from kcnn.callbacks.doctor._page import page
    from kcnn.callbacks.doctor._script import examine_script

    visits, code = examine_script(
        script, list(arguments), fast=fast, budget_s=budget, heard=_print_visit
    )
    if json_path is not None:
        data = {"script": str(script), "exit_code": code, "fits": [v.to_dict() for v in visits]}
        json_path.write_text(json.dumps(data, indent=2, default=str), encoding="utf-8")
    if html_path is not None:
        html_path.write_text(page(str(script), visits), encoding="utf-8")
    if not visits:
        click.echo("kcnn doctor: no fit was called.", err=True)
    raise SystemExit(1 if any(not v.diagnosis.healthy for v in visits) else code)


def _print_visit(visit) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True, highlight=False)
    causes = ", ".join(visit.diagnosis.causes) or "healthy"
    style = "green" if visit.diagnosis.healthy else "bold red"
    console.print(Text(f"{visit.file}:{visit.line} fit: {causes}", style=style))
    for finding, place in zip(visit.diagnosis.findings, visit.places, strict=True):
        if finding.severity == "ok":
            continue
        line = Text("  ")
        line.append(finding.severity, style=COLORS[finding.severity])
        line.append(f" {finding.cause or finding.check} at {place}\n")
        line.append(f"    seen: {finding.seen}\n    expected: {finding.expected}")
        if finding.advice:
            line.append(f"\n    {finding.advice}")
        console.print(line)
