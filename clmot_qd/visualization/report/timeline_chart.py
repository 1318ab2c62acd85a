"""Where everything stands in the drawing of a timeline; the template writes the SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from clmot_qd.visualization.draw import id_color
from clmot_qd.visualization.report.timeline import MISSED, Span, Timeline

# In the SVG's own units, which are pixels where the page is wide enough.
LEFT, RIGHT, TOP, WIDTH = 62, 12, 8, 1060
ROW, BAR, STRIP = 19, 13, 34
_LETTER = 6.6  # width of a digit
_DARK, _PALE = "#1a1a1a", "#ffffff"


@dataclass(frozen=True)
class Bar:
    """A span: ``text`` is written on it, ``title`` is told when the pointer rests on it."""

    x: float
    y: float
    width: float
    missed: bool
    colour: str
    ink: str
    text: str
    title: str


@dataclass(frozen=True)
class Mark:
    """An identity switch, at the left edge of the bar that it begins."""

    x: float
    y: float
    title: str


@dataclass(frozen=True)
class Chart:
    """The drawing of one timeline.

    Args:
        title: Of what sequence and class.
        alt: What it shows, in words.
        width: Of the drawing.
        height: Of the drawing.
        labels: (y, identity) of the rows.
        bars: The spans.
        marks: The switches.
        ticks: (x, frame number).
        alarms: (x, height, frame number and count) of the false alarms.
        base: y of the line on which the false alarms stand.
        most_alarms: The most in a frame.
        left_out: How many objects have no row.
    """

    title: str
    alt: str
    width: float
    height: float
    labels: Sequence[tuple[float, int]]
    bars: Sequence[Bar]
    marks: Sequence[Mark]
    ticks: Sequence[tuple[float, int]]
    alarms: Sequence[tuple[float, float, str]]
    base: float
    most_alarms: int
    left_out: int
    frame_width: float


def draw_timeline(timeline: Timeline, title: str, most_objects: int = 40) -> Chart:
    """Lay a timeline out: a row for each object, those with the most switches if there are too many."""
    chosen = _chosen(timeline, most_objects)
    frames = len(timeline.frames)
    scale = (WIDTH - LEFT - RIGHT) / max(frames, 1)
    rows = {identity: TOP + ROW * number for number, identity in enumerate(chosen)}
    bars = [
        _bar(timeline, identity, span, y, scale) for identity, y in rows.items() for span in timeline.objects[identity]
    ]
    places = {number: place for place, number in enumerate(timeline.frames.tolist())}
    marks = [
        Mark(
            LEFT + scale * places[switch.after.frame],
            rows[switch.identity],
            f"switch: object {switch.identity}, frame {switch.after.frame}, "
            f"track {switch.before.track} to {switch.after.track}",
        )
        for switch in timeline.switches
        if switch.identity in rows
    ]
    bottom = TOP + ROW * len(chosen)
    most = int(timeline.false_alarms.max(initial=0))
    alarms = [
        (LEFT + scale * place, STRIP * count / most, f"frame {timeline.frames[place]}: {count} false alarms")
        for place, count in enumerate(timeline.false_alarms.tolist())
        if count
    ]
    alt = (
        f"{title}: {len(timeline.objects)} objects over {frames} frames, {len(timeline.switches)} identity switches, "
        f"{timeline.misses} misses, {int(timeline.false_alarms.sum())} false alarms."
    )
    return Chart(
        title=title,
        alt=alt,
        width=WIDTH,
        height=bottom + STRIP + 36,
        labels=[(y, identity) for identity, y in rows.items()],
        bars=bars,
        marks=marks,
        ticks=[(LEFT + scale * place, int(timeline.frames[place])) for place in _tick_places(timeline.frames.tolist())],
        alarms=alarms,
        base=bottom + 6 + STRIP,
        most_alarms=most,
        left_out=len(timeline.objects) - len(chosen),
        frame_width=scale,
    )


def _chosen(timeline: Timeline, most: int) -> list[int]:
    """The identities that get a row, ascending."""
    counts = dict.fromkeys(timeline.objects, 0)
    for switch in timeline.switches:
        counts[switch.identity] += 1
    return sorted(sorted(counts, key=lambda identity: (-counts[identity], identity))[:most])


def _bar(timeline: Timeline, identity: int, span: Span, y: float, scale: float) -> Bar:
    first, last = int(timeline.frames[span.start]), int(timeline.frames[span.stop - 1])
    when = f"frame {first}" if first == last else f"frames {first} to {last}"
    missed = span.track == MISSED
    colour = "none" if missed else css_color(span.track)
    text = "" if missed else str(span.track)
    width = scale * (span.stop - span.start)
    return Bar(
        x=LEFT + scale * span.start,
        y=y,
        width=width,
        missed=missed,
        colour=colour,
        ink=_ink(colour) if text else _DARK,
        text=text if _LETTER * len(text) + 3 <= width else "",
        title=f"object {identity}, {when}: {'missed' if missed else f'track {span.track}'}",
    )


def css_color(track_id: int) -> str:
    """The colour in which this track is drawn everywhere."""
    blue, green, red = id_color(track_id)
    return f"#{red:02x}{green:02x}{blue:02x}"


def _ink(colour: str) -> str:
    """Dark letters on bright bars, pale ones on dark bars."""
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return _DARK if 0.299 * red + 0.587 * green + 0.114 * blue > 125 else _PALE


def _tick_places(frames: Sequence[int], about: int = 10) -> list[int]:
    """Positions of the first frame and of round numbers."""
    if not frames:
        return []
    rough = max(1, (frames[-1] - frames[0]) / about)
    magnitude = 10 ** (len(str(int(rough))) - 1)
    step = next(factor * magnitude for factor in (1, 2, 5, 10) if factor * magnitude >= rough)
    return [place for place, number in enumerate(frames) if place == 0 or (number % step == 0 and place > step / 2)]
