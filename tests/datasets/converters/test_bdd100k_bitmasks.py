"""BDD100K's segmentation tracking labels as PNG files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from driving_samples import converted, opened, refused, write_json
from mask_samples import HEIGHT, WIDTH, label_map, masks_of, save_bitmask
from PIL import Image

from clmot_qd.datasets.converters.bdd100k import CLASSES
from clmot_qd.datasets.mask_pictures import read_bitmasks
from clmot_qd.errors import InputError

VIDEOS = ("000d4f89-3bcbe37a", "b1c66a42-6f7d68ca")
#: id -> (class, attributes)
OBJECTS = {1: (3, 0), 2: (1, 4), 300: (8, 8 + 1), 65535: (3, 2 + 4)}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for video in VIDEOS:
        for frame in (1, 2):
            save_bitmask(path_of(tmp_path, video, frame), label_map(frame, tuple(OBJECTS)), OBJECTS)
    return tmp_path


def path_of(root: Path, video: str, frame: int) -> Path:
    return root / "labels" / "seg_track_20" / "bitmasks" / "train" / video / f"{video}-{frame:07d}.png"


def test_masks_classes_attributes_and_identities(root: Path) -> None:
    data, result = converted("bdd100k-seg-track", root)
    assert [video["name"] for video in data["videos"]] == list(VIDEOS)
    names = [image["file_name"] for image in data["images"]]
    assert names[:2] == [f"{VIDEOS[0]}/{VIDEOS[0]}-000000{number}.jpg" for number in (1, 2)]
    assert [image["frame_index"] for image in data["images"]] == [0, 1] * 2
    assert {(image["width"], image["height"]) for image in data["images"]} == {(WIDTH, HEIGHT)}
    known: dict[tuple[int, int], int] = {}
    for image in data["images"]:
        runs = masks_of(label_map(image["frame_index"] + 1, tuple(OBJECTS)))
        entries = [entry for entry in data["annotations"] if entry["image_id"] == image["id"]]
        assert sorted(entry["segmentation"]["counts"] for entry in entries) == sorted(runs.values())
        by_runs = {entry["segmentation"]["counts"]: entry for entry in entries}
        for one, (number, attributes) in OBJECTS.items():
            entry = by_runs[runs[one]]
            assert entry["category_id"] == number
            assert (entry["ignore"], entry["iscrowd"]) == (bool(attributes & 1), attributes >> 1 & 1)
            assert (entry["occluded"], entry["truncated"]) == (bool(attributes & 4), bool(attributes & 8))
            assert known.setdefault((image["video_id"], one), entry["instance_id"]) == entry["instance_id"]
    assert len(set(known.values())) == 8
    assert result.remarks == []
    assert result.published.videos == 154


def test_boxes_are_those_around_the_masks(root: Path) -> None:
    data, _ = converted("bdd100k-seg-track", root)
    labels = label_map(1, tuple(OBJECTS))
    for entry in data["annotations"][:4]:
        one = next(one for one, runs in masks_of(labels).items() if runs == entry["segmentation"]["counts"])
        rows, columns = np.nonzero(labels == one)
        x, y, width, height = entry["bbox"]
        assert (x, y, x + width, y + height) == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        assert entry["area"] == len(rows)


def test_rles_come_first_then_bitmasks_then_polygons(root: Path) -> None:
    frames = [{"name": f"{VIDEOS[0]}-0000001.jpg", "videoName": VIDEOS[0], "frameIndex": 0, "labels": []}]
    labels = root / "labels" / "seg_track_20"
    write_json(labels / "polygons" / "train" / "a.json", frames)
    assert len(converted("bdd100k-seg-track", root)[0]["images"]) == 4
    write_json(labels / "rles" / "train" / "a.json", frames)
    assert len(converted("bdd100k-seg-track", root)[0]["images"]) == 1
    assert len(converted("bdd100k-seg-track", root, labels=labels / "bitmasks" / "train")[0]["images"]) == 4


def test_still_pictures(tmp_path: Path) -> None:
    folder = tmp_path / "labels" / "ins_seg" / "bitmasks" / "train"
    for seed, (name, width) in enumerate({"a": 16, "b": 17}.items()):
        save_bitmask(folder / f"{name}.png", label_map(seed, tuple(OBJECTS), (HEIGHT, width)), OBJECTS)
    data, result = converted("bdd100k-ins-seg", tmp_path)
    names = [(image["file_name"], image["width"], "video_id" in image) for image in data["images"]]
    assert names == [("a.jpg", 16, False), ("b.jpg", 17, False)]
    assert len(data["annotations"]) == 8
    assert not any("instance_id" in entry for entry in data["annotations"])
    assert data["annotations"][7]["segmentation"]["size"] == [HEIGHT, 17]
    assert result.remarks == []
    assert opened("bdd100k-ins-seg", tmp_path).images == tmp_path / "images" / "10k" / "train"
    polygon = {"vertices": [[1, 2], [5, 2], [5, 8]], "types": "LLL", "closed": True}
    label = {"id": "1", "category": "car", "poly2d": [polygon, polygon]}
    frames = [{"name": "c.jpg", "labels": [label, label]}]
    file = write_json(tmp_path / "labels" / "ins_seg" / "polygons" / "ins_seg_train.json", frames)
    data, _ = converted("bdd100k-ins-seg", tmp_path, labels=file)
    assert [len(entry["segmentation"]) for entry in data["annotations"]] == [2, 2]


def test_they_are_no_labels_of_other_tasks(root: Path) -> None:
    folder = path_of(root, VIDEOS[0], 1).parent.parent
    assert "only bdd100k-seg-track and bdd100k-ins-seg have labels as bitmasks" in refused(
        "bdd100k-track", root, labels=folder
    )


def test_objects_of_no_identity_of_unknown_classes_and_of_two_kinds(root: Path) -> None:
    path = path_of(root, VIDEOS[0], 1)
    pixels = np.zeros((HEIGHT, WIDTH, 4), dtype=np.uint8)
    pixels[0, 0] = (2, 0, 0, 0)
    pixels[0, 1] = (9, 0, 0, 7)
    pixels[0, 2:4] = (1, 0, 0, 8)
    pixels[0, 4] = (1, 1, 0, 8)
    pixels[0, 5] = (0, 3, 0, 1)  # no object
    Image.fromarray(pixels, "RGBA").save(path)
    data, result = converted("bdd100k-seg-track", root)
    entries = [entry for entry in data["annotations"] if entry["image_id"] == 1]
    assert [(entry["category_id"], entry.get("instance_id") is None) for entry in entries] == [(2, True), (1, False)]
    assert [entry["bbox"] for entry in entries] == [[0, 0, 1, 1], [2, 0, 2, 1]]
    assert sorted(result.remarks) == [
        f"kept 1 x mask of identity 0, its box without identity: {path}: object 0",
        f"skipped 1 x box of unknown class '9': {path}: object 7",
        f"skipped 1 x second box of an identity in one frame: {path}: object 8 (identity 8)",
    ]


def test_pictures_that_are_none(root: Path) -> None:
    path = path_of(root, VIDEOS[1], 2)
    Image.new("RGB", (WIDTH, HEIGHT)).save(path)
    assert "masks are PNG files with the four channels R, G, B, A" in refused("bdd100k-seg-track", root)
    save_bitmask(path, np.zeros((HEIGHT, WIDTH + 1), dtype=np.uint16), {})
    assert "masks of 17 x 12 pixels, but 16 x 12 is the size of the pictures" in refused("bdd100k-seg-track", root)
    save_bitmask(path.with_name("x.png"), np.zeros((HEIGHT, WIDTH), dtype=np.uint16), {})
    path.unlink()
    assert "no number in its name, which should end in -0000001.png" in refused("bdd100k-seg-track", root)


def test_pictures_in_other_places(root: Path) -> None:
    folder = path_of(root, VIDEOS[0], 1).parent
    assert "it has PNG files, but not as VIDEO/VIDEO-0000001.png" in refused("bdd100k-seg-track", root, labels=folder)
    assert "but not as NAME.png" in refused("bdd100k-ins-seg", root, labels=folder.parent)


def test_read_bitmasks(root: Path) -> None:
    found = read_bitmasks(path_of(root, VIDEOS[0], 1), (HEIGHT, WIDTH))
    order = np.argsort(found.ids)
    assert found.ids[order].tolist() == list(OBJECTS)
    assert list(zip(found.class_ids[order].tolist(), found.attributes[order].tolist())) == list(OBJECTS.values())
    assert found.masks[order].texts() == list(masks_of(label_map(1, tuple(OBJECTS))).values())
    with pytest.raises(InputError, match="no such picture of masks"):
        read_bitmasks(root / "x.png")


def test_pictures_are_looked_at(root: Path) -> None:
    source = opened("bdd100k-seg-track", root)
    assert source.images == root / "images" / "seg_track_20" / "train"
    assert list(source.categories)[:8] == list(CLASSES)
