"""Result files of tracks with masks: every bit comes back, what stands in them, what is resolved, what is refused."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mask_scene import HEIGHT, WIDTH, assert_same_masks, mask_annotation, mask_tracks, owners, read_scene
from PIL import Image
from result_scene import assert_same, tracks

from clmot_qd.datasets.mot_text import MotTable, empty_table, make_table
from clmot_qd.errors import InputError
from clmot_qd.evaluation import GroundTruth
from clmot_qd.evaluation.evaluate import evaluate_tracks
from clmot_qd.evaluation.formats import FORMATS, detect_format, read_predictions, write_results_in
from clmot_qd.evaluation.formats.numbering import server_classes
from clmot_qd.masks import RleMasks

OF_MASKS = ("mots", "bdd100k-bitmasks")
WITH_MASKS = ("bdd100k", "cocovid", *OF_MASKS)


@pytest.fixture
def truth(tmp_path: Path) -> GroundTruth:
    return read_scene(tmp_path)


def place_of(name: str, folder: Path) -> Path:
    return folder / (name if name in OF_MASKS else f"{name}.json")


def table_of(bitmaps: np.ndarray, frames: list[int], ids: list[int], scores: list[float], classes: int = 1) -> MotTable:
    masks = RleMasks.of_bitmaps(bitmaps)
    return make_table(frames, ids, np.tile([0, 0, 4, 4], (len(ids), 1)), scores, [classes] * len(ids), masks=masks)


class TestRoundTrip:
    @pytest.mark.parametrize("name", WITH_MASKS)
    def test_every_bit_comes_back(self, name: str, tmp_path: Path, truth: GroundTruth, caplog: Any) -> None:
        path = place_of(name, tmp_path)
        FORMATS[name].write(path, truth, mask_tracks())
        assert detect_format(path) == name
        found = read_predictions(path, truth, masks=True)
        assert_same_masks(found, mask_tracks())
        if name not in OF_MASKS:
            assert_same(found, mask_tracks())
        for table in found.values():
            if name in OF_MASKS:
                np.testing.assert_array_equal(table.bboxes[:, :2] + table.bboxes[:, 2:], table.masks.boxes()[:, 2:])
                assert (table.scores == 1).all()
        assert not caplog.records  # nothing to repair

    @pytest.mark.parametrize("name", WITH_MASKS)
    def test_runs_with_a_backslash(self, name: str, tmp_path: Path, truth: GroundTruth) -> None:
        """JSON needs another one before it."""
        bitmap = np.zeros((HEIGHT, WIDTH), dtype=bool)
        bitmap[44, 0] = True  # after a run of 44
        made = {"b": table_of(bitmap[None], [1], [1], [0.5])}
        assert "\\" in made["b"].masks.texts()[0]
        FORMATS[name].write(place_of(name, tmp_path), truth, made)
        assert_same_masks({"b": read_predictions(place_of(name, tmp_path), truth, masks=True)["b"]}, made)

    def test_through_all_formats(self, tmp_path: Path, truth: GroundTruth) -> None:
        now = mask_tracks()
        for name in (*WITH_MASKS, *WITH_MASKS[::-1]):
            FORMATS[name].write(place_of(name, tmp_path), truth, now)
            now = read_predictions(place_of(name, tmp_path), truth, name, masks=True)
        assert_same_masks(now, mask_tracks())

    @pytest.mark.parametrize("name", WITH_MASKS)
    def test_scored_alike(self, name: str, tmp_path: Path) -> None:
        data = mask_annotation()
        true = {name: table_of(owners(2, 7), [1, 2], [5, 5], [1, 1], 3) for name in "ab"}
        for key, frames in {"a": [20, 21], "b": [8, 9]}.items():
            masks = zip(frames, true[key].masks.texts())
            data["annotations"] += [
                dict(id=frame, image_id=frame, category_id=3, instance_id=1, bbox=[0, 0, 9, 9])
                | dict(segmentation={"size": [HEIGHT, WIDTH], "counts": text})
                for frame, text in masks
            ]
        (tmp_path / "gt.json").write_text(json.dumps(data))
        from clmot_qd.evaluation.result_files import read_truth

        truth = read_truth(tmp_path / "gt.json", masks=True)
        found = {key: replace(table, frames=truth.sequences[key].frames[:2]) for key, table in true.items()}
        expected, scores = [], []
        for seed in (0, 1):  # nothing but hits, and nearly nothing
            tables = found if not seed else {key: replace(t, masks=t.masks[::-1]) for key, t in found.items()}
            FORMATS[name].write(place_of(name, tmp_path), truth, tables)
            again = read_predictions(place_of(name, tmp_path), truth, masks=True)
            options = dict(classes=["car"], protocol="plain", iou_type="segm")
            expected.append(evaluate_tracks(truth, tables, **options).flat())
            scores.append(evaluate_tracks(truth, again, **options).flat())
        assert scores[0]["HOTA"] == pytest.approx(100)
        assert scores[1]["HOTA"] < 50
        np.testing.assert_equal(scores, expected)

    @pytest.mark.parametrize("name", OF_MASKS)
    def test_nothing_found(self, name: str, tmp_path: Path, truth: GroundTruth) -> None:
        FORMATS[name].write(tmp_path / "out", truth, {"a": empty_table()})
        assert {
            key: len(table) for key, table in read_predictions(tmp_path / "out", truth, name, masks=True).items()
        } == {
            "a": 0,
            "b": 0,
        }

    @pytest.mark.parametrize("name", WITH_MASKS)
    def test_a_video_without_frames(self, name: str, tmp_path: Path) -> None:
        """As a part of the images of a data set leaves it: it has neither a size nor pictures, and needs none."""
        data = mask_annotation()
        data["videos"].append({"id": 7, "name": "bare"})
        truth = read_scene(tmp_path, data)
        FORMATS[name].write(place_of(name, tmp_path), truth, mask_tracks())
        found = read_predictions(place_of(name, tmp_path), truth, name, masks=True)
        assert len(found.pop("bare")) == 0
        assert_same_masks(found, mask_tracks())

    @pytest.mark.parametrize("name", WITH_MASKS)
    def test_a_video_without_tracks_is_of_its_own_size(self, name: str, tmp_path: Path, truth: GroundTruth) -> None:
        FORMATS[name].write(place_of(name, tmp_path), truth, {"b": mask_tracks()["b"]})
        found = read_predictions(place_of(name, tmp_path), truth, masks=True)["a"]
        assert len(found) == 0
        assert found.masks.size == (HEIGHT, WIDTH)


class TestWhatIsWritten:
    def test_mots(self, tmp_path: Path, truth: GroundTruth) -> None:
        """Pedestrians are 2, cars 1, whatever their number in the annotation file."""
        made = mask_tracks()
        FORMATS["mots"].write(tmp_path / "out", truth, made)
        rows = [line.split(" ") for line in (tmp_path / "out" / "b.txt").read_text().splitlines()]
        assert [row[:5] for row in rows] == [
            ["1", "1", "1", "48", "64"],
            ["1", "3", "2", "48", "64"],
            ["3", "1", "1", "48", "64"],
            ["3", "3", "2", "48", "64"],
        ]
        assert rows[1][5] == made["b"].masks.texts()[3]
        assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.txt", "b.txt"]

    def test_frames_of_mots_are_those_of_the_ground_truth(self, tmp_path: Path) -> None:
        """KITTI-MOTS counts from 0."""
        data = mask_annotation()
        for image in data["images"]:
            image["mot_frame_id"] = image["frame_id"]
        truth = read_scene(tmp_path, data)
        made = {"b": table_of(owners(2, 3), [0, 2], [4, 4], [0.5, 0.6])}
        FORMATS["mots"].write(tmp_path / "out", truth, made)
        assert [line[:2] for line in (tmp_path / "out" / "b.txt").read_text().splitlines()] == ["0 ", "2 "]
        found = read_predictions(tmp_path / "out", truth, masks=True)
        assert_same_masks({"b": found["b"]}, made)
        FORMATS["mot"].write(tmp_path / "mot", truth, {"a": empty_table(), **made})
        assert read_predictions(tmp_path / "mot", truth)["b"].frames.tolist() == [0, 2]

    def test_bitmasks(self, tmp_path: Path, truth: GroundTruth) -> None:
        """Every frame has a file, named as the frame is; classes have BDD100K's numbers."""
        made = mask_tracks()
        made["b"] = replace(made["b"], ids=np.array([256, 65535, 1, 300]))
        FORMATS["bdd100k-bitmasks"].write(tmp_path / "out", truth, made)
        files = sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").glob("*/*"))
        assert files == ["a/a-0004.png", "a/a-0009.png", "b/b-0000.png", "b/b-0001.png", "b/b-0002.png"]
        picture = np.array(Image.open(tmp_path / "out" / "b" / "b-0000.png"))
        masks = made["b"].masks.bitmaps()
        assert (picture[masks[1]] == [3, 0, 255, 255]).all()  # frame 1, a car
        assert (picture[masks[3]] == [1, 0, 1, 44]).all()
        assert (picture[~masks[1] & ~masks[3]] == 0).all()
        assert not np.array(Image.open(tmp_path / "out" / "b" / "b-0001.png")).any()
        assert_same_masks(read_predictions(tmp_path / "out", truth, masks=True), made)

    def test_scalabel_and_coco(self, tmp_path: Path, truth: GroundTruth) -> None:
        made = mask_tracks()
        write_results_in(tmp_path, ("bdd100k", "cocovid"), truth, made)
        frames = json.loads((tmp_path / "bdd100k.json").read_text())
        assert frames[0]["labels"][0]["rle"] == {"size": [48, 64], "counts": made["a"].masks.texts()[0]}
        assert list(frames[0]["labels"][0]) == ["id", "category", "score", "box2d", "rle"]
        coco = pytest.importorskip("pycocotools.coco").COCO(truth.source)
        loaded = coco.loadRes(str(tmp_path / "cocovid.json"))
        np.testing.assert_array_equal(loaded.annToMask(loaded.anns[2]), made["a"].masks.bitmaps()[1])

    def test_tracks_without_masks_are_written_as_before(self, tmp_path: Path, truth: GroundTruth) -> None:
        write_results_in(tmp_path, ("bdd100k", "cocovid"), truth, tracks())
        assert "rle" not in (tmp_path / "bdd100k.json").read_text()
        assert "segmentation" not in (tmp_path / "cocovid.json").read_text()

    def test_all_formats_in_one_folder(self, tmp_path: Path, truth: GroundTruth) -> None:
        done = write_results_in(tmp_path / "out", ("mot", *OF_MASKS), truth, mask_tracks())
        assert done == [tmp_path / "out", tmp_path / "out" / "mots", tmp_path / "out" / "bdd100k-bitmasks"]
        assert [detect_format(path) for path in done] == ["mot", *OF_MASKS]

    def test_an_only_class_is_named(self, tmp_path: Path, truth: GroundTruth) -> None:
        nameless = {"a": replace(mask_tracks()["a"], class_ids=np.array([-1, -1]))}
        with pytest.raises(InputError, match="a: a prediction has no class; this format needs one of pedestrian, car"):
            FORMATS["mots"].write(tmp_path / "out", truth, nameless)
        assert not (tmp_path / "out").exists()
        write_results_in(tmp_path, "mots", truth, nameless, only_class="pedestrian")
        assert (tmp_path / "mots" / "a.txt").read_text().split()[2] == "2"


class TestResolved:
    @pytest.mark.parametrize("name", ["bdd100k", *OF_MASKS])
    def test_overlaps_go_to_the_highest_score(self, name: str, tmp_path: Path, truth: GroundTruth, caplog: Any) -> None:
        """In each frame, over all classes; what is left without a pixel is left out; one line says how many."""
        rng = np.random.default_rng(3)
        bitmaps = rng.random((8, HEIGHT, WIDTH)) < 0.4
        bitmaps[[2, 5]] = False  # empty from the beginning
        bitmaps[7] = bitmaps[6]  # nothing is left of it
        frames, scores = [1, 1, 1, 2, 2, 2, 3, 3], [0.3, 0.9, 1.0, 0.5, 0.5, 0.1, 0.8, 0.7]
        made = table_of(bitmaps, frames, list(range(1, 9)), scores)
        made = replace(made, class_ids=np.array([1, 3] * 4))
        with caplog.at_level(logging.WARNING):
            FORMATS[name].write(place_of(name, tmp_path), truth, {"b": made})
        (line,) = [record.getMessage() for record in caplog.records]
        assert line.startswith(f"{place_of(name, tmp_path)}: 3 of 8 predicted masks lost pixels")
        assert "3 predicted masks have no pixel and are left out" in line
        found = read_predictions(place_of(name, tmp_path), truth, masks=True)["b"]
        assert found.ids.tolist() == [1, 2, 4, 5, 7]
        expected = [bitmaps[0] & ~bitmaps[1], bitmaps[1], bitmaps[3], bitmaps[4] & ~bitmaps[3], bitmaps[6]]
        np.testing.assert_array_equal(found.masks.bitmaps(), expected)

    def test_cocovid_keeps_overlaps_and_empty_masks(self, tmp_path: Path, truth: GroundTruth) -> None:
        bitmaps = np.ones((3, HEIGHT, WIDTH), dtype=bool)
        bitmaps[2] = False
        made = {"a": empty_table(), "b": table_of(bitmaps, [1, 1, 1], [1, 2, 3], [0.5, 0.6, 0.7])}
        FORMATS["cocovid"].write(tmp_path / "x.json", truth, made)
        found = read_predictions(tmp_path / "x.json", truth, masks=True)
        assert_same_masks({"b": found["b"]}, {"b": made["b"]})

    def test_videos_without_masks_beside_others(self, tmp_path: Path, truth: GroundTruth) -> None:
        made = {"a": tracks()["a"], "b": mask_tracks()["b"]}
        FORMATS["bdd100k"].write(tmp_path / "x.json", truth, made)
        assert_same(read_predictions(tmp_path / "x.json", truth), made)

    def test_identities_that_bitmasks_have_no_number_for(self, tmp_path: Path, truth: GroundTruth) -> None:
        made = mask_tracks()["b"]
        for ids in ([0, 7, 7, 0], [65536, 9, 9, 65536]):
            numbered = replace(made, ids=np.array(ids))
            FORMATS["bdd100k-bitmasks"].write(tmp_path / "out", truth, {"b": numbered})
            expected = np.array([1 + sorted(set(ids)).index(one) for one in ids])
            found = read_predictions(tmp_path / "out", truth, masks=True)
            assert_same_masks({"b": found["b"]}, {"b": replace(made, ids=expected)})

    def test_identities_of_mots(self, tmp_path: Path, truth: GroundTruth) -> None:
        """As the tracker counts, from 0; but TrackEval makes an array as long as the largest."""
        made = mask_tracks()["b"]
        for ids, expected in (([0, 10_000, 7, 1_000_000], [0, 10_000, 7, 1_000_000]), ([0, 2**40, 7, 3], [1, 4, 3, 2])):
            FORMATS["mots"].write(tmp_path / "out", truth, {"b": replace(made, ids=np.array(ids))})
            found = read_predictions(tmp_path / "out", truth, masks=True)
            assert_same_masks({"b": found["b"]}, {"b": replace(made, ids=np.array(expected))})

    def test_classes_that_the_server_does_not_know(self) -> None:
        """They keep their number, unless it is the server's or 0."""
        fixed = {"car": 1, "pedestrian": 2, "ignore region": 10}
        categories = {"pedestrian": 1, "rider": 2, "car": 3, "bus": 4, "sky": 0, "sign": 10, "dog": 44}
        numbers = server_classes(categories, fixed)
        assert numbers == {1: 2, 2: 45, 3: 1, 4: 4, 0: 46, 10: 47, 44: 44}
        assert server_classes({"car": 1, "pedestrian": 2}, fixed) == {1: 1, 2: 2}
