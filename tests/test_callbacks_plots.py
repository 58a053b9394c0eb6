import io
import sys

import numpy as np
import pytest

from kcnn.callbacks import plots
from kcnn.callbacks.learning_rate._lr_sweep import SweepResult
from kcnn.callbacks.learning_rate._range_judge import judge_range
from kcnn.callbacks.learning_rate._rates import judge_rates


def pixels(figure, page):
    """The figure over a page of one color, as RGB numbers 0..1."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    image = np.asarray(canvas.buffer_rgba()).astype("float64") / 255
    alpha = image[..., 3:]
    return image[..., :3] * alpha + page * (1 - alpha)


def luminance(rgb):
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return linear @ np.array([0.2126, 0.7152, 0.0722])


def contrast(color, page):
    from matplotlib.colors import to_rgb

    high, low = sorted((float(luminance(np.array(to_rgb(color)))), page), reverse=True)
    return (high + 0.05) / (low + 0.05)


def range_figure():
    rates = np.geomspace(1e-7, 10, 100)
    losses = 2.3 - 1.5 / (1 + np.exp(-4 * np.log10(rates / 0.05)))
    return plots.plot_range(judge_range(rates, [*losses[:-1], np.nan]))


def sweep_figure():
    falling = 2.3 * np.exp(-np.arange(50) / 10)
    losses = [falling, 2.3 + 0 * falling, [2.3, 9.0, np.nan]]
    return plots.plot_sweep(SweepResult(judge_rates([0.1, 0.01, 1.0], losses), 0.1, ()))


@pytest.mark.parametrize("figure", [range_figure, sweep_figure])
@pytest.mark.parametrize("page", [0.0, 1.0])
def test_pictures_show_on_light_and_dark_pages(figure, page):
    drawn = pixels(figure(), page)
    assert np.mean(np.abs(drawn - page).max(-1) > 0.2) > 0.01
    assert np.allclose(drawn[0, 0], page)  # the background is the page's


@pytest.mark.parametrize("color", [plots.GRAY, *plots.COLORS])
def test_every_color_stands_out_on_white_and_on_black(color):
    assert min(contrast(color, 1.0), contrast(color, 0.0)) >= 3.0


def test_every_suggestion_is_marked_and_named():
    ax = range_figure().axes[0]
    names = " ".join(text.get_text() for text in ax.get_legend().get_texts())
    for name in ("steepest", "minimum/10", "valley", "kcnn", "(suggestion)"):
        assert name in names


def test_a_figure_goes_into_given_axes_and_files_without_pyplot():
    from matplotlib.figure import Figure

    ax = Figure().add_subplot()
    loaded = "matplotlib.pyplot" in sys.modules
    figure = plots.plot_rates([0.1], [[2.0, 1.0]], ax=ax)
    assert figure is ax.figure
    out = io.BytesIO()
    figure.savefig(out, format="svg")
    assert out.getvalue().startswith(b"<?xml")
    assert loaded or "matplotlib.pyplot" not in sys.modules
    if loaded:
        assert not sys.modules["matplotlib.pyplot"].get_fignums()
