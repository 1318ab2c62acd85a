"""What a report keeps of embeddings for the next one, as npz files without pickled objects."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from clmot_qd.apis.embedding_quality import BINS, FAR_LEVELS, GAPS, EmbeddingQuality, Nearest
from clmot_qd.apis.embedding_quality_report import TRAINED, TrueObjects
from clmot_qd.arrays import ArrayFile, write_arrays
from clmot_qd.files import atomic_path
from clmot_qd.visualization.report.tracked import Embedded

_COLUMNS = ("ids", "frames", "videos", "labels")
# Or damaged: it is made again. InputError is a ValueError.
_NOT_THERE = (ValueError, LookupError, TypeError, AttributeError, OverflowError)


def write_objects(path: Path, embedded: Embedded) -> None:
    """Keep the boxes and their embeddings."""
    objects = embedded.objects
    columns: dict[str, Any] = {name: getattr(objects, name) for name in _COLUMNS}
    columns |= {"classes": np.array(objects.classes, dtype=np.str_), "names": np.array(embedded.videos, dtype=np.str_)}
    _write(path, embeds=objects.embeds[TRAINED], **columns)


def read_objects(path: Path) -> Embedded | None:
    """Return what :func:`write_objects` kept; None where there is nothing, or nothing whole."""
    try:
        with ArrayFile(path) as arrays:
            columns = {name: arrays[name] for name in _COLUMNS}
            classes = tuple(map(str, arrays["classes"]))
            objects = TrueObjects(embeds={TRAINED: arrays["embeds"]}, classes=classes, **columns)
            return Embedded(objects, tuple(map(str, arrays["names"])))
    except _NOT_THERE:
        return None


def write_qualities(path: Path, qualities: Mapping[str, EmbeddingQuality]) -> None:
    """Keep what was measured, a row for each class."""
    found = list(qualities.values())
    _write(
        path,
        names=np.array(list(qualities), dtype=np.str_),
        counts=np.array([[quality.objects, quality.identities] for quality in found]),
        pairs=np.array([[quality.same, quality.different] for quality in found]),
        rates=np.array(
            [[[quality.tpr_at_far[far], quality.thresholds[far]] for far in FAR_LEVELS] for quality in found]
        ),
        nearest=np.array(
            [
                [[near.objects, near.found, near.by_chance] for near in map(quality.nearest.get, GAPS) if near]
                for quality in found
            ]
        ),
        settings=np.array([*FAR_LEVELS, *GAPS], dtype=np.float64),
    )


def read_qualities(path: Path) -> dict[str, EmbeddingQuality] | None:
    """Return what :func:`write_qualities` kept; None where there is nothing, nothing whole, or other levels."""
    try:
        with ArrayFile(path) as arrays:
            if arrays["settings"].tolist() != [*FAR_LEVELS, *GAPS] or arrays["pairs"].shape[1:] != (2, BINS):
                return None
            rows = zip(*(arrays[name] for name in ("names", "counts", "pairs", "rates", "nearest")), strict=True)
            return {str(name): _quality(*row) for name, *row in rows}
    except _NOT_THERE:
        return None


def _quality(counts: np.ndarray, pairs: np.ndarray, rates: np.ndarray, nearest: np.ndarray) -> EmbeddingQuality:
    objects, identities = counts.tolist()
    tpr, thresholds = (dict(zip(FAR_LEVELS, column)) for column in rates.T.tolist())
    near = {gap: Nearest(int(count), *shares) for gap, (count, *shares) in zip(GAPS, nearest.tolist(), strict=True)}
    return EmbeddingQuality(objects, identities, pairs[0], pairs[1], tpr, thresholds, near)


def _write(path: Path, **arrays: Any) -> None:
    with atomic_path(path) as temporary:
        write_arrays(temporary, arrays)
