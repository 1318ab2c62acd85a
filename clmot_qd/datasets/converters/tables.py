"""The table that a conversion ends with."""

from __future__ import annotations

from collections.abc import Sequence

from clmot_qd.datasets.converters.conversion import Conversion
from clmot_qd.datasets.converters.source import Counts

_MOST_ROWS = 60
_COLUMNS = ("videos", "images", "boxes", "identities")


def format_conversion(result: Conversion) -> str:
    """Lay out counts by video (where they are few) and by class, beside the published ones, then the remarks."""
    parts = [_by_video(result)] if 1 < len(result.rows) <= _MOST_ROWS else []
    return "\n\n".join([*parts, _by_class(result), *_comparison(result), *_remarks(result)])


def _by_video(result: Conversion) -> str:
    rows = [(row.name, *_values(row.counts())[1:], row.ignored) for row in result.rows]
    return _layout((result.title, *_COLUMNS[1:], "ignored"), rows)


def _by_class(result: Conversion) -> str:
    names = dict.fromkeys(name for row in result.rows for name in row.boxes)
    counts = [(name, result.counts((name,))) for name in names]
    total = result.counts()
    if len(names) != 1:
        counts.append(("all", total))
    summary = f"{total.images} images, {total.videos} videos, {result.ignored} boxes to be ignored"
    rows = [(name, count.boxes, count.identities) for name, count in counts]
    return _layout((f"{result.title}: class", "boxes", "identities"), rows) + f"\n{summary}"


def _comparison(result: Conversion) -> list[str]:
    return [*_compared_videos(result), *_compared_sums(result)]


def _compared_videos(result: Conversion) -> list[str]:
    """Lay out what is published of single videos beside what was found of them."""
    rows: list[tuple[str | int | None, ...]] = []
    for row in result.rows:
        published = result.published_videos.get(row.name)
        if published is not None:
            pairs = zip(_values(row.counts(published.classes)), _values(published))
            rows.append((row.name, *[value for pair in list(pairs)[1:] for value in pair]))
            title = _class_names(published)
    header = [part for column in _COLUMNS[1:] for part in (column, "published")]
    return [_layout((title, *header), rows)] if rows else []


def _compared_sums(result: Conversion) -> list[str]:
    if result.published is None:
        return []
    published = result.published
    pairs = list(zip(_values(result.counts(published.classes)), _values(published)))
    rows = [
        ("converted", *[found for found, _ in pairs]),
        ("published", *[said for _, said in pairs]),
        ("difference", *[None if found is None or said is None else found - said for found, said in pairs]),
    ]
    origin = f"\npublished: {published.origin}" if published.origin else ""
    return [_layout((_class_names(published), *_COLUMNS), rows) + origin]


def _class_names(counts: Counts) -> str:
    return ", ".join(counts.classes) or "all classes"


def _values(counts: Counts) -> list[int | None]:
    return [getattr(counts, column) for column in _COLUMNS]


def _remarks(result: Conversion) -> list[str]:
    return ["\n".join(result.remarks)] if result.remarks else []


def _layout(header: Sequence[str], rows: Sequence[Sequence[str | int | None]]) -> str:
    width = max(len(str(row[0])) for row in [header, *rows])
    lines = [f"{header[0]:<{width}}" + "".join(f"{name:>12}" for name in header[1:])]
    for name, *values in rows:
        cells = "".join(f"{'-' if value is None else value:>12}" for value in values)
        lines.append(f"{name!s:<{width}}" + cells)
    return "\n".join(lines)
