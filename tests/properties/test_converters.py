"""Annotations in every source's own form become the same CocoVID truth: objects, identities, classes, boxes, frames."""

from __future__ import annotations

import json
import tempfile
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from clmot_qd.datasets.converters import Report, convert, data_sets
from clmot_qd.evaluation import GroundTruth, read_cocovid, read_truth

WIDTH, HEIGHT = 64, 48
CLASSES = ("pedestrian", "car", "bus")
PICTURE = cv2.imencode(".jpg", np.zeros((HEIGHT, WIDTH, 3), np.uint8))[1].tobytes()


class Thing(NamedTuple):
    """One box in one frame (from 0) of a video."""

    frame: int
    identity: int
    label: int
    box: tuple[float, float, float, float]  # x, y, w, h


class Data(NamedTuple):
    """Videos of so many frames, and what is in them."""

    lengths: Mapping[str, int]
    things: Mapping[str, list[Thing]]


@st.composite
def datas(draw: st.DrawFn) -> Data:
    videos = draw(st.lists(st.text("abcXYZ019_-", min_size=1, max_size=6), min_size=1, max_size=3, unique_by=str.lower))
    lengths = {name: draw(st.integers(1, 4)) for name in videos}
    return Data(lengths, {name: draw(things(lengths[name])) for name in videos})


@st.composite
def things(draw: st.DrawFn, frames: int) -> list[Thing]:
    """No identity twice in a frame, one class for an identity, boxes within the picture."""
    places = draw(st.lists(st.tuples(st.integers(0, frames - 1), st.integers(1, 6)), max_size=7, unique=True))
    found = []
    for frame, identity in places:
        # Which of the six it is shows in x, too: no two boxes of a frame are equal.
        x, y = 6 * draw(st.integers(0, 9)) + identity - 1 + draw(st.floats(0, 0.5)), draw(st.floats(0, HEIGHT - 4))
        w, h = draw(st.floats(1, WIDTH - x)), draw(st.floats(1, HEIGHT - y))
        found.append(Thing(frame, identity, identity % 3, (x, y, w, h)))
    return found


def rows(things: list[Thing]) -> str:
    return "".join(f"{t.frame + 1},{t.identity},{','.join(map(repr, t.box))},1,{t.label + 1},1.0\n" for t in things)


def add_pictures(folder: Path, frames: int) -> None:
    folder.mkdir(parents=True)
    for frame in range(frames):
        (folder / f"{frame + 1:06d}.jpg").write_bytes(PICTURE)


def as_mot(root: Path, data: Data) -> dict[str, Any]:
    """MOT's first three classes are others; only the numbers count."""
    for name, things in data.things.items():
        add_pictures(root / name / "img1", data.lengths[name])
        (root / name / "gt").mkdir()
        (root / name / "gt" / "gt.txt").write_text(rows(things))
        (root / name / "seqinfo.ini").write_text(f"[Sequence]\nname={name}\nseqLength={data.lengths[name]}\n")
    return {}


def as_mot_text_folder(root: Path, data: Data) -> dict[str, Any]:
    labels = root.parent / "labels"
    labels.mkdir()
    for name, things in data.things.items():
        add_pictures(root / name, data.lengths[name])
        (labels / f"{name}.txt").write_text(rows(things))
    return {"labels": labels, "class_names": CLASSES}


def as_jde(root: Path, data: Data) -> dict[str, Any]:
    """One list for each video, as an identity is one person within a list."""
    lists = []
    for name, things in data.things.items():
        add_pictures(root / name / "images", data.lengths[name])
        lists.append(root.parent / f"{name}.train")
        lists[-1].write_text("".join(f"{name}/images/{frame + 1:06d}.jpg\n" for frame in range(data.lengths[name])))
        labels: dict[int, str] = defaultdict(str)
        for thing in things:
            x, y, w, h = thing.box
            shares = ((x + w / 2) / WIDTH, (y + h / 2) / HEIGHT, w / WIDTH, h / HEIGHT)
            labels[thing.frame] += f"{thing.label} {thing.identity} {' '.join(map(repr, shares))}\n"
        (root / name / "labels_with_ids").mkdir()
        for frame, text in labels.items():
            (root / name / "labels_with_ids" / f"{frame + 1:06d}.txt").write_text(text)
    return {"lists": lists, "class_names": CLASSES, "videos": True}


def as_scalabel(root: Path, data: Data) -> dict[str, Any]:
    frames = []
    for name, things in data.things.items():
        for frame in range(data.lengths[name]):
            labels = [scalabel_of(thing) for thing in things if thing.frame == frame]
            place = {"videoName": name, "name": f"{name}-{frame + 1:07d}.jpg", "frameIndex": frame}
            frames.append(place | {"labels": labels})
    (root / "labels.json").write_text(json.dumps(frames[::-1]))
    return {"labels": root / "labels.json"}


def scalabel_of(thing: Thing) -> dict[str, Any]:
    x, y, w, h = thing.box
    box = {"x1": x, "y1": y, "x2": x + w, "y2": y + h}
    return {"id": str(thing.identity), "category": CLASSES[thing.label], "box2d": box}


