"""Readers of annotation files, result files, caches and what a report keeps; each with a small valid sample."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from guarded import Reader
from locations import REPOSITORY

from clmot_qd.apis.detection_files import read_images
from clmot_qd.datasets.coco_checks import read_coco
from clmot_qd.datasets.coco_detection import CocoDetectionDataset
from clmot_qd.datasets.coco_identity import CocoIdentityDataset
from clmot_qd.datasets.detections import VideoDetections, read_detection_file, write_cache
from clmot_qd.datasets.pair_dataset import CocoPairDataset
from clmot_qd.datasets.video_dataset import CocoVideoDataset
from clmot_qd.evaluation.detection_ap import read_detection_truth
from clmot_qd.evaluation.evaluate import evaluate_tracks
from clmot_qd.evaluation.formats import FORMATS, read_predictions, write_results_in
from clmot_qd.evaluation.result_files import read_truth
from clmot_qd.evaluation.track_map_input import read_federation
from clmot_qd.masks import RleMasks
from clmot_qd.visualization.report.kept import read_objects, read_qualities
from clmot_qd.visualization.report.tracked import pictures_of

sys.path.append(str(REPOSITORY / "tests" / "datasets"))
from coco_builder import cocovid

_KEPT_ARRAYS = dict(
    ids=np.arange(3),
    frames=np.ones(3, np.int64),
    videos=np.zeros(3, np.int64),
    labels=np.zeros(3, np.int64),
    classes=np.array(["car"]),
    names=np.array(["a"]),
    embeds=np.ones((3, 4), np.float32),
)


def annotations() -> dict[str, Any]:
    """Two videos, two classes, and everything that some reader looks at."""
    data = cocovid({1: [0, 1, 2], 2: [0, 3]}, objects=2)
    for video in data["videos"]:
        video.update(neg_category_ids=[2], not_exhaustive_category_ids=[1], source_id=70 + video["id"])
    for image in data["images"]:
        image.update(source_id=image["id"] + 5, frame_index=30 * image["frame_id"])
    for entry in data["annotations"]:
        entry.update(difficulty=1, ignore=False, visibility=0.5, mot_conf=1.0, segmentation=[[1, 1, 9, 1, 9, 9]])
    data["categories"][0]["merged"] = [{"id": 9, "name": "child"}]
    return data


def _write(folder: Path) -> None:
    (folder / "ann.json").write_text(json.dumps(annotations()))


def _build(kind: type, **arguments: Any) -> Any:
    def read(folder: Path) -> None:
        data = kind(
            data_root=str(folder),
            ann_file="ann.json",
            data_prefix={"img": "img"},
            pipeline=[],
            check_files=False,
            **arguments,
        )
        for index in range(len(data.data_list)):
            data.get_data_info(index)

    return read


def _truth(folder: Path) -> None:
    truth = read_truth(folder / "ann.json")
    read_federation(truth)
    read_images(folder / "ann.json")
    pictures_of(truth, folder)
    for name in truth.occurring_classes():
        truth.require_scorable([name])


def _write_results(folder: Path) -> None:
    _write(folder)
    truth = read_truth(folder / "ann.json")
    tracks = {name: true.boxes for name, true in truth.sequences.items()}
    for name in ("bdd100k", "tao", "cocovid"):
        FORMATS[name].write(folder / f"{name}.json", truth, tracks)


def _results(name: str, *files: str) -> Reader:
    def read(folder: Path) -> None:
        truth = read_truth(folder / "ann.json")
        evaluate_tracks(
            truth, read_predictions(folder / f"{name}.json", truth, None), ["pedestrian"], backends=["motmetrics"]
        )

    return Reader(f"result-{name}", _write_results, read, dict.fromkeys(files, "json"))


def _write_masks(folder: Path) -> None:
    data = annotations()
    for image in data["images"]:
        image.update(height=6, width=8)
    (folder / "ann.json").write_text(json.dumps(data))
    truth = read_truth(folder / "ann.json")
    tracks = {}
    for name, true in truth.sequences.items():
        rows = np.arange(len(true.boxes))
        masks = RleMasks.of_bitmaps(np.arange(6)[:, None] % 2 == rows[:, None, None] % 2 + np.zeros(8))
        tracks[name] = replace(true.boxes, masks=masks, ids=true.boxes.ids + 300)
    write_results_in(folder, ("bdd100k", "cocovid", "mots", "bdd100k-bitmasks"), truth, tracks)


def _masks(name: str, files: str, kind: str) -> Reader:
    def read(folder: Path) -> None:
        truth = read_truth(folder / "ann.json")
        tracks = read_predictions(folder / name, truth, masks=True)
        for table in tracks.values():
            assert table.masks is None or table.masks.iou(table.masks).shape == 2 * table.masks.shape
        FORMATS["mots"].write(folder / "again", truth, {name: one for name, one in tracks.items() if one.masks})

    return Reader(f"masks-{name}", _write_masks, read, {files: kind, "ann.json": "json"})


def _write_coco_results(folder: Path) -> None:
    _write(folder)
    images = [image["id"] for image in annotations()["images"]]
    entries = [dict(image_id=image, category_id=1, bbox=[1, 2, 3, 4], score=0.5) for image in images]
    (folder / "found.json").write_text(json.dumps(entries))


def _coco_results(folder: Path) -> None:
    found = read_detection_file(folder / "found.json", images=read_images(folder / "ann.json"))
    found.class_numbers()
    for video in found.videos.values():
        video.all_frames()


def _write_caches(folder: Path) -> None:
    for name in ("a", "b/c"):
        found = VideoDetections(
            np.array([1, 2]),
            np.ones((2, 4)) * [1, 1, 5, 5],
            np.ones(2),
            np.zeros(2, int),
            np.ones((2, 3)),
            np.arange(1, 4),
        )
        write_cache(folder, name, found, ("car",), {"config": "x"}, {"reid": np.ones((2, 5))})


def _caches(folder: Path) -> None:
    for path in (folder, folder / "a.npz"):
        found = read_detection_file(path)
        found.class_numbers({"car": 1})
        for video in found.videos.values():
            sum(map(len, video.by_frame(video.all_frames())))


def _write_kept(folder: Path) -> None:
    np.savez_compressed(folder / "objects.npz", **_KEPT_ARRAYS)
    np.savez_compressed(
        folder / "qualities.npz", settings=np.ones(3), pairs=np.ones((1, 2, 5)), names=np.array(["car"])
    )


def _kept(folder: Path) -> None:
    read_objects(folder / "objects.npz")
    read_qualities(folder / "qualities.npz")


READERS = (
    Reader("coco-checks", _write, lambda folder: read_coco(folder / "ann.json"), {"ann.json": "json"}),
    Reader("coco-detection", _write, _build(CocoDetectionDataset), {"ann.json": "json"}),
    Reader("coco-identity", _write, _build(CocoIdentityDataset), {"ann.json": "json"}),
    Reader("coco-video", _write, _build(CocoVideoDataset), {"ann.json": "json"}),
    Reader("coco-pairs", _write, _build(CocoPairDataset), {"ann.json": "json"}),
    Reader("ground-truth", _write, _truth, {"ann.json": "json"}),
    Reader("detection-truth", _write, lambda folder: read_detection_truth(folder / "ann.json"), {"ann.json": "json"}),
    _results("bdd100k", "bdd100k.json", "ann.json"),
    _results("tao", "tao.json", "ann.json"),
    _results("cocovid", "cocovid.json", "ann.json"),
    _masks("bdd100k.json", "bdd100k.json", "json"),
    _masks("cocovid.json", "cocovid.json", "json"),
    _masks("mots", "mots/*.txt", "text"),
    _masks("bdd100k-bitmasks", "bdd100k-bitmasks/*/*.png", "binary"),
    Reader("coco-results", _write_coco_results, _coco_results, {"found.json": "json", "ann.json": "json"}),
    Reader("cache", _write_caches, _caches, {"*.npz": "npz"}),
    Reader("report-kept", _write_kept, _kept, {"*.npz": "npz"}),
)
