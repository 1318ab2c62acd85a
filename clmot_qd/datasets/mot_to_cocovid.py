"""Convert a folder of MOTChallenge sequences into one CocoVID annotation file: a short way to the converters.

The file serves training (mmdet's ``CocoDataset`` reads it as still images) and testing (videos) alike::

    videos       id, name, width, height, fps, length
    images       id, video_id, frame_id (from 0, gaps are those of the source), mot_frame_id (number there), file_name,
                 width, height
    annotations  id, image_id, video_id, category_id, instance_id, bbox [x, y, w, h], area, iscrowd, ignore,
                 visibility, mot_conf, mot_class_id
    categories   id (MOT's class number), name

Boxes are those of the source, not rounded, not shifted by one. Boxes with mark 0 are kept with ``ignore`` true.
``instance_id`` counts from 1 over the whole file and is the same whichever half of the frames is converted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from clmot_qd.datasets.converters import Conversion, Report, convert
from clmot_qd.datasets.converters.conversion import Progress
from clmot_qd.datasets.converters.images import ImagePolicy
from clmot_qd.datasets.converters.mot import Split, open_mot
from clmot_qd.datasets.mot_text import PathLike

CocoVid = dict[str, list[dict[str, Any]]]


def convert_mot(
    root: PathLike,
    out: PathLike | None,
    *,
    sequences: Sequence[str] | None = None,
    classes: Sequence[str] | None = None,
    detector: str | None = None,
    split: Split = "all",
    identities: bool = True,
    images: ImagePolicy = "check",
    strict: bool = False,
    progress: Progress = lambda frames, total: frames,
) -> Conversion:
    """Convert the sequences below ``root`` and write them to ``out`` (JSON), all or nothing.

    ``sequences``, ``detector`` and ``split`` are those of :func:`~clmot_qd.datasets.converters.mot.open_mot`, the
    others those of :func:`~clmot_qd.datasets.converters.convert`; ``strict`` refuses what would be skipped and counted.

    Raises:
        InputError: Unknown class, sequence or detector, malformed ground truth, missing or unreadable images.
    """
    source = open_mot(root, Report(strict), sequences=sequences, detector=detector, split=split)
    return convert(source, out, classes=classes, identities=identities, images=images, progress=progress)
