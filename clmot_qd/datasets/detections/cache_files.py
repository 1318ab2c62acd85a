"""Cache files: what a model found in a video, one ``VIDEO.npz`` each.

=============  ===================  ====================================================================
array          shape, type          meaning
=============  ===================  ====================================================================
frames         (n,) int64           number of the frame, from 1, as result files count
bboxes         (n, 4) float32       xyxy in pixels of the original image
scores         (n,) float32
labels         (n,) int64           index into ``classes``
embeds         (n, C) float32/16    embeddings as the model gives them; further kinds are ``embeds_KIND``
numbers        (T,) int64           all frames of the video
classes        (K,) text            names of the classes
video          text                 name of the video (that of the file, with ``/`` and the like as ``%2F``)
identity       text                 JSON: what made it (configuration, checkpoint)
=============  ===================  ====================================================================
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from clmot_qd.arrays import ArrayFile
from clmot_qd.datasets.detections.tables import VideoDetections
from clmot_qd.datasets.mot_layout import natural_key
from clmot_qd.datasets.mot_text import PathLike
from clmot_qd.errors import InputError, expecting_form
from clmot_qd.files import atomic_path
from clmot_qd.names import path_below

_NEEDED = ("frames", "bboxes", "scores", "labels", "numbers", "classes", "video", "identity")


def cache_path(folder: PathLike, video: str) -> Path:
    """Return where the cache file of a video stands.

    Raises:
        InputError: The name is too long for a file, or no text.
    """
    return path_below(folder, quote(video, safe=" ()[]+=,@", errors="surrogatepass"), ".npz", "cache file")


def write_cache(
    folder: PathLike,
    video: str,
    found: VideoDetections,
    classes: tuple[str, ...],
    identity: Mapping[str, Any],
    more_embeds: Mapping[str, np.ndarray] | None = None,
    half: bool = False,
) -> Path:
    """Write the cache file of a video, all or nothing.

    Args:
        folder: Where the files of all videos stand.
        video: Its name.
        found: The detections; ``numbers`` must be known.
        classes: Names of the labels.
        identity: What made them; :class:`CacheFolder` refuses to mix.
        more_embeds: Kind -> further embeddings (n, C) of the same boxes.
        half: Store embeddings in half precision.
    """
    kind = np.float16 if half else np.float32
    vectors: dict[str, Any] = {} if found.embeds is None else {"embeds": found.embeds.astype(kind)}
    vectors |= {f"embeds_{name}": value.astype(kind) for name, value in (more_embeds or {}).items()}
    path = cache_path(folder, video)
    with atomic_path(path) as temporary, open(temporary, "wb") as handle:
        np.savez(
            handle,
            frames=found.frames.astype(np.int64),
            bboxes=found.bboxes.astype(np.float32),
            scores=found.scores.astype(np.float32),
            labels=found.labels.astype(np.int64),
            numbers=found.all_frames().astype(np.int64),
            classes=np.array(classes, dtype=np.str_),
            video=np.array(video),
            identity=np.array(json.dumps(dict(identity), sort_keys=True)),
            **vectors,
        )
    return path


def read_cache(path: PathLike, kind: str = "") -> tuple[str, tuple[str, ...], VideoDetections]:
    """Read a cache file.

    Args:
        path: The file.
        kind: Of the embeddings; empty: the model's own, None where the file has none.

    Returns:
        Name of the video, names of the classes, detections.

    Raises:
        InputError: It is no cache file, or has no embeddings of that kind.
    """
    with _opened(path) as arrays:
        key = f"embeds_{kind}" if kind else "embeds"
        if kind and key not in arrays:
            raise InputError(f"{path}: has no {kind} embeddings; make the cache again with them")
        video, classes = str(arrays["video"]), _classes(arrays)
        columns: dict[str, Any] = {name: _column(arrays, name, *form) for name, form in _COLUMNS.items()}
        columns["embeds"] = _column(arrays, key, "f", 2).astype(np.float32) if key in arrays else None
    _check(path, columns, len(classes))
    return video, classes, VideoDetections(**columns)


# Array -> kind of numbers in it, number of axes.
_COLUMNS = {"frames": ("iu", 1), "bboxes": ("f", 2), "scores": ("f", 1), "labels": ("iu", 1), "numbers": ("iu", 1)}


def _column(arrays: ArrayFile, name: str, kinds: str, axes: int) -> np.ndarray:
    array = arrays[name]
    if array.dtype.kind not in kinds or array.ndim != axes:
        raise InputError(f"{arrays.path}: {name} is of type {array.dtype} and shape {array.shape}; {_AGAIN}")
    return array


def _check(path: PathLike, columns: Mapping[str, np.ndarray | None], classes: int) -> None:
    """Refuse arrays that do not fit together, and values that would fail far from here."""
    rows = {name: len(array) for name, array in columns.items() if array is not None and name != "numbers"}
    frames, bboxes, labels, numbers = (np.asarray(columns[n]) for n in ("frames", "bboxes", "labels", "numbers"))
    ordered = bool(np.all(numbers[1:] > numbers[:-1]))
    fits = len(set(rows.values())) == 1 and bboxes.shape[1] == 4 and ordered and bool(np.isin(frames, numbers).all())
    if not fits or np.any((labels < 0) | (labels >= max(classes, 1))):
        raise InputError(f"{path}: its arrays do not fit together; {_AGAIN}")


def _classes(arrays: ArrayFile) -> tuple[str, ...]:
    return tuple(map(str, _column(arrays, "classes", "U", 1)))


def _identity(arrays: ArrayFile) -> dict[str, Any]:
    with expecting_form(lambda: f"{arrays.path}: identity"):
        return dict(json.loads(str(arrays["identity"])))


def read_identity(path: PathLike) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return what made a cache file and the kinds of embeddings in it; ``""`` is the model's own.

    Raises:
        InputError: It is no cache file.
    """
    with _opened(path) as arrays:
        kinds = tuple(name.removeprefix("embeds").removeprefix("_") for name in arrays.names if "embeds" in name)
        return _identity(arrays), kinds


