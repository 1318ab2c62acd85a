"""The picture of an embedding quality report: histograms of similarities and ROC curves."""

from __future__ import annotations

from os import PathLike
from typing import Any

import numpy as np

from clmot_qd.apis.embedding_quality import BINS, EmbeddingQuality, roc_curve
from clmot_qd.apis.embedding_quality_report import Report
from clmot_qd.files import atomic_path

_SAME, _DIFFERENT = "#1f5fa8", "#d1495b"
_SHOWN_BINS = 128
_LEAST_FAR = 1e-6


def plot_report(report: Report, path: str | PathLike[str]) -> None:
    """Write a PNG: a row per class; histograms of the pairs of each model, then the ROC curves of all models."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    models, classes = list(report), list(next(iter(report.values())))
    columns = len(models) + 1
    figure = Figure(figsize=(4.4 * columns, 3.5 * len(classes)), layout="constrained", dpi=110)
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(classes), columns, squeeze=False)
    for axes, name in zip(grid, classes):
        for axis, model in zip(axes, models):
            plot_histograms(axis, report[model][name])
            axis.set_title(f"{model}, {name}", fontsize=10)
        for model, style in zip(models, ("-", "--", ":")):
            plot_roc(axes[-1], report[model][name], model, style)
        axes[-1].set_title(f"ROC, {name}", fontsize=10)
        axes[-1].legend(loc="upper left", fontsize=8)
    with atomic_path(path) as temporary:
        figure.savefig(temporary)


def plot_histograms(axis: Any, quality: EmbeddingQuality) -> None:
    """Draw how similar the pairs of one identity are, and those of two."""
    edges = np.linspace(-1, 1, _SHOWN_BINS + 1)
    for counts, colour, label in (
        (quality.different, _DIFFERENT, "two identities"),
        (quality.same, _SAME, "one identity"),
    ):
        shown = counts.reshape(_SHOWN_BINS, BINS // _SHOWN_BINS).sum(axis=1)
        share = 100 * shown / max(int(shown.sum()), 1)
        axis.stairs(share, edges, fill=True, alpha=0.45, color=colour, label=f"{label} ({int(counts.sum()):,})")
        axis.stairs(share, edges, color=colour, linewidth=1)
    occupied = np.flatnonzero(quality.same + quality.different)
    low = 2 * occupied[0] / BINS - 1 if len(occupied) else -1
    axis.set_xlim(max(-1, low - 0.05), 1.02)
    axis.set_ylim(0, 1.35 * axis.get_ylim()[1])  # room for the legend
    axis.set_xlabel("cosine similarity")
    axis.set_ylabel("share of the pairs [%]")
    axis.grid(alpha=0.25)
    axis.legend(loc="upper left", fontsize=8)


def plot_roc(axis: Any, quality: EmbeddingQuality, label: str, style: str) -> None:
    """Draw the ROC curve, and the points at which TPR is reported."""
    far, tpr = roc_curve(quality)
    axis.plot(np.maximum(far, _LEAST_FAR), 100 * tpr, style, color=_SAME, label=label)
    axis.plot(list(quality.tpr_at_far), [100 * value for value in quality.tpr_at_far.values()], ".", color=_SAME)
    axis.set_xscale("log")
    axis.set_xlim(_LEAST_FAR, 1)
    axis.set_ylim(0, 102)
    axis.set_xlabel("false accept rate")
    axis.set_ylabel("true positive rate [%]")
    axis.grid(alpha=0.25)
