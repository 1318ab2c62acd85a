"""Training data: samples of the shipped pipelines, loaders with worker processes, annotation files.

Pictures and annotations are made up. The pipelines are those of the configurations, mmdet's those of its QDTrack.
"""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np

from clmot_qd.benchmark.cases import Case, Group, Missing, Options

CONFIGS = Path(__file__).parents[1] / ".mim" / "configs" / "_base_" / "datasets"
_STILLS = 4  # different pictures; a video shows them over and over
_OBJECTS = 40  # in a frame


def groups(options: Options) -> Iterator[Group]:
    """Yield the groups one by one."""
    frames, boxes = (20, 4_000) if options.quick else (600, 120_000)
    size = (480, 270) if options.quick else (1920, 1080)
    with TemporaryDirectory(prefix="clmot_qd-") as folder, _single_thread():
        write_pictures(Path(folder), size)
        write_video(Path(folder, "video.json"), frames, size)
        told = f"{size[0]}x{size[1]} JPEG, {frames} frames a video"
        yield Group("loading", f"two views, {told}", "sample", [_samples("clmot_qd", two_views(folder))])
        pairs = [_samples("clmot_qd", frame_pairs(folder)), _mmdet_pairs(folder)]
        yield Group("loading", f"pairs of frames, {told}", "sample", pairs)
        if not options.quick:
            cases: list[Case | Missing] = [_loader(workers, two_views(folder)) for workers in (0, 1, 2)]
            yield Group("loading", "two views, from a loader", "sample", cases)
        write_video(Path(folder, "many.json"), boxes // _OBJECTS, size)
        yield Group("loading", f"file of {boxes:,} boxes", "file", _reading(folder))


@contextlib.contextmanager
def _single_thread() -> Iterator[None]:
    """OpenCV as in training: a worker process has one core."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(0)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)


def write_pictures(folder: Path, size: tuple[int, int]) -> None:
    """JPEG files with coarse and fine structure, of about the size of photographs."""
    random = np.random.default_rng(0)
    for number in range(_STILLS):
        layers = [random.integers(0, 128, (size[1] // step, size[0] // step, 3), dtype=np.uint8) for step in (16, 2)]
        coarse, fine = (cv2.resize(layer, size, interpolation=cv2.INTER_CUBIC) for layer in layers)
        cv2.imwrite(str(folder / f"{number}.jpg"), cv2.add(coarse, fine))


def write_video(path: Path, frames: int, size: tuple[int, int]) -> None:
    """A CocoVID file with one video of these pictures and :data:`_OBJECTS` objects in each frame."""
    random = np.random.default_rng(0)
    corners = random.uniform(0, [size[0] * 0.8, size[1] * 0.6], (_OBJECTS, 2)).round(1)
    sides = random.uniform([size[0] / 100, size[1] / 15], [size[0] / 20, size[1] / 4], (_OBJECTS, 2)).round(1)
    images = [
        {"id": n, "video_id": 1, "frame_id": n, "file_name": f"{n % _STILLS}.jpg", "width": size[0], "height": size[1]}
        | {"mot_frame_id": n + 1}
        for n in range(frames)
    ]
    annotations = [
        {"id": n * _OBJECTS + k + 1, "image_id": n, "category_id": 1, "instance_id": k + 1, "iscrowd": 0}
        | {"bbox": [*corners[k], *sides[k]], "area": sides[k].prod(), "visibility": 1.0, "mot_conf": 1.0}
        for n in range(frames)
        for k in range(_OBJECTS)
    ]
    content = {"images": images, "annotations": annotations, "videos": [{"id": 1, "name": "video"}]}
    path.write_text(json.dumps(content | {"categories": [{"id": 1, "name": "pedestrian"}]}), encoding="utf-8")


def _build(kind: str, folder: str, file: str, **arguments: Any) -> Any:
    from mmdet.registry import DATASETS
    from mmengine.registry import init_default_scope

    init_default_scope("mmdet")
    place = {"data_root": folder, "ann_file": file, "data_prefix": {"img_path": "", "img": ""}}
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints
        return DATASETS.build({"type": kind, **place, "metainfo": {"classes": ("pedestrian",)}, **arguments})


def _shipped(name: str, folder: str) -> Any:
    from mmengine.config import Config

    dataset = Config.fromfile(CONFIGS / f"{name}.py").train_dataloader.dataset
    return _build(dataset.type, folder, "video.json", pipeline=dataset.pipeline, filter_cfg=dataset.filter_cfg)


def two_views(folder: str) -> Any:
    """CL-MOT's training data, over the pictures in this folder."""
    return _shipped("mot17", folder)


def frame_pairs(folder: str) -> Any:
    """QDTrack's training data, over the pictures in this folder."""
    return _shipped("mot17_pairs", folder)


def _samples(name: str, dataset: Any, peer: bool = False, video: int | None = None) -> Case:
    """Samples one after the other, in this process, as many as there are pictures."""

    def read() -> None:
        for frame in range(_STILLS):
            dataset[frame if video is None else (video, frame)]

    return Case(name, read, peer=peer, units=_STILLS, before=partial(np.random.seed, 0))


def _mmdet_pairs(folder: str) -> Case | Missing:
    """mmdet's data set and pipeline of QDTrack on MOT17."""
    import mmdet
    from mmengine.config import Config

    file = Path(mmdet.__file__).parent / ".mim" / "configs" / "_base_" / "datasets" / "mot_challenge.py"
    if not file.is_file():
        return Missing("mmdet's MOTChallengeDataset", "mim install mmdet")
    pipeline = Config.fromfile(file).train_pipeline
    dataset = _build("MOTChallengeDataset", folder, "video.json", pipeline=pipeline, visibility_thr=-1)
    return _samples("mmdet's MOTChallengeDataset", dataset, peer=True, video=0)


def _loader(workers: int, dataset: Any) -> Case:
    """One pass over 32 samples in batches of 2; the processes are there already."""
    from mmengine.dataset import pseudo_collate
    from torch.utils.data import DataLoader, Subset

    loader = DataLoader(
        Subset(dataset, range(32)),
        batch_size=2,
        num_workers=workers,
        persistent_workers=workers > 0,
        collate_fn=pseudo_collate,
    )
    name = "clmot_qd, in the main process" if workers == 0 else f"clmot_qd, {workers} workers"
    return Case(name, lambda: sum(1 for _ in loader), units=32)


def _reading(folder: str) -> list[Case | Missing]:
    """Building data sets, which reads, checks and indexes the annotations."""
    ours = {"videos": "CocoVideoDataset", "pairs": "CocoPairDataset", "pictures": "CocoDetectionDataset"}
    peers = {"mmdet's BaseVideoDataset": "BaseVideoDataset", "mmdet's CocoDataset": "CocoDataset"}
    read = partial(_build, folder=folder, file="many.json", pipeline=[])
    return [
        *(Case(f"clmot_qd, {what}", partial(read, kind)) for what, kind in ours.items()),
        *(Case(name, partial(read, kind), peer=True) for name, kind in peers.items()),
    ]
