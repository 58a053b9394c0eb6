"""report.html of a run: read the record, draw the plots, fill the template."""

import os
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from kcnn.report import _search_plots, _training_plots, _words
from kcnn.report._canvas import Plot, to_png, to_svg
from kcnn.report._images import confusion, samples
from kcnn.report._load import STEPS, Run, dig, load_run, records

_PLOTS = (
    _training_plots.small_sample,
    _search_plots.rates,
    _search_plots.search,
    _training_plots.refinement,
    _training_plots.loss,
    _training_plots.accuracy,
)
_FILTERS = {
    "num": _words.num,
    "loss": _words.loss,
    "count": _words.count,
    "rate": _words.rate,
    "percent": _words.percent,
    "duration": _words.duration,
    "moment": _words.moment,
    "shape": _words.shape,
    "share": _words.share,
    "listed": _words.listed,
}


def write_report(run_dir: str | Path, *, plots: bool = True) -> Path:
    """Draw `report.html` from a run's `result.json` and `samples.npz`; compute nothing else.

    The page needs no network and no other file, follows the reader's light or dark setting,
    and holds whatever an interrupted run has so far. Earlier versions of it are replaced.

    Args:
      run_dir: the run's folder.
      plots: also write the plots as `plots/*.png` (on white, 1000 pixels wide).

    Returns the path of `report.html`.

    Raises FileNotFoundError without a `result.json`, ValueError if it can't be read.
    """
    run = load_run(run_dir)
    drawn = {plot.name: plot for plot in (draw(run) for draw in _PLOTS) if plot is not None}
    page = run.folder / "report.html"
    _write(page, _render(run, drawn, files=plots and bool(drawn)))
    if plots and drawn:
        folder = run.folder / "plots"
        folder.mkdir(exist_ok=True)
        for plot in drawn.values():
            to_png(plot, folder / f"{plot.name}.png")
    return page


def _render(run: Run, drawn: dict[str, Plot], *, files: bool) -> str:
    here = Path(__file__).parent
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(here),
        autoescape=True,
        undefined=jinja2.ChainableUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(_FILTERS)
    return environment.get_template("report.html").render(
        css=Markup((here / "report.css").read_text(encoding="utf-8")),
        run=run.record,
        headline=_words.headline(run),
        steps=[_step(run, i, *step) for i, step in enumerate(STEPS, 1)],
        plots={name.replace("-", "_"): (plot, to_svg(plot)) for name, plot in drawn.items()},
        rates=_search_plots.rate_rows(run),
        trials=_search_plots.trial_rows(run),
        best_run=_training_plots.best_run(run),
        samples=samples(run),
        confusion=confusion(run),
        folder=run.folder.resolve().name,
        files=files,
    )


def _step(run: Run, position: int, name: str, title: str) -> dict[str, Any]:
    """What the template shows of a step, reached or not."""
    step = run.step(name)
    result = dig(step, "result")
    return {
        "number": position,
        "name": name,
        "title": str(step.get("title") or title),
        "reached": bool(step),
        "status": _words.status_of(step),
        "seconds": step.get("seconds"),
        "findings": records(step.get("findings")),
        "result": result if isinstance(result, dict) else {},
    }


def _write(file: Path, text: str) -> None:
    """All of the file or, on a full disk, the one before."""
    partial = file.with_name(f".{file.name}.{os.getpid()}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, file)
    finally:
        partial.unlink(missing_ok=True)
