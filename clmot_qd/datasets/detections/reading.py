"""One reader for detections in any format, and for the folders of a whole data set."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from clmot_qd.arrays import ArrayFile, read_array
from clmot_qd.datasets.detections.cache_files import CacheFolder, read_cache
from clmot_qd.datasets.detections.csv_rows import is_header, read_csv_rows
from clmot_qd.datasets.detections.json_rows import Images, read_json_rows
from clmot_qd.datasets.detections.tables import DetectionSet, VideoDetections, to_set
from clmot_qd.datasets.mot_layout import find_sequences
from clmot_qd.datasets.mot_text import PathLike, read_detections
from clmot_qd.errors import InputError
from clmot_qd.geometry import xywh_to_xyxy


def read_detection_file(
    path: PathLike,
    embeds: PathLike | None = None,
    images: Images | None = None,
    frame_offset: int = 0,
) -> DetectionSet:
    """Read detections: MOT text, CSV with a header, JSON, a cache file or a folder of cache files.

    Args:
        path: The file. ``.json`` and ``.npz`` are known by their names, the rest is text; text whose first field is no
            number has a header. A video without a name gets that of its file (SEQUENCE for SEQUENCE/det/det.txt).
        embeds: ``.npy`` or ``.npz`` with one embedding per row of a text file or entry of a JSON file.
        images: What an annotation file says of COCO results.
        frame_offset: Added to all frame numbers of a CSV or JSON file: 1 for one that counts from 0.

    Raises:
        InputError: The file is missing, of no such format or malformed; the message names the line or entry.
    """
    path = Path(path)
    if path.is_dir() or path.suffix == ".npz":
        if embeds is not None or frame_offset:
            raise InputError(f"{path}: a cache has its own embeddings and frame numbers; give neither beside it")
        return _read_caches(path)
    name = video_name(path)
    if path.suffix == ".json":
        rows = read_json_rows(path, images)
    elif _has_header(path):
        rows = read_csv_rows(path)
    else:
        return _read_mot(path, name, embeds, frame_offset)
    if embeds is not None:
        if rows.embeds is not None:
            raise InputError(f"{path}: has embeddings itself; leave {embeds} out")
        vectors = read_embeddings(embeds, len(rows.frames))
        rows = replace(rows, embeds=vectors)
    return to_set(str(path), rows, name, frame_offset)


def read_sequence_detections(
    root: PathLike,
    pattern: str = "det/det.txt",
    embeds: str | None = None,
    sequences: Sequence[str] | None = None,
    detector: str | None = None,
    frame_offset: int = 0,
) -> DetectionSet:
    """Read the detections of every sequence of a data set in MOTChallenge layout.

    Args:
        root: Folder of the sequence folders.
        pattern: Where the detections of a sequence stand, see :func:`video_file`.
        embeds: The same for its embeddings; None: without.
        sequences: Names of those to take; None takes all.
        detector: Keep this one of MOT17's three copies.
        frame_offset: See :func:`read_detection_file`.

    Raises:
        InputError: A file is missing or malformed.
    """
    videos, names = {}, {}
    for sequence in find_sequences(root, sequences, detector):
        path = video_file(root, sequence.name, pattern)
        vectors = None if embeds is None else video_file(root, sequence.name, embeds)
        found = read_detection_file(path, vectors, frame_offset=frame_offset)
        videos[sequence.name], names[sequence.name] = _only_video(found, path), found.classes
    classes = tuple(dict.fromkeys(entry for listed in names.values() for entry in listed))
    unlabelled = [name for name, listed in names.items() if not listed and len(videos[name])]
    if classes and unlabelled:
        raise InputError(f"{root}: {unlabelled[0]} has detections without classes, others have some; make them agree")
    merged = {name: _relabelled(videos[name], names[name], classes) for name in videos}
    return DetectionSet(str(root), merged, classes)


def video_file(root: PathLike, video: str, pattern: str) -> Path:
    """Return ROOT/VIDEO/PATTERN, or ROOT/PATTERN where the pattern says itself where ``{video}`` stands.

    Raises:
        InputError: There is no such file.
    """
    path = Path(root, pattern.replace("{video}", video)) if "{video}" in pattern else Path(root, video, pattern)
    if not path.exists():
        raise InputError(f"{path}: no such file: put the public detections of the sequence there, or correct 'root'")
    return path


def video_name(path: Path) -> str:
    """Return SEQUENCE of SEQUENCE/det/det.txt or SEQUENCE/gt/gt.txt, the name of the file otherwise."""
    return path.resolve().parents[1].name if path.parent.name in ("det", "gt") else path.stem


def read_embeddings(path: PathLike, rows: int) -> np.ndarray:
    """Read embeddings (rows, C) from a .npy file, or from a .npz file with one array or one called ``embeds``.

    Row i belongs to row i of the detections.

    Raises:
        InputError: The file cannot be read, has another number of rows, or values that are not finite.
    """
    embeds = _packed_embeddings(path) if zipfile.is_zipfile(path) else read_array(path)
    if embeds.ndim != 2 or len(embeds) != rows or embeds.dtype.kind not in "fiu":
        told = f"shape {embeds.shape} of {embeds.dtype}"
        raise InputError(f"{path}: {told}; it must be ({rows}, C) numbers, one row per row of the det file")
    embeds = embeds.astype(np.float32)
    bad = ~np.isfinite(embeds).all(axis=1)
    if bad.any():
        raise InputError(f"{path}: row {int(bad.argmax())} (from 0) has a value that is not finite")
    return embeds


def _packed_embeddings(path: PathLike) -> np.ndarray:
    with ArrayFile(path) as arrays:
        if len(arrays.names) > 1 and "embeds" not in arrays:
            raise InputError(f"{path}: several arrays ({', '.join(arrays.names)}), none of them called 'embeds'")
        return arrays["embeds" if "embeds" in arrays else next(iter(arrays.names), "embeds")]


def _has_header(path: Path) -> bool:
    try:
        with open(path, encoding="utf-8-sig") as handle:
            return is_header(next((line for line in handle if line.strip()), "0"))
    except UnicodeDecodeError:
        return False  # the reader of MOT text says what is wrong
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path") from error


def _read_mot(path: Path, name: str, embeds: PathLike | None, frame_offset: int) -> DetectionSet:
    if frame_offset:
        raise InputError(f"{path}: frames of MOT text count from 1; a frame offset is for CSV and JSON")
    table = read_detections(path)
    vectors = None if embeds is None else read_embeddings(embeds, len(table))
    corners = xywh_to_xyxy(table.bboxes)
    labels = np.zeros(len(table), dtype=np.int64)
    return DetectionSet(str(path), {name: VideoDetections(table.frames, corners, table.scores, labels, vectors)})


def _read_caches(path: Path) -> DetectionSet:
    if path.is_dir():
        folder = CacheFolder(path)
        return DetectionSet(str(path), folder, folder.classes)
    video, classes, found = read_cache(path)
    return DetectionSet(str(path), {video: found}, classes)


def _only_video(found: DetectionSet, path: Path) -> VideoDetections:
    if len(found.videos) != 1:
        raise InputError(f"{path}: is about {len(found.videos)} videos; give it by itself, not as a sequence's file")
    return next(iter(found.videos.values()))


def _relabelled(found: VideoDetections, old: Sequence[str], new: Sequence[str]) -> VideoDetections:
    if not old or tuple(old) == tuple(new):
        return found
    target = np.array([new.index(name) for name in old])
    return replace(found, labels=target[found.labels])