_AGAIN = "remove it and make it again"


def _opened(path: PathLike) -> ArrayFile:
    arrays = ArrayFile(path, "cache file", _AGAIN)
    for name in _NEEDED:
        if name not in arrays:
            raise InputError(f"{path}: no cache of detections, it has no array {name!r}")
    return arrays


class CacheFolder(Mapping[str, VideoDetections]):
    """The cache files of a folder as videos, read when they are asked for: memory holds one at a time.

    Args:
        folder: The folder.
        kind: Of the embeddings, see :func:`read_cache`.

    Raises:
        InputError: No cache files there, or files that different models or configurations made.
    """

    def __init__(self, folder: PathLike, kind: str = "") -> None:
        self.folder, self.kind = Path(folder), kind
        paths = sorted(self.folder.glob("*.npz"), key=lambda path: natural_key(path.name))
        if not paths:
            raise InputError(f"{folder}: no .npz files in here; make them with tools/cache_detections.py")
        self._paths: dict[str, Path] = {}
        self.identity: dict[str, Any] = {}
        self.classes: tuple[str, ...] = ()
        for path in paths:
            with _opened(path) as arrays:
                identity, classes = _identity(arrays), _classes(arrays)
                self._paths[str(arrays["video"])] = path
            if path == paths[0]:
                self.identity, self.classes = identity, classes
            elif (identity, classes) != (self.identity, self.classes):
                raise InputError(f"{path}: made by another model or configuration than {paths[0].name}; remove one")

    def __getitem__(self, name: str) -> VideoDetections:
        return read_cache(self._paths[name], self.kind)[2]

    def __contains__(self, name: object) -> bool:
        return name in self._paths  # the parent's would read the file

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)
