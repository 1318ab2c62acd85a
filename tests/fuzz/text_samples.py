"""Readers of text: MOT's files, seqinfo.ini, lists of names, CSV, hyper-parameters; each with a small valid sample."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from guarded import Reader
from PIL import Image

from clmot_qd.apis.tuning.space import parse_grid, parse_space
from clmot_qd.apis.tuning.trial_files import TrialFiles
from clmot_qd.benchmark.results import read_result
from clmot_qd.datasets import mot_text
from clmot_qd.datasets.converters.class_names import read_class_names
from clmot_qd.datasets.converters.images import image_size
from clmot_qd.datasets.converters.picture_lists import PictureList
from clmot_qd.datasets.detections import read_detection_file
from clmot_qd.datasets.mot_layout import find_sequences, list_frames
from clmot_qd.datasets.mots_text import format_mots, read_mots
from clmot_qd.evaluation.evaluate import evaluate_tracks
from clmot_qd.evaluation.result_files import read_results, read_truth
from clmot_qd.files import read_json, read_text
from clmot_qd.visualization.report.history import read_history

GT = "".join(
    f"{frame},{identity},{10 + frame},20.5,30,40.25,1,1,0.9\n" for frame in (1, 2, 3) for identity in (1, 2, 7)
)
GT15 = "".join(f"{frame},{identity},{10 + frame},20,30,40,1,-1,-1,-1\n" for frame in (1, 2, 3) for identity in (1, 2))
#: Two objects and a region, each of some whole columns of 96 x 64 pixels, and an object that ends with a run of none.
_MOTS = ((2001, 2, "P:P8P^5"), (2002, 2, "PX1Pd0PT4"), (10000, 10, "Ph3P2PV2"), (2003, 2, "PP60"))
MOTS_GT = "".join(f"{frame} {one} {label} 64 96 {runs}\n" for frame in (1, 2, 3) for one, label, runs in _MOTS)
DET = "".join(f"{frame},-1,{10 + frame},20.5,30,40.25,0.{frame}\n" for frame in (1, 2, 3))
RESULT = "".join(
    f"{frame},{identity},{11 + frame},21,30,40,0.9,-1,-1,-1\n" for frame in (1, 2, 3) for identity in (1, 2)
)
SEQINFO = "[Sequence]\nname=MOT17-09-SDP\nimDir=img1\nframeRate=30\nseqLength=3\nimWidth=96\nimHeight=64\nimExt=.jpg\n"
CSV = "frame,x,y,w,h,score,class,video,e0,e1\n" + "".join(
    f"{frame},10,20.5,30,40,0.{frame},car,a,0.5,{frame}\n" for frame in (1, 2, 3)
)


def _file(name: str, text: str) -> Callable[[Path], None]:
    def build(folder: Path) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)

    return build


def _mot_file(name: str, text: str, read: Callable[[Path], Any]) -> Reader:
    return Reader(name, _file("rows.txt", text), lambda folder: read(folder / "rows.txt"), {"rows.txt": "text"})


def mot_root(folder: Path) -> None:
    sequence = folder / "train" / "MOT17-09-SDP"
    for name, text in {"gt/gt.txt": GT, "seqinfo.ini": SEQINFO, "det/det.txt": DET}.items():
        _file(name, text)(sequence)
    (sequence / "img1").mkdir()
    for number in (1, 2, 3):
        Image.new("RGB", (96, 64)).save(sequence / "img1" / f"{number:06d}.jpg")
    _file("MOT17-09-SDP.txt", RESULT)(folder / "results")


def _mots(path: Path) -> None:
    table = read_mots(path)
    masks = table.masks
    assert masks is not None
    masks.iou(masks)
    if len(masks) and masks.size[0] * masks.size[1] < 1 << 20:
        masks[:1].bitmaps()
    format_mots(table)


def _sequences(folder: Path) -> None:
    for sequence in find_sequences(folder / "train"):
        list_frames(sequence)


def _without_pictures(folder: Path) -> None:
    _file("MOT17-09/seqinfo.ini", SEQINFO)(folder / "train")


def _score(folder: Path) -> None:
    truth = read_truth(folder / "train")
    evaluate_tracks(truth, read_results(folder / "results", truth), ["pedestrian"])


def _detections(folder: Path) -> None:
    for name in ("rows.csv", "rows.txt", "list.json", "videos.json"):
        for video in read_detection_file(folder / name).videos.values():
            numbers = video.all_frames()
            assert sum(map(len, video.by_frame(numbers))) == len(video)


def _build_detections(folder: Path) -> None:
    _file("rows.csv", CSV)(folder)
    _file("rows.txt", DET)(folder)
    entry = {"frame": 1, "bbox": [10, 20, 30, 40], "score": 0.5, "class": "car", "embedding": [0.1, 0.2]}
    _file("list.json", json.dumps([entry, {**entry, "frame": 2}]))(folder)
    _file("videos.json", json.dumps({"a": [{**entry, "frame": 3}], "b": [entry, entry]}))(folder)


def _build_embeddings(folder: Path) -> None:
    _file("rows.txt", DET)(folder)
    np.save(folder / "embeds.npy", np.ones((3, 8), np.float32))
    np.savez(folder / "embeds.npz", embeds=np.ones((3, 8), np.float16))
    np.savez_compressed(folder / "packed.npz", embeds=np.ones((3, 8)))


def _embeddings(folder: Path) -> None:
    for name in ("embeds.npy", "embeds.npz", "packed.npz"):
        read_detection_file(folder / "rows.txt", folder / name)


def _names(folder: Path) -> None:
    read_class_names([str(folder / "names.txt")])
    PictureList(folder / "names.txt")


def _space(folder: Path) -> None:
    lines = read_text(folder / "space.txt").splitlines()  # arguments of a command, one on a line
    parse_space(lines)
    parse_grid(lines)


def _trials(folder: Path) -> None:
    files = TrialFiles(folder, {"metric": "HOTA", "protocol": "mot"})
    files.write(files.read())


_TRIALS = {
    "search": {"metric": "HOTA", "protocol": "mot"},
    "trials": [{"settings": {"match_thr": 0.6, "motion": None}, "scores": {"HOTA": 61.5, "IDF1": 70}, "note": ""}] * 2,
}
_BENCHMARK = {
    "machine": {"cpu": "x", "cores": 2},
    "groups": [
        {
            "section": "losses",
            "title": "100 objects",
            "unit": "frame",
            "measurements": [{"name": "a", "peer": True, "seconds": [0.1, 0.2]}],
        }
    ],
    "profiles": {},
}
_SCALARS = "".join(
    json.dumps({"lr": 0.1, "loss": 2.5 - step / 10, "epoch": 1, "iter": step, "step": step}) + "\n"
    for step in range(1, 6)
)
_PICTURES = ("jpg", "png", "gif", "bmp", "tiff", "webp")


def _build_pictures(folder: Path) -> None:
    for suffix in _PICTURES:
        exif = Image.Exif()
        exif[0x0112] = 6
        Image.new("RGB", (24, 16), (200, 10, 10)).save(folder / f"one.{suffix}", exif=exif.tobytes())


def _pictures(folder: Path) -> None:
    for suffix in _PICTURES:
        image_size(folder / f"one.{suffix}")


READERS = (
    _mot_file("mot-gt", GT, mot_text.read_ground_truth),
    _mot_file("mot15-gt", GT15, mot_text.read_ground_truth),
    _mot_file("mot-gt-rows", GT, mot_text.read_ground_truth_rows),
    _mot_file("mot-det", DET, mot_text.read_detections),
    _mot_file("mot-result", RESULT, mot_text.read_tracks),
    _mot_file("mot-blanks", GT.replace(",", " "), mot_text.read_ground_truth),
    _mot_file("mots-gt", MOTS_GT, _mots),
    Reader("seqinfo", mot_root, _sequences, {"**/seqinfo.ini": "text"}),
    Reader("seqinfo-alone", _without_pictures, _sequences, {"**/seqinfo.ini": "text"}),
    Reader("mot-scoring", mot_root, _score, {"**/gt.txt": "text", "**/seqinfo.ini": "text", "results/*.txt": "text"}),
    Reader("detections", _build_detections, _detections, {"*.csv": "text", "*.txt": "text", "*.json": "json"}),
    Reader("embeddings", _build_embeddings, _embeddings, {"*.npy": "binary", "*.npz": "npz"}),
    Reader("names", _file("names.txt", "car\nperson\na/b/c1_1.jpg\n"), _names, {"names.txt": "text"}),
    Reader("tune-space", _file("space.txt", "match_thr=0.4:0.9\nmotion=None,kalman\n"), _space, {"space.txt": "text"}),
    Reader("tune-trials", _file("trials.json", json.dumps(_TRIALS)), _trials, {"trials.json": "json"}),
    Reader(
        "benchmark",
        _file("benchmark.json", json.dumps(_BENCHMARK)),
        lambda folder: read_result(folder / "benchmark.json"),
        {"benchmark.json": "json"},
    ),
    Reader(
        "training-log",
        _file("scalars.json", _SCALARS),
        lambda folder: read_history([folder / "scalars.json"]),
        {"scalars.json": "text"},
    ),
    Reader("pictures", _build_pictures, _pictures, {"one.*": "binary"}),
    Reader(
        "json", _file("any.json", json.dumps(_TRIALS)), lambda folder: read_json(folder / "any.json"), {"*": "json"}
    ),
)
