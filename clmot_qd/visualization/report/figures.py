"""The drawings of the page: curves, histograms, t-SNE; each an SVG as a data URI, and what it shows in words."""

from __future__ import annotations

import base64
import io
import warnings
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from clmot_qd.apis.embedding_quality import EmbeddingQuality, roc_curve
from clmot_qd.visualization.draw import id_color
from clmot_qd.visualization.report.history import Curve, History
from clmot_qd.visualization.report.projection import Projection
from clmot_qd.visualization.report.texts import printable

# Okabe and Ito's colours, which colour-blind people can tell apart; without the yellow, which is pale on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
STYLES = ("-", "--", ":", "-.")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
SCORES = ("HOTA", "DetA", "AssA", "MOTA", "IDF1", "mAP")
_LONGEST = 36  # letters of a name in a drawing
_WIDTH, _HEIGHT = 4.4, 3.2  # of one set of axes, in inches


@dataclass(frozen=True)
class Picture:
    """A picture for an ``<img>``."""

    uri: str
    alt: str
    width: int
    height: int


@contextmanager
def _figure(rows: int, columns: int, pictures: list[Picture], alt: str, size: tuple[float, float] | None = None) -> Any:
    """Yield axes (rows x columns); append the drawing to ``pictures``."""
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    # Fixed ids make equal drawings equal files. Text stays text: the browser has fonts for more scripts, so it does not
    # matter which letters matplotlib's own font lacks.
    options = {"svg.hashsalt": "clmot_qd", "svg.fonttype": "none", "font.size": 9}
    with matplotlib.rc_context(options), warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from")
        width, height = size or (_WIDTH, _HEIGHT)
        figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
        FigureCanvasSVG(figure)
        yield figure.subplots(rows, columns, squeeze=False)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None})
    uri = "data:image/svg+xml;base64," + base64.b64encode(text.getvalue().encode()).decode()
    pictures.append(Picture(uri, alt, round(96 * width * columns), round(96 * height * rows)))


def training_curves(history: History) -> Picture | None:
    """Draw the losses, the learning rate and the validation scores of a run; None where nothing was logged."""
    panels = _panels(history)
    if not panels:
        return None
    made: list[Picture] = []
    told = "; ".join(_said(title, curves) for title, curves in panels)
    with _figure(1, len(panels), made, f"Training curves over iterations. {told}.") as grid:
        for axis, (title, curves) in zip(grid[0], panels):
            for number, (name, curve) in enumerate(curves.items()):
                _plot(axis, curve, name, number)
            _finish(axis, title, history.starts, legend=title != "learning rate")
            axis.set_xlim(0, 1.03 * max(history.last_iteration, 1))
    return made[0]


def has_curves(history: History) -> bool:
    """Whether there is anything to draw."""
    return bool(_panels(history))


def _panels(history: History) -> list[tuple[str, Mapping[str, Curve]]]:
    """Title and curves of every set of axes."""
    titles = ("losses", "learning rate", "validation scores [%]")
    rates = {name: curve for name, curve in history.train.items() if name == "lr" and curve.steps}
    curves = (history.losses(), rates, shown_scores(history))
    return [(title, shown) for title, shown in zip(titles, curves) if shown]


def _said(title: str, curves: Mapping[str, Curve]) -> str:
    ends = ", ".join(f"{name} {curve.values[0]:.4g} to {curve.values[-1]:.4g}" for name, curve in curves.items())
    return f"{title}: {ends}"


def shown_scores(history: History) -> dict[str, Curve]:
    """Return the most telling validation scores by their plain names; if none of them was logged, the first few."""
    known = {name: curve for name, curve in history.scores.items() if name.count("/") <= 1 and curve.steps}
    plain = {name.rsplit("/", 1)[-1]: curve for name, curve in known.items()}
    chosen = {name: plain[name] for name in SCORES if name in plain}
    return chosen or dict(list(plain.items())[: len(SCORES)])


