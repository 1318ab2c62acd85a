"""The masks of the demo data: those of the drawing, bit for bit, in both forms in which they are written."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from clmot_qd.datasets.demo.truth_files import write_mots_truth
from clmot_qd.datasets.demo_scenes import DemoSettings, build_scene, make_demo_data
from clmot_qd.datasets.mot_text import make_table
from clmot_qd.datasets.mots_text import read_mots
from clmot_qd.datasets.seqinfo import read_seqinfo
from clmot_qd.evaluation.evaluate import evaluate_tracks
from clmot_qd.evaluation.ground_truth import read_cocovid
from clmot_qd.masks import RleMasks

FIGURES, CARS = 8, 4
SETTINGS = DemoSettings(
    train_sequences=1, train_frames=3, test_sequences=2, test_frames=6, figures=FIGURES, cars=CARS, width=160, height=96
)
PEDESTRIAN, CAR, DISTRACTOR = 1, 3, 8


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_demo_data(tmp_path_factory.mktemp("masks") / "data", SETTINGS, lambda _: None)


def load(folder: Path, name: str) -> dict:
    return json.loads((folder / "annotations" / f"{name}.json").read_text())


def by_picture(document: dict) -> dict[int, list[dict]]:
    entries = defaultdict(list)
    for entry in document["annotations"]:
        entries[entry["image_id"]].append(entry)
    return entries


def masks_of(entries: list[dict]) -> RleMasks:
    assert all(entry["segmentation"]["size"] == [96, 160] for entry in entries)
    return RleMasks.of([entry["segmentation"]["counts"].encode() for entry in entries], (96, 160))


@pytest.mark.parametrize(("name", "split"), [("train", "train"), ("train_with_ids", "train"), ("test", "test")])
def test_annotations_carry_the_pixels_on_which_each_thing_is_seen(data: Path, name: str, split: str) -> None:
    document = load(data, name)
    entries = by_picture(document)
    count = 0
    for image in document["images"]:
        frame = build_scene(SETTINGS, split, image["video_id"] - 1).render(image["frame_id"])
        mine = entries[image["id"]]
        rows = np.flatnonzero(frame.visibility >= 0.05)
        assert [entry["visibility"] for entry in mine] == np.round(frame.visibility[rows], 3).tolist()
        np.testing.assert_array_equal(masks_of(mine).bitmaps(), frame.masks[rows])
        count += len(rows)
    assert count == len(document["annotations"]) > 20


@pytest.mark.parametrize("name", ["train", "test"])
def test_masks_have_pixels_share_none_and_lie_in_their_boxes(data: Path, name: str) -> None:
    hidden = 0
    for entries in by_picture(load(data, name)).values():
        masks = masks_of(entries)
        assert (masks.areas() > 0).all()
        assert masks.areas().sum() == masks.union().areas()[0]
        x, y, w, h = np.array([entry["bbox"] for entry in entries]).T
        outside = np.stack([x, y, -x - w, -y - h], axis=1) - masks.boxes() * (1, 1, -1, -1)
        assert (outside < 1.01).all(), "a mask leaves its box by more than the rounding of a pixel"
        hidden += int((outside < -5).any(axis=1).sum())
    assert hidden, "boxes are those of the whole thing, also where half of it is hidden"


def test_mots_truth_holds_what_the_json_holds(data: Path) -> None:
    document = load(data, "test")
    frames = {image["id"]: image["mot_frame_id"] for image in document["images"]}
    kinds = {PEDESTRIAN: 2, CAR: 1, DISTRACTOR: 10}
    for video in document["videos"]:
        entries = [entry for entry in document["annotations"] if entry["video_id"] == video["id"]]
        expected = {
            (frames[entry["image_id"]], kinds[entry["category_id"]], entry["segmentation"]["counts"]): entry
            for entry in entries
        }
        table = read_mots(data / "mots" / video["name"] / "gt" / "gt.txt", size=(96, 160))
        assert table.masks is not None
        found = list(zip(table.frames.tolist(), table.class_ids.tolist(), table.masks.texts()))
        assert len(found) == len(entries)
        assert set(found) == set(expected)
        identities = defaultdict(set)
        for one, row in zip(table.ids.tolist(), found):
            entry = expected[row]
            assert one // 1000 == row[1]
            if entry["ignore"]:
                assert (one, row[1]) == (10_000, 10)
            else:
                identities[one].add(entry["instance_id"])
        assert all(len(one) == 1 for one in identities.values())
        assert len(set.union(*identities.values())) == len(identities) > FIGURES
        assert read_seqinfo(data / "mots" / video["name"] / "seqinfo.ini").length == SETTINGS.test_frames


def test_a_sequence_in_which_nobody_is_seen_has_an_empty_file(tmp_path: Path) -> None:
    video = {"id": 1, "name": "nobody", "width": 64, "height": 48, "fps": 4, "length": 2}
    images = [{"id": 1, "video_id": 1, "mot_frame_id": 1}]
    write_mots_truth(tmp_path / "nobody", {"videos": [video], "images": images, "annotations": []})
    table = read_mots(tmp_path / "nobody" / "gt" / "gt.txt", size=(48, 64))
    assert len(table) == 0


@pytest.mark.parametrize("classes", [("pedestrian",), ("pedestrian", "car")])
def test_the_truth_as_a_result_scores_all(data: Path, classes: tuple[str, ...]) -> None:
    truth = read_cocovid(data / "annotations" / "test.json", masks=True)
    tables = {}
    for video in load(data, "test")["videos"]:
        rows = read_mots(data / "mots" / video["name"] / "gt" / "gt.txt")
        rows = rows.select(rows.class_ids != 10)
        kinds = np.where(rows.class_ids == 1, CAR, PEDESTRIAN)
        tables[video["name"]] = make_table(rows.frames, rows.ids, rows.bboxes, class_ids=kinds, masks=rows.masks)
    scores = evaluate_tracks(
        truth, tables, classes=classes, distractors=(), protocol="plain", iou_type="segm", backends=("trackeval",)
    ).flat()
    for key in ("HOTA", "MOTSA", "sMOTSA", "IDF1"):
        assert scores[key] == pytest.approx(100), key
    assert scores["IDSW"] == 0
