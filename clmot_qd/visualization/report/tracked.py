"""Tracks with what they are judged by, wherever they come from."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from clmot_qd.datasets.mot_layout import find_sequences, list_frames
from clmot_qd.datasets.mot_text import MotTable, PathLike
from clmot_qd.errors import InputError, expecting_form
from clmot_qd.evaluation import GroundTruth, SequenceTruth, TrackScores, evaluate_tracks
from clmot_qd.files import read_json
from clmot_qd.names import PictureRoot, check_pictures
from clmot_qd.visualization.report.timeline import Timeline, make_timelines

if TYPE_CHECKING:
    from clmot_qd.apis.embedding_quality import EmbeddingQuality
    from clmot_qd.apis.embedding_quality_report import TrueObjects

#: (sequence, frame number) -> picture.
Pictures = Mapping[tuple[str, int], Path]


@dataclass(frozen=True)
class Embedded:
    """Embeddings at the true boxes.

    Args:
        objects: The boxes and their embeddings.
        videos: The names that ``objects.videos`` numbers.
        measured: Their ``qualities``, if known.
    """

    objects: TrueObjects
    videos: Sequence[str]
    measured: Mapping[str, EmbeddingQuality] | None = None

    @cached_property
    def qualities(self) -> dict[str, EmbeddingQuality]:
        """How well they tell identities apart: class, or "all classes" where there are several -> quality.

        Raises:
            InputError: An embedding has a value that is not finite.
        """
        if self.measured is not None:
            return dict(self.measured)
        from clmot_qd.apis.embedding_quality import GAPS
        from clmot_qd.apis.embedding_quality_report import TRAINED, quality_by_class

        return quality_by_class(self.objects, TRAINED, GAPS)


@dataclass(frozen=True)
class Tracked:
    """The tracks of one run.

    Args:
        truth: What is true.
        tracks: Sequence -> predictions.
        classes: The classes that are scored.
        rules: ``protocol``, ``distractors``, ``iou_thr`` of :func:`clmot_qd.evaluation.evaluate_tracks`, if given.
        pictures: Where the frames stand; empty: not known.
        source: Where the tracks come from, in words.
        embedded: Embeddings at the true boxes; None: not read.
    """

    truth: GroundTruth
    tracks: Mapping[str, MotTable]
    classes: Sequence[str]
    rules: Mapping[str, Any]
    pictures: Pictures
    source: str
    embedded: Embedded | None = None

    @cached_property
    def scores(self) -> TrackScores:
        """The scores, by trackeval."""
        options = {"backends": ("trackeval",), "iou_type": "bbox", **self.rules}
        return evaluate_tracks(self.truth, self.tracks, list(self.classes), **options)

    @cached_property
    def timelines(self) -> list[Timeline]:
        """Who was matched with whom."""
        return make_timelines(self.truth, self.tracks, self.classes, **self.rules)


def first_frames(truth: GroundTruth, most: int | None) -> GroundTruth:
    """Return the first ``most`` frames of every sequence; None: all."""
    if most is None:
        return truth
    return replace(truth, sequences={name: _cut(sequence, most) for name, sequence in truth.sequences.items()})


def _cut(truth: SequenceTruth, most: int) -> SequenceTruth:
    frames = truth.frames[:most]
    rows = np.isin(truth.boxes.frames, frames)
    difficulty = None if truth.difficulty is None else truth.difficulty[rows]
    return SequenceTruth(frames, truth.boxes.select(rows), difficulty)


def within(truth: GroundTruth, tracks: Mapping[str, MotTable], most: int | None) -> dict[str, MotTable]:
    """Return the predictions in frames that the ground truth still has after :func:`first_frames`; None: all."""
    if most is None:
        return dict(tracks)
    return {
        name: table.select(np.isin(table.frames, truth.sequences[name].frames))
        for name, table in tracks.items()
        if name in truth.sequences
    }


def pictures_of(truth: GroundTruth, root: PathLike | PictureRoot | None) -> dict[tuple[str, int], Path]:
    """Return where the frames stand.

    Args:
        truth: Of a CocoVID file, or of a folder of MOTChallenge sequences.
        root: The folder that ``file_name`` of a CocoVID file begins in, or another folder of sequences; None: that of
            the ground truth if it is a folder, else nothing is known.

    Raises:
        InputError: A name leads out of the root.
    """
    place = root if root is None or isinstance(root, PictureRoot) else PictureRoot(os.fspath(root))
    if not truth.frame_index:
        return _sequence_pictures(truth, truth.source if place is None else place.folder)
    if place is None:
        return {}
    with expecting_form(lambda: str(truth.source)):
        images = read_json(truth.source)["images"]
        paths = {
            truth.frame_index[image["video_id"], image["frame_id"]]: os.path.join(place.folder, image["file_name"])
            for image in images
            if image.get("file_name")
        }
    check_pictures(place, paths.values(), str(truth.source))  # the page goes to others: no other pictures in it
    return {frame: Path(path) for frame, path in paths.items()}


def _sequence_pictures(truth: GroundTruth, root: PathLike) -> dict[tuple[str, int], Path]:
    pictures: dict[tuple[str, int], Path] = {}
    for sequence in find_sequences(root):
        if sequence.name not in truth.sequences:
            continue
        try:
            frames = list_frames(sequence)
        except InputError:
            continue  # without pictures, which the page says
        pictures |= {(sequence.name, frame.number): frame.path for frame in frames}
    return pictures