def compared_curves(runs: Mapping[str, History]) -> Picture | None:
    """Draw the curves of several runs over one another: every loss that two have, learning rate, validation scores."""
    by_run = {name: {**history.losses(), **_rate(history), **shown_scores(history)} for name, history in runs.items()}
    names = dict.fromkeys(name for curves in by_run.values() for name in curves)
    shared = [name for name in names if sum(name in curves for curves in by_run.values()) > 1]
    if not shared:
        return None
    columns = min(3, len(shared))
    rows = -(-len(shared) // columns)
    made: list[Picture] = []
    alt = f"Training curves of {', '.join(runs)} over iterations: {', '.join(shared)}."
    with _figure(rows, columns, made, alt) as grid:
        for axis, title in zip(grid.ravel(), shared):
            for number, (name, curves) in enumerate(by_run.items()):
                if title in curves:
                    _plot(axis, curves[title], name, number)
            _finish(axis, title, ())
        for axis in grid.ravel()[len(shared) :]:
            axis.set_visible(False)
    return made[0]


def _rate(history: History) -> dict[str, Curve]:
    curve = history.train.get("lr")
    return {"learning rate": curve} if curve is not None and curve.steps else {}


def _plot(axis: Any, curve: Curve, label: str, number: int) -> None:
    colour, style = COLOURS[number % len(COLOURS)], STYLES[number // len(COLOURS) % len(STYLES)]
    marker = MARKERS[number % len(MARKERS)] if len(curve.steps) < 25 else None
    axis.plot(curve.steps, curve.values, style, color=colour, label=_label(label), linewidth=1.4, marker=marker, ms=4)


def _label(name: str) -> str:
    """Return a name as matplotlib shows it: dollar signs are no formulas, an underscore at the start is no secret."""
    text = printable(name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…").replace("$", r"\$")
    return f" {text}" if text.startswith("_") else text


def _finish(axis: Any, title: str, starts: Sequence[int], legend: bool = True) -> None:
    for start in starts:
        axis.axvline(start, color="#777777", linewidth=0.8, linestyle=":")
    values = np.concatenate([line.get_ydata() for line in axis.lines if len(line.get_xdata()) != 2] or [np.ones(1)])
    finite = values[np.isfinite(values)]
    if len(finite) and finite.min() > 0 and finite.max() > 20 * finite.min() and "%" not in title:
        axis.set_yscale("log")
    axis.set_title(_label(title), fontsize=10)
    axis.set_xlabel("iteration")
    axis.grid(alpha=0.25)
    if legend:
        axis.legend(fontsize=7.5, framealpha=0.8)


def similarity_histograms(qualities: Mapping[str, EmbeddingQuality], areas: Mapping[str, float]) -> Picture:
    """Draw for each class how similar pairs of one identity and of two are, and the ROC curve."""
    from clmot_qd.apis.embedding_quality_plot import plot_histograms, plot_roc

    made: list[Picture] = []
    told = ", ".join(f"{name}: area under the ROC curve {areas[name]:.4f}" for name in qualities)
    alt = f"Histograms of the cosine similarity of pairs of one identity and of two, and ROC curves. {told}."
    with _figure(len(qualities), 2, made, alt, (5.2, 3.4)) as grid:
        for (left, right), (name, quality) in zip(grid, qualities.items()):
            plot_histograms(left, quality)
            left.set_title(f"pairs of {_label(name)}", fontsize=10)
            plot_roc(right, quality, _label(name), "-")
            right.set_title(f"ROC, {_label(name)} (AUC {areas[name]:.4f})", fontsize=10)
    return made[0]


def roc_area(quality: EmbeddingQuality) -> float:
    """Return the area under the ROC curve; NaN where there are no pairs of one identity or none of two."""
    from sklearn.metrics import auc

    if not quality.same.any() or not quality.different.any():
        return float("nan")
    far, tpr = roc_curve(quality)
    return float(auc(np.concatenate([[0.0], far]), np.concatenate([[0.0], tpr])))


def embedding_map(projection: Projection) -> Picture:
    """Draw the projected embeddings: a colour and a shape for each identity."""
    made: list[Picture] = []
    count = len(projection.names)
    alt = f"t-SNE of {len(projection.points)} embeddings of {count} identities, one colour and shape for each."
    with _figure(1, 1, made, alt, (8.4, 5.2)) as grid:
        axis = grid[0, 0]
        for number, name in enumerate(projection.names):
            x, y = projection.points[projection.identities == number].T
            colour = "#{2:02x}{1:02x}{0:02x}".format(*id_color(number))
            marker = MARKERS[number % len(MARKERS)]
            axis.scatter(x, y, s=17, color=colour, marker=marker, linewidths=0, label=_label(name))
        axis.set_xticks([])
        axis.set_yticks([])
        axis.set_aspect("equal", adjustable="datalim")
        axis.legend(fontsize=7.5, loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, markerscale=1.6)
    return made[0]
