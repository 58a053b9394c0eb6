"""Plots as inline SVG whose colors are the page's CSS variables."""

import io
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import matplotlib
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

# report.css has a color of each name for light and for dark.
NAMES = ("ink", "muted", "grid", "card", "good", "bad")
SERIES = ("c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8")
SPECTRUM = ("c5", "c2", "c3", "c1", "c4", "c6", "c7", "c8")  # for ordered things, as rates

# Colors that stand for a CSS variable until the SVG is written.
_STAND_INS = {name: f"#00f1{i:02x}" for i, name in enumerate(NAMES + SERIES)}
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "kcnn",
    "font.size": 10.0,
    "path.simplify": True,
}

Colors = Mapping[str, str]


@dataclass(frozen=True)
class Plot:
    """A picture to be drawn.

    Attributes:
        name: prefix of its ids.
        title: heading.
        alt: what a reader who does not see it should know.
        note: how to read it; "" for none.
        draw: fills an empty figure in the given colors.
        size: inches; 5.6 wide reads well on a phone and in two columns.
    """

    name: str
    title: str
    alt: str
    note: str
    draw: Callable[[Figure, Colors], None]
    size: tuple[float, float] = (5.6, 3.3)
    kind = "plot"


def to_svg(plot: Plot) -> Markup:
    """The plot as an `<svg>` element that scales and follows the page's colors."""
    file = io.StringIO()
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=plot.size, layout="constrained")
        figure.patch.set_alpha(0.0)
        plot.draw(figure, _STAND_INS)
        FigureCanvasSVG(figure).print_svg(file, metadata={"Date": None})
    svg = file.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.S)
    svg = re.sub(r"<style.*?</style>", "", svg, flags=re.S)  # it would rule the whole page
    svg = re.sub(r"font: ([\d.]+px)[^;\"]*", r"font-size: \1", svg)
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{plot.name}-", svg)
    for name, stand_in in _STAND_INS.items():
        svg = svg.replace(stand_in, f"var(--{name})")
    box = re.search(r'viewBox="[^"]*"', svg)
    head = f'<svg role="img" aria-label="{escape(plot.alt)}" {box.group() if box else ""}>'
    return Markup(head + svg[svg.index(">") + 1 :].strip())


def axes(figure: Figure, colors: Colors, *, x: str, y: str, place: tuple = (1, 1, 1)) -> Axes:
    """Quiet axes: a light grid, no frame but the bottom line."""
    ax = figure.add_subplot(*place)
    ax.patch.set_alpha(0.0)
    for side in ("top", "right", "left"):
        ax.spines[side].set_visible(False)
    ax.spines["bottom"].set_color(colors["muted"])
    ax.grid(axis="y", color=colors["grid"], linewidth=0.9)
    ax.set_axisbelow(True)
    ax.margins(x=0.02)
    ax.tick_params(which="both", colors=colors["muted"], length=0, labelcolor=colors["muted"])
    ax.set_xlabel(x, color=colors["muted"])
    ax.set_ylabel(y, color=colors["muted"])
    return ax


def log_ticks(axis: Axis, limits: tuple[float, float], show: Callable[[float], str]) -> None:
    """Ticks on a log axis: 1, 2, 5 where it spans less than two decades, else 1 alone."""
    subs = (1.0, 2.0, 5.0) if limits[1] < 100 * limits[0] else (1.0,)
    axis.set_major_locator(LogLocator(subs=subs))
    axis.set_major_formatter(lambda value, _: show(value))
    axis.set_minor_formatter(NullFormatter())


def legend(ax: Axes, colors: Colors, columns: int = 4) -> None:
    """Names above the axes, where they hide nothing."""
    handles, labels = ax.get_legend_handles_labels()
    if handles:
        ax.legend(
            handles,
            labels,
            loc="lower left",
            bbox_to_anchor=(0.0, 1.0),
            ncols=columns,
            frameon=False,
            borderaxespad=0.2,
            handlelength=1.4,
            columnspacing=1.4,
            labelcolor=colors["ink"],
        )
