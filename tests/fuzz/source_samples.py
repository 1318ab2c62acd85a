"""Readers of data sets to be converted; each with a small valid sample, and each read to the end of its conversion."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from coco_samples import annotations
from guarded import Reader
from locations import REPOSITORY
from PIL import Image
from scipy.io import savemat
from text_samples import GT, MOTS_GT, mot_root

from clmot_qd.datasets.coco_checks import read_coco
from clmot_qd.datasets.converters import convert, format_conversion
from clmot_qd.errors import InputError, expecting_form

sys.path.append(str(REPOSITORY / "tests" / "datasets" / "converters"))
from mask_samples import label_map, save_bitmask, save_mots
from person_samples import cell, open_data_set, picture, structs
from seq_samples import write_seq

_BOX = [10, 5, 20, 30]


def _source(
    name: str,
    build: Callable[[Path], None],
    files: dict[str, str],
    images: str = "trust",
    tag: str = "",
    **options: Any,
) -> Reader:
    def read(folder: Path) -> None:
        out = folder.parent / f"{name}{tag}-out.json"
        given = {key: value(folder) if callable(value) else value for key, value in options.items()}
        out.unlink(missing_ok=True)
        with expecting_form(lambda: name):  # as the command does
            source = open_data_set(name, folder / "root", **given)
        format_conversion(convert(source, out, images=images)).encode()
        try:
            read_coco(out)
        except InputError as error:
            raise AssertionError(f"written, but not read: {error}") from error

    def make(folder: Path) -> None:
        (folder / "root").mkdir()
        build(folder / "root")

    return Reader(f"convert-{name}{tag}", make, read, files)


def _json(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def _mot(root: Path) -> None:
    mot_root(root)
    for part in ("train", "results"):
        for path in (root / part).iterdir():
            path.rename(root / path.name)
        (root / part).rmdir()


def _jde(root: Path) -> None:
    names = [f"MOT17/images/train/a/img1/{number:06d}.jpg" for number in (1, 2)]
    (root / "list.train").write_text("".join(f"{name}\n" for name in names))
    for name in names:
        picture(root / name, 96, 64)
        label = root / name.replace("images", "labels_with_ids").replace(".jpg", ".txt")
        label.parent.mkdir(parents=True, exist_ok=True)
        label.write_text("0 1 0.5 0.5 0.25 0.5\n0 2 0.4 0.3 0.2 0.1\n")


def _mots(root: Path) -> None:
    _mot(root)
    (root / "MOT17-09-SDP" / "gt" / "gt.txt").write_text(MOTS_GT)


def _kitti_mots(root: Path) -> None:
    for number in (0, 1):
        picture(root / "image_02" / "0002" / f"{number:06d}.png", 96, 64)
        save_mots(root / "instances" / "0002" / f"{number:06d}.png", label_map(number, (1001, 2001, 10000), (64, 96)))


def _bitmasks(root: Path) -> None:
    for number in (1, 2):
        path = root / "labels" / "seg_track_20" / "bitmasks" / "train" / "a" / f"a-{number:07d}.png"
        save_bitmask(path, label_map(number, (1, 300)), {1: (3, 4), 300: (1, 3)})


def _mot_text(root: Path) -> None:
    for number in (1, 2, 3):
        picture(root / f"f{number}.jpg", 96, 64)
    (root / "labels.txt").write_text(GT)


def _crowdhuman(root: Path) -> None:
    label = dict(tag="person", fbox=_BOX, vbox=_BOX, hbox=_BOX, extra={"ignore": 0}, head_attr={"ignore": 1})
    lines = [json.dumps({"ID": name, "gtboxes": [label, {**label, "tag": "mask"}]}) for name in ("a", "b")]
    (root / "annotation_train.odgt").write_text("\n".join(lines) + "\n")
    for name in ("a", "b"):
        picture(root / "Images" / f"{name}.jpg", 96, 64)


def _caltech(root: Path) -> None:
    thing = dict(id=np.array([[1]]), pos=np.array([_BOX], float), occl=np.array([[1]]), posv=np.array([_BOX], float))
    content = dict(
        nFrame=2.0, objLists=cell([structs([thing]), structs([])]), objLbl=cell(["person", np.empty((0, 0))])
    )
    (root / "annotations" / "set00").mkdir(parents=True)
    savemat(root / "annotations" / "set00" / "V000.vbb", {"A": content}, appendmat=False, do_compression=True)
    stream = io.BytesIO()
    Image.new("RGB", (32, 24)).save(stream, "JPEG")
    write_seq(root / "set00" / "V000.seq", [stream.getvalue()] * 2)


def _citypersons_mat(root: Path) -> None:
    row = [1, *_BOX, 24000, *_BOX]
    entry = {
        "cityname": "aachen",
        "im_name": "aachen_000000_000019_leftImg8bit.png",
        "bbs": np.array([row, row], float),
    }
    savemat(root / "anno_train.mat", {"anno_train_aligned": cell([structs([entry])])})


def _citypersons_json(root: Path) -> None:
    label = dict(instanceId=1, bbox=_BOX, bboxVis=_BOX, label="pedestrian")
    path = root / "gtBboxCityPersons" / "train" / "aachen" / "aachen_000000_000019_gtBboxCityPersons.json"
    _json(path, {"imgHeight": 1024, "imgWidth": 2048, "objects": [label, {**label, "label": "ignore"}]})


def _eth(root: Path) -> None:
    picture(root / "eth01" / "left" / "image_00000001_0.png", 96, 64)
    line = '"left/image_00000001_0.png": (12, 4, 32, 61):-1, (10, 10, 20, 40):0.5;\n"left/image_00000002_0.png";\n'
    (root / "eth01" / "annot.idl").write_text(line)
    picture(root / "eth01" / "left" / "image_00000002_0.png", 96, 64)


def _prw(root: Path) -> None:
    for name in ("c1s1_000151", "c1s1_000152"):
        picture(root / "frames" / f"{name}.jpg", 96, 64)
        (root / "annotations").mkdir(exist_ok=True)
        savemat(root / "annotations" / f"{name}.jpg.mat", {"box_new": np.array([[479, *_BOX], [-2, *_BOX]], float)})
    savemat(root / "frame_train.mat", {"img_index_train": cell(["c1s1_000151", "c1s1_000152"], column=True)})


def _cuhk_sysu(root: Path) -> None:
    folder = root / "annotation"
    (folder / "test" / "train_test").mkdir(parents=True)
    box = {"idlocate": np.array([_BOX], np.uint16), "ishard": 0.0}
    savemat(folder / "Images.mat", {"Img": structs([{"imname": "s1.jpg", "nAppear": 1.0, "box": structs([box])}] * 2)})
    savemat(folder / "pool.mat", {"pool": cell(["s9.jpg"])})
    scene = structs([{"imname": "s1.jpg", "idlocate": np.array([_BOX], np.uint16)}])
    person = structs([{"idname": "p1", "nAppear": 1.0, "scene": scene}])
    savemat(folder / "test" / "train_test" / "Train.mat", {"Train": cell([person], column=True)})
    picture(root / "Image" / "SSM" / "s1.jpg", 96, 64)


def _bdd_frames(root: Path, folder: str, labels: list[dict[str, Any]]) -> None:
    frames = [
        dict(name=f"a-{n + 1:07d}.jpg", videoName="a", frameIndex=n, labels=labels, size={"width": 1280, "height": 720})
        for n in range(2)
    ]
    _json(root / folder, {"config": {"imageSize": {"width": 1280, "height": 720}}, "frames": frames})


_LABEL = dict(id="7", category="car", attributes={"occluded": True}, box2d=dict(x1=1, y1=2, x2=11.5, y2=22))
_POLYGON = dict(vertices=[[1, 2], [3, 4], [5, 6], [7, 8], [9, 20]], types="LCCLL", closed=True)
_RLE = dict(size=[720, 1280], counts=[3, 4, 5, 720 * 1280 - 12])
_NO_PIXEL = dict(id="3", category="bus", rle=dict(size=[720, 1280], counts=[720 * 1280, 0]))


def _tao(root: Path) -> None:
    video = dict(id=3, name="train/a/b", neg_category_ids=[1], not_exhaustive_category_ids=[805])
    image = dict(id=1, video_id=3, file_name="train/a/b/1.jpg", frame_index=0, width=64, height=48)
    entry = dict(id=1, image_id=1, track_id=5, category_id=805, bbox=_BOX, iscrowd=0)
    merged = [{"id": 7, "name": "child"}]
    categories = [dict(id=805, name="baby", merged=merged), dict(id=7, name="child"), dict(id=1, name="acorn")]
    tracks = [dict(id=5, category_id=805, video_id=3)]
    content = dict(videos=[video], images=[image], annotations=[entry], tracks=tracks, categories=categories)
    _json(root / "train.json", content)


def _lvis(root: Path) -> None:
    def entry(number: int, category: int, **more: Any) -> dict[str, Any]:
        return (
            dict(id=number, image_id=9, category_id=category, bbox=_BOX, area=7, segmentation=[[1, 1, 9, 1, 9, 9]])
            | more
        )

    image = dict(id=9, file_name="COCO_train2014_000000000009.jpg", width=64, height=48, neg_category_ids=[805])
    runs = {"counts": [10, 20, 64 * 48 - 30], "size": [48, 64]}
    lvis = dict(images=[image], categories=[dict(id=805, name="baby", synset="person.n.01")])
    _json(root / "annotations" / "lvis_v0.5_train.json", lvis | dict(annotations=[entry(1, 805)]))
    coco = dict(images=[image], categories=[dict(id=1, name="person")])
    coco["annotations"] = [entry(101, 1, segmentation=runs, iscrowd=1), entry(102, 1, segmentation=[])]
    _json(root / "annotations" / "instances_train2017.json", coco)
    _json(root / "annotations" / "coco_to_synset.json", {"person": {"coco_cat_id": 1, "synset": "person.n.01"}})


def _waymo(root: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    stream = io.BytesIO()
    Image.new("RGB", (96, 64)).save(stream, "JPEG")
    key = {"key.segment_context_name": ["s", "s"], "key.frame_timestamp_micros": [1, 2], "key.camera_name": [1, 1]}
    box = {f"[CameraBoxComponent].box.{part}": [20.0, 30.0] for part in ("center.x", "center.y", "size.x", "size.y")}
    more = {"[CameraBoxComponent].type": [1, 2], "[CameraBoxComponent].difficulty_level.tracking": [1, 2]}
    tables = {
        "camera_image": key | {"[CameraImageComponent].image": [stream.getvalue()] * 2},
        "camera_box": key | {"key.camera_object_id": ["a", "b"]} | box | more,
    }
    for name, columns in tables.items():
        (root / name).mkdir()
        parquet.write_table(pa.table(columns), root / name / "s.parquet")


def _in(name: str) -> Callable[[Path], Path]:
    return lambda folder: folder / "root" / name


READERS = (
    _source("mot17", _mot, {"**/gt.txt": "text", "**/seqinfo.ini": "text"}),
    _source("mots20", _mots, {"**/gt.txt": "text", "**/seqinfo.ini": "text"}, "check"),
    _source("kitti-mots", _kitti_mots, {"**/instances/*/*.png": "binary"}, "check"),
    _source(
        "mot-text",
        _mot_text,
        {"root/labels.txt": "text"},
        "check",
        labels=_in("labels.txt"),
        class_names=["car", "bus"],
    ),
    _source(
        "jde-text",
        _jde,
        {"**/*.train": "text", "**/0*.txt": "text"},
        "check",
        lists=lambda folder: [_in("list.train")(folder)],
    ),
    _source(
        "coco", lambda root: _json(root / "ann.json", annotations()), {"root/ann.json": "json"}, ann=_in("ann.json")
    ),
    _source("crowdhuman", _crowdhuman, {"**/*.odgt": "text"}, "check"),
    _source("caltech", _caltech, {"**/*.vbb": "mat", "**/*.seq": "binary"}, extract=True),
    _source("citypersons", _citypersons_mat, {"**/*.mat": "mat"}),
    _source("citypersons", _citypersons_json, {"**/*.json": "json"}, tag="-json"),
    _source("eth", _eth, {"**/*.idl": "text"}, "check"),
    _source("prw", _prw, {"**/*.mat": "mat"}, "check"),
    _source("cuhk-sysu", _cuhk_sysu, {"**/*.mat": "mat"}, "check"),
    _source(
        "bdd100k-det",
        lambda root: _bdd_frames(root, "labels/det_20/det_train.json", [_LABEL, _LABEL]),
        {"**/*.json": "json"},
    ),
    _source(
        "bdd100k-track",
        lambda root: _bdd_frames(root, "labels/box_track_20/train/a.json", [_LABEL, _LABEL | {"id": 8}]),
        {"**/*.json": "json"},
    ),
    _source(
        "bdd100k-seg-track",
        lambda root: _bdd_frames(
            root,
            "labels/seg_track_20/rles/train/a.json",
            [dict(id="1", category="car", poly2d=[_POLYGON]), dict(id="2", category="bus", rle=_RLE), _NO_PIXEL],
        ),
        {"**/*.json": "json"},
    ),
    _source("bdd100k-seg-track", _bitmasks, {"**/*.png": "binary"}, tag="-bitmasks"),
    _source("tao", _tao, {"**/*.json": "json"}),
    _source("lvis-coco", _lvis, {"**/*.json": "json"}),
    _source("waymo", _waymo, {"**/*.parquet": "parquet"}),
)
