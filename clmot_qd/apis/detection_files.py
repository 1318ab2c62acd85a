"""Detections from files for the commands: whatever the format, one call opens them and one scores their tracks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from clmot_qd.datasets.detections import DetectionSet, read_detection_file, read_sequence_detections
from clmot_qd.datasets.detections.json_rows import Images
from clmot_qd.datasets.mot_text import MotTable, PathLike
from clmot_qd.errors import InputError, expecting_form
from clmot_qd.evaluation import GroundTruth, TrackScores, evaluate_tracks, read_cocovid, read_mot_root, read_truth
from clmot_qd.evaluation.protocols import get_protocol
from clmot_qd.files import read_json


def open_detections(
    det: PathLike,
    root: PathLike | None = None,
    embeds: PathLike | None = None,
    sequences: Sequence[str] | None = None,
    detector: str | None = None,
    annotations: PathLike | None = None,
    frame_offset: int = 0,
    keep_classes: Sequence[str] = (),
) -> DetectionSet:
    """Read detections from one file, a folder of cache files, or the sequences of a data set.

    Args:
        det: File or cache folder; with ``root`` the place below each sequence (``det/det.txt``), or below ``root`` with
            ``{video}`` in it (``found/{video}.csv``).
        root: Folder of MOTChallenge sequences.
        embeds: ``.npy`` or ``.npz`` with one embedding per detection; with ``root`` a place like ``det``.
        sequences: Names of those to take; None takes all.
        detector: Of MOT17's three copies keep this one.
        annotations: CocoVID file that names the images of COCO results.
        frame_offset: 1 for CSV and JSON files that count frames from 0.
        keep_classes: Only these, ``car`` or ``person=pedestrian`` under another name; empty keeps all.

    Raises:
        InputError: A file is missing or malformed, or an argument does not go with ``det``.
    """
    if root is not None:
        place = str(det)
        found = read_sequence_detections(
            root, place, None if embeds is None else str(embeds), sequences, detector, frame_offset
        )
    else:
        if detector is not None:
            raise InputError(f"detector {detector}: chooses among the sequences of a root folder; give --root as well")
        images = None if annotations is None else read_images(annotations)
        found = _only(read_detection_file(det, embeds, images, frame_offset), sequences)
    return found.keep_classes(parse_class_map(keep_classes)) if keep_classes else found


def _only(found: DetectionSet, sequences: Sequence[str] | None) -> DetectionSet:
    if sequences is None:
        return found
    for name in sequences:
        if name not in found.videos:
            raise InputError(f"{found.source}: no video {name!r}; it has {', '.join(found.videos)}")
    return found.choose(sequences)


def read_images(path: PathLike) -> Images:
    """Read what COCO results need to know of a CocoVID annotation file.

    Raises:
        InputError: The file is missing or malformed.
    """
    truth = read_cocovid(path)
    with expecting_form(lambda: str(path)):
        entries = read_json(path)["images"]
        return Images(
            places={entry["id"]: truth.frame_index[entry["video_id"], entry["frame_id"]] for entry in entries},
            categories={number: name for name, number in truth.categories.items()},
        )


def parse_class_map(texts: Sequence[str]) -> dict[str, str]:
    """Turn ``["car", "person=pedestrian"]`` into ``{"car": "car", "person": "pedestrian"}``.

    Raises:
        InputError: A name is empty.
    """
    pairs = {}
    for text in texts:
        old, equals, new = text.partition("=")
        if not old or (equals and not new):
            raise InputError(f"--keep-classes {text!r}: write NAME or OLD=NEW")
        pairs[old] = new or old
    return pairs


def find_truth(
    ground_truth: PathLike | None,
    root: PathLike | None = None,
    sequences: Sequence[str] | None = None,
    detector: str | None = None,
) -> GroundTruth | None:
    """Read what to score against: what is named, else the gt.txt of the sequences below ``root``; None without any.

    Raises:
        InputError: What is named is missing or malformed, or some of the sequences have no gt.txt.
    """
    if ground_truth is not None:
        return read_truth(ground_truth, sequences, detector if Path(ground_truth).is_dir() else None)
    if root is None or not any(Path(root).glob("*/gt/gt.txt")):
        return None
    return read_mot_root(root, sequences, detector)


def scored_classes(
    detections: DetectionSet,
    truth: GroundTruth,
    chosen: Sequence[str] | None = None,
    protocol: str = "mot",
    note: Callable[[str], None] = lambda line: None,
) -> list[str]:
    """Return the classes to score.

    They are those chosen; else those of a protocol that has several, detected or not, since its means are over all of
    them; else those that the detections and the annotations share, and ``note`` is told of the others. Detections
    without classes are pedestrians, or of the one class there is.

    Raises:
        InputError: There is no such class.
    """
    if chosen:
        return list(chosen)
    if len(get_protocol(protocol).classes) > 1:
        return list(get_protocol(protocol).classes)
    occurring = truth.occurring_classes()
    if detections.classes:
        numbers = detections.class_numbers(truth.categories) or []
        shared = [name for name in occurring if truth.categories[name] in numbers]
    else:
        shared = ["pedestrian"] if "pedestrian" in occurring else list(occurring) if len(occurring) == 1 else []
    if not shared:
        told = f"{', '.join(detections.classes) or 'no class'} against {', '.join(occurring) or 'no box'}"
        raise InputError(f"{detections.source}: which class to score is open ({told}); choose with --classes")
    if len(shared) < len(occurring):
        left = ", ".join(name for name in occurring if name not in shared)
        note(f"not scored, as there are no detections of them: {left}; score them as well with --classes")
    return shared


def score_set(
    tracks: Mapping[str, MotTable],
    truth: GroundTruth,
    classes: Sequence[str],
    distractors: Sequence[str] | None = None,
    note: Callable[[str], None] = lambda line: None,
    **options: Any,
) -> TrackScores:
    """Score the tracks of a set of videos; see :func:`~clmot_qd.evaluation.evaluate_tracks`.

    Args:
        tracks: Video -> tracks.
        truth: What is true.
        classes: To score.
        distractors: See there.
        note: Is told of videos of the ground truth in which nothing was found.
        options: Further arguments of ``evaluate_tracks``.

    Raises:
        InputError: See there.
    """
    empty = [name for name in truth.sequences if not len(tracks.get(name, ()))]
    if empty:
        shown = ", ".join(empty[:3]) + (", ..." if len(empty) > 3 else "")
        note(f"no track in {len(empty)} of {len(truth.sequences)} sequences ({shown}): all of their objects are missed")
    return evaluate_tracks(truth, tracks, classes, distractors, iou_type="bbox", **options)
