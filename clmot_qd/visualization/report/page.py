"""The page: all parts of all runs, put into one HTML file that needs nothing else."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from clmot_qd.errors import InputError
from clmot_qd.files import write_text
from clmot_qd.visualization.report import figures
from clmot_qd.visualization.report.comparison import compare
from clmot_qd.visualization.report.facts import package_versions
from clmot_qd.visualization.report.figures import Picture
from clmot_qd.visualization.report.history import History
from clmot_qd.visualization.report.projection import project
from clmot_qd.visualization.report.tables import (
    COMPARED,
    METRICS,
    NOTHING,
    Column,
    Table,
    embedding_table,
    score_tables,
    show,
    switch_table,
)
from clmot_qd.visualization.report.texts import printable
from clmot_qd.visualization.report.thumbnails import SwitchPicture, choose_switches, picture_switches
from clmot_qd.visualization.report.timeline import Switch, Timeline
from clmot_qd.visualization.report.timeline_chart import Chart, css_color, draw_timeline
from clmot_qd.visualization.report.tracked import Embedded, Tracked

_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Limits:
    """How much the page shows; what is left out is said.

    Args:
        switches: Pictures of identity switches per run.
        timelines: Timelines per run.
        objects: Rows of a timeline.
        rows: Rows of the table of switches per run.
        classes: Tables of classes per run.
        identities: Identities in the t-SNE.
    """

    switches: int = 60
    timelines: int = 12
    objects: int = 40
    rows: int = 500
    classes: int = 12
    identities: int = 20


@dataclass
class ReportRun:
    """One run, as far as it is known.

    Args:
        name: What it is called on the page.
        facts: (name, value) of its settings.
        notes: What the page cannot show of it, and why.
        history: Its logs.
        tracked: Its tracks.
    """

    name: str
    facts: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    history: History | None = None
    tracked: Tracked | None = None


@dataclass
class _Section:
    """What the template shows of a run."""

    name: str
    facts: Sequence[tuple[str, str]]
    notes: list[str]
    curves: Picture | None = None
    headline: Sequence[tuple[str, str, str]] = ()
    tables: Sequence[Table] = ()
    columns: Sequence[Column] = METRICS
    charts: Sequence[Chart] = ()
    charts_left_out: int = 0
    switch_count: int = 0
    switches: Sequence[SwitchPicture] = ()
    switch_list: Table | None = None
    embedding_table: Table | None = None
    histograms: Picture | None = None
    map: Picture | None = None
    map_left_out: int = 0


def write_report(runs: Sequence[ReportRun], out: str | Path, title: str = "", limits: Limits | None = None) -> Path:
    """Write the page about these runs; its name ends in .html.

    Raises:
        InputError: Nothing to show, jinja2 or scikit-learn is not installed, or the file cannot be written.
    """
    check_packages()
    if not runs:
        raise InputError("report: no run to show")
    limits = limits or Limits()
    sections = [_section(run, limits) for run in runs]
    page = {
        "title": title or f"Tracking report: {', '.join(run.name for run in runs)}",
        "made": datetime.now().strftime("%Y-%m-%d %H:%M"),
        "versions": f"{package_versions()}, Python {platform.python_version()}",
        "sections": sections,
        "comparison": compare(runs, limits.classes) if len(runs) > 1 else None,
    }
    write_text(out, printable(_render(page)))
    return Path(out)


def check_packages() -> None:
    """Refuse to start without the packages that the page needs.

    Raises:
        InputError: Naming the missing one and the extra to install.
    """
    for name, module in (("jinja2", "jinja2"), ("scikit-learn", "sklearn")):
        if importlib.util.find_spec(module) is None:
            raise InputError(f"{name} is not installed; run: pip install clmot_qd[report]")


def _section(run: ReportRun, limits: Limits) -> _Section:
    section = _Section(run.name, run.facts, list(run.notes))
    if run.history is not None:
        section.curves = figures.training_curves(run.history)
    if run.tracked is not None:
        _add_tracks(section, run.tracked, limits)
        if run.tracked.embedded is not None:
            _add_embeddings(section, run.tracked.embedded, limits)
    return section


def _add_tracks(section: _Section, tracked: Tracked, limits: Limits) -> None:
    overall = tracked.scores.overall("trackeval")
    section.headline = [
        (column.name, text, column.hint) for column in COMPARED if (text := show(overall.get(column.name))) != NOTHING
    ]
    tables = score_tables(tracked.scores)
    section.tables = tables[: limits.classes + 1]
    if len(tables) > len(section.tables):
        section.notes.append(
            f"Tables of {len(tables) - len(section.tables)} classes are left out; eval_tracks has all."
        )
    chosen = _most_switches(tracked.timelines, limits.timelines)
    several = len(tracked.classes) > 1
    section.charts = [
        draw_timeline(line, f"{line.sequence}, {line.class_name}" if several else line.sequence, limits.objects)
        for line in chosen
    ]
    section.charts_left_out = len(tracked.timelines) - len(chosen)
    _add_switches(section, tracked, limits)


def _add_switches(section: _Section, tracked: Tracked, limits: Limits) -> None:
    switches: list[Switch] = [switch for line in tracked.timelines for switch in line.switches]
    section.switch_count = len(switches)
    section.switch_list = switch_table(switches, limits.rows)
    if not tracked.pictures:
        if switches:
            section.notes.append("No pictures of the switches: it is not known where the frames are (--images).")
        return
    section.switches, missing = picture_switches(choose_switches(switches, limits.switches), tracked.pictures)
    if missing:
        section.notes.append(f"{len(missing)} frames are not shown, their pictures cannot be read; first: {missing[0]}")


def _most_switches(timelines: Sequence[Timeline], most: int) -> list[Timeline]:
    """The timelines with the most switches, in their order."""
    order = sorted(range(len(timelines)), key=lambda place: -len(timelines[place].switches))
    return [timelines[place] for place in sorted(order[:most])]


def _add_embeddings(section: _Section, embedded: Embedded, limits: Limits) -> None:
    qualities = embedded.qualities
    areas = {name: figures.roc_area(quality) for name, quality in qualities.items()}
    section.embedding_table = embedding_table(qualities, areas)
    shown = dict(list(qualities.items())[: limits.classes])
    section.histograms = figures.similarity_histograms(shown, areas)
    projection = project(embedded, limits.identities)
    if projection is None:
        section.notes.append("No t-SNE: there are too few boxes with an identity.")
        return
    section.map, section.map_left_out = figures.embedding_map(projection), projection.left_out


def _render(page: Mapping[str, Any]) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style, script = ((_TEMPLATES / name).read_text(encoding="utf-8") for name in ("report.css", "report.js"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    template = environment.get_template("report.html.j2")
    return template.render(page, style=style, script=script, script_hash=f"sha256-{digest}", css_color=css_color)