def as_tao(root: Path, data: Data) -> dict[str, Any]:
    content = as_coco_lists(data)
    classes = {entry["track_id"]: entry["category_id"] for entry in content["annotations"]}
    tracks = [{"id": track, "category_id": number} for track, number in classes.items()]
    (root / "train.json").write_text(json.dumps(content | {"tracks": tracks}))
    return {}


def as_coco(root: Path, data: Data) -> dict[str, Any]:
    (root / "ann.json").write_text(json.dumps(as_coco_lists(data)))
    return {"ann": root / "ann.json"}


def as_coco_lists(data: Data) -> dict[str, Any]:
    content: dict[str, Any] = {"videos": [], "images": [], "annotations": []}
    content["categories"] = [{"id": number + 5, "name": name} for number, name in enumerate(CLASSES)]
    for video, (name, things) in enumerate(data.things.items(), start=40):
        content["videos"].append({"id": video, "name": name})
        for frame in range(data.lengths[name]):
            place = {"id": 100 * video + frame, "video_id": video, "frame_id": frame, "frame_index": 30 * frame}
            content["images"].append(place | {"file_name": f"{name}/{frame}.jpg", "width": WIDTH, "height": HEIGHT})
        for thing in things:
            identity = 100 * video + thing.identity
            entry = {"id": len(content["annotations"]) + 1, "image_id": 100 * video + thing.frame, "track_id": identity}
            entry |= {"instance_id": identity, "category_id": thing.label + 5, "bbox": thing.box}
            content["annotations"].append(entry)
    return content


SOURCES: dict[str, Callable[[Path, Data], dict[str, Any]]] = {
    "mot17": as_mot,
    "mot-text": as_mot_text_folder,
    "jde-text": as_jde,
    "bdd100k-track": as_scalabel,
    "tao": as_tao,
    "coco": as_coco,
}


def converted(name: str, root: Path, out: Path, **options: Any) -> dict[str, Any]:
    """As the command does it: every option has a value."""
    entry = data_sets()[name]
    values = {
        option.name: option.arguments.get("default", False if option.arguments.get("action") == "store_true" else None)
        for option in entry.options
    }
    looked_at = "check" if name in ("jde-text", "mot17", "mot-text") else "trust"
    source = entry.open_source(root=root, report=Report(True), **(values | options))
    convert(source, out, images=looked_at)
    return json.loads(out.read_text())


def assert_tells(truth: GroundTruth, data: Data, label_of: Callable[[int], int]) -> None:
    assert set(truth.sequences) == set(data.things)
    for name, things in data.things.items():
        found = truth.sequences[name]
        assert len(found.frames) == data.lengths[name]
        assert len(found.boxes) == len(things)
        frames, renamed = found.frames.tolist(), dict[int, int]()
        for row, frame in enumerate(found.boxes.frames.tolist()):
            box = found.boxes.bboxes[row]
            same = next(t for t in things if frames[t.frame] == frame and np.allclose(box, t.box, rtol=0, atol=1e-4))
            identity = int(found.boxes.ids[row])
            assert renamed.setdefault(same.identity, identity) == identity
            assert found.boxes.class_ids[row] == label_of(same.label)
        assert len(set(renamed.values())) == len(renamed)


@pytest.mark.parametrize("name", SOURCES)
@given(data=datas())
def test_every_source_tells_the_same(name: str, data: Data) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root, out = Path(folder, "root"), Path(folder, "out.json")
        root.mkdir()
        content = converted(name, root, out, **SOURCES[name](root, data))
        numbers = {entry["name"]: entry["id"] for entry in content["categories"]}
        by_name = {label: numbers.get(title, label + 1) for label, title in enumerate(CLASSES)}
        assert_tells(read_cocovid(out), data, (lambda label: label + 1) if name == "mot17" else by_name.__getitem__)
        if name == "mot17":  # the folder itself as ground truth says so, too
            assert_tells(read_truth(root), data, lambda label: label + 1)


@pytest.mark.parametrize("name", SOURCES)
@given(data=datas())
def test_converting_what_was_converted_changes_nothing(name: str, data: Data) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root, once, twice = Path(folder, "root"), Path(folder, "once.json"), Path(folder, "twice.json")
        root.mkdir()
        first = converted(name, root, once, **SOURCES[name](root, data))
        second = converted("coco", root, twice, ann=once, keep_outside=True)
        assert compared(second) == compared(first)


KEPT = {
    "videos": ("id", "name", "width", "height", "length"),
    "images": ("id", "video_id", "frame_id", "file_name", "width", "height"),
    "annotations": ("id", "image_id", "video_id", "category_id", "instance_id", "bbox", "iscrowd", "ignore"),
    "categories": ("id", "name"),
}


def compared(content: dict[str, Any]) -> dict[str, Any]:
    """What every converter writes; numbers of the source and marks of single data sets aside."""
    return {key: [{name: entry[name] for name in names} for entry in content[key]] for key, names in KEPT.items()}
