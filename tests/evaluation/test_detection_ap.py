"""Average precision of boxes: pycocotools on the same files, values worked out by hand, the metric in the test loop."""

from __future__ import annotations

import contextlib
import io
import json
import math
from pathlib import Path

import numpy as np
import pytest

from clmot_qd.errors import InputError
from clmot_qd.evaluation.detection_ap import Detections, DetectionTruth, detection_ap, read_detection_truth

CATEGORIES = ("person", "car", "dog", "reflection")  # numbered 10, 20, 30, 40


def annotation(boxes: list[tuple], images: int = 4) -> dict:
    """``boxes``: (image, category, [x, y, w, h], further keys)."""
    return {
        "categories": [{"id": 10 * i, "name": name} for i, name in enumerate(CATEGORIES, start=1)],
        "images": [{"id": 5 * i, "width": 640, "height": 480} for i in range(1, images + 1)],
        "annotations": [
            {"id": i, "image_id": image, "category_id": category, "bbox": box, **more}
            for i, (image, category, box, more) in enumerate(boxes, start=1)
        ],
    }


def write(path: Path, data: dict) -> Path:
    path.write_text(json.dumps(data))
    return path


def found(*rows: tuple[list[float], float, int]) -> Detections:
    """(box, score, category) of one image."""
    boxes, scores, numbers = zip(*rows)
    return Detections(np.array(boxes, dtype=float), np.array(scores, dtype=float), np.array(numbers))


def random_data(seed: int, images: int = 12) -> tuple[dict, dict[int, Detections]]:
    """Boxes of three classes, some crowds; noisy, missing and false detections."""
    rng = np.random.default_rng(seed)
    boxes, detections = [], {}
    for image in range(1, images + 1):
        here = []
        for _ in range(rng.integers(0, 9)):
            number, size = 10 * int(rng.integers(1, 4)), rng.choice([15.0, 60.0, 150.0])
            box = [*rng.uniform(0, 400, 2), *(size * rng.uniform(0.8, 1.2, 2))]
            area = float(box[2] * box[3])
            more = {"iscrowd": int(rng.random() < 0.1), "area": area} if rng.random() < 0.5 else {"iscrowd": 0}
            boxes.append((5 * image, number, [float(side) for side in box], {"area": area, **more}))
            for _ in range(rng.integers(0, 3)):
                moved = np.array(box) + rng.normal(0, size / 15, 4)
                here.append((moved.tolist(), round(float(rng.random()), 1), number))
        here.append((rng.uniform(10, 200, 4).tolist(), float(rng.random()), 10 * int(rng.integers(1, 5))))
        if image != 3:
            detections[5 * image] = found(*here)
    return annotation(boxes, images), detections


def run_pycocotools(path: Path, detections: dict[int, Detections], numbers: list[int], limit: int = 100) -> dict:
    """Let pycocotools read the file and print its summary."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    rows = [
        {"image_id": image, "category_id": int(number), "bbox": box.tolist(), "score": float(score)}
        for image, part in detections.items()
        for box, score, number in zip(part.bboxes, part.scores, part.class_ids)
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(path))
        evaluation = COCOeval(truth, truth.loadRes(rows), "bbox")
        evaluation.params.catIds = numbers
        evaluation.params.maxDets = [1, min(10, limit), limit]
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats


class TestEqualsPycocotools:
    @pytest.mark.parametrize("seed", range(4))
    def test_over_several_classes(self, seed: int, tmp_path: Path) -> None:
        data, detections = random_data(seed)
        path = write(tmp_path / "ann.json", data)
        scores = detection_ap(read_detection_truth(path), detections, CATEGORIES)
        stats = run_pycocotools(path, detections, [10, 20, 30])
        assert list(scores.by_class) == ["person", "car", "dog"]
        keys = ("AP", "AP50", "AP75", "AP_s", "AP_m", "AP_l")
        assert [scores.overall()[key] for key in keys] == pytest.approx((100 * stats[:6]).tolist(), abs=1e-9)
        assert scores.overall()["AR"] == pytest.approx(100 * stats[8])
        assert 5 < scores.overall()["AP"] < 95

    def test_of_each_class(self, tmp_path: Path) -> None:
        data, detections = random_data(9)
        path = write(tmp_path / "ann.json", data)
        scores = detection_ap(read_detection_truth(path), detections, ["dog", "person", "car"])
        assert list(scores.by_class) == ["dog", "person", "car"]
        for name, number in (("dog", 30), ("person", 10), ("car", 20)):
            stats = run_pycocotools(path, detections, [number])
            assert scores.by_class[name]["AP"] == pytest.approx(100 * stats[0])
            assert scores.flat()[f"{name}/AP75"] == pytest.approx(100 * stats[2])

    def test_limit(self, tmp_path: Path) -> None:
        data, detections = random_data(5)
        path = write(tmp_path / "ann.json", data)
        scores = detection_ap(read_detection_truth(path), detections, CATEGORIES, max_detections=2).overall()
        stats = run_pycocotools(path, detections, [10, 20, 30], limit=2)
        assert scores["AP50"] == pytest.approx(100 * stats[1])
        assert scores["AR"] < detection_ap(read_detection_truth(path), detections, CATEGORIES).overall()["AR"]


ONE = [10.0, 10, 40, 40]
TWO = [200.0, 10, 40, 40]


def truth_of(*boxes: tuple, tmp_path: Path) -> DetectionTruth:
    return read_detection_truth(write(tmp_path / "ann.json", annotation(list(boxes))))


class TestByHand:
    def test_one_of_two_found(self, tmp_path: Path) -> None:
        """Precision 1 up to recall 0.5: 51 of 101 points, at every threshold."""
        truth = truth_of((5, 10, ONE, {}), (10, 10, TWO, {}), tmp_path=tmp_path)
        scores = detection_ap(truth, {5: found((ONE, 0.9, 10))}, ["person"]).overall()
        assert scores["AP"] == scores["AP50"] == scores["AP_m"] == pytest.approx(100 * 51 / 101)
        assert scores["AR"] == pytest.approx(50)
        assert math.isnan(scores["AP_s"])

    def test_a_false_detection_first(self, tmp_path: Path) -> None:
        truth = truth_of((5, 10, ONE, {}), tmp_path=tmp_path)
        scores = detection_ap(truth, {5: found((ONE, 0.5, 10), (TWO, 0.9, 10))}, ["person"])
        assert scores.overall()["AP"] == pytest.approx(50)

    def test_overlap(self, tmp_path: Path) -> None:
        """Shifted by 10 of 40 pixels: IoU 30 / 50, a hit at 0.5, 0.55 and 0.6."""
        truth = truth_of((5, 10, ONE, {}), tmp_path=tmp_path)
        scores = detection_ap(truth, {5: found(([20.0, 10, 40, 40], 0.5, 10))}, ["person"]).overall()
        assert (scores["AP"], scores["AP50"], scores["AP75"]) == pytest.approx((30, 100, 0))

    def test_classes_that_the_model_does_not_know_or_that_do_not_occur(self, tmp_path: Path) -> None:
        """mmdet's metric gives 50: the reflection, which no detector looks for, is a class never found."""
        truth = truth_of((5, 10, ONE, {}), (5, 40, TWO, {}), tmp_path=tmp_path)
        scores = detection_ap(truth, {5: found((ONE, 0.9, 10), (TWO, 0.9, 20))}, ["person", "car", "dog"])
        assert list(scores.by_class) == ["person"]
        assert scores.overall()["AP"] == pytest.approx(100)
        assert scores.flat() == scores.overall()

    def test_a_frame_that_was_not_tested_is_missed(self, tmp_path: Path) -> None:
        truth = truth_of((5, 10, ONE, {}), (15, 10, ONE, {}), tmp_path=tmp_path)
        assert detection_ap(truth, {5: found((ONE, 0.9, 10))}, ["person"]).overall()["AR"] == pytest.approx(50)

    def test_the_area_is_that_of_the_annotation(self, tmp_path: Path) -> None:
        """COCO's is that of the mask, which is smaller than the box."""
        truth = truth_of((5, 10, ONE, {"area": 900}), tmp_path=tmp_path)
        scores = detection_ap(truth, {5: found((ONE, 0.9, 10))}, ["person"]).overall()
        assert scores["AP_s"] == pytest.approx(100)
        assert math.isnan(scores["AP_m"])

    @pytest.mark.parametrize("key", ["iscrowd", "ignore"])
    @pytest.mark.parametrize("value", [1, True])
    def test_marked_boxes_are_neither_to_be_found_nor_wrong_to_find(self, key: str, value, tmp_path: Path) -> None:
        truth = truth_of((5, 10, ONE, {}), (5, 10, TWO, {key: value}), tmp_path=tmp_path)
        for rows in ([(ONE, 0.5, 10)], [(ONE, 0.5, 10), (TWO, 0.9, 10), ([205.0, 15, 20, 20], 0.9, 10)]):
            assert detection_ap(truth, {5: found(*rows)}, ["person"]).overall()["AP"] == pytest.approx(100)

    def test_class_with_marked_boxes_only_does_not_occur(self, tmp_path: Path) -> None:
        truth = truth_of((5, 10, ONE, {}), (5, 20, TWO, {"ignore": 1}), tmp_path=tmp_path)
        assert truth.occurring(("person", "car")) == ("person",)

    def test_nothing_found(self, tmp_path: Path) -> None:
        assert detection_ap(truth_of((5, 10, ONE, {}), tmp_path=tmp_path), {}, ["person"]).overall()["AP"] == 0


def test_table_and_json(tmp_path: Path) -> None:
    truth = truth_of((5, 10, ONE, {}), (5, 20, TWO, {}), tmp_path=tmp_path)
    scores = detection_ap(truth, {5: found((ONE, 0.9, 10))}, ["person", "car"])
    header, person, car, mean = (line.split() for line in scores.table().splitlines())
    assert header == ["detection", "AP", "AP50", "AP75", "AP_s", "AP_m", "AP_l", "AR"]
    assert person == ["person", "100.00", "100.00", "100.00", "-", "100.00", "-", "100.00"]
    assert (car[1], mean[:4]) == ("0.00", ["MEAN", "OF", "2", "50.00"])
    scores.write_json(tmp_path / "scores.json")
    data = json.loads((tmp_path / "scores.json").read_text())["detection"]
    assert data["overall"]["AP"] == pytest.approx(50)
    assert data["classes"]["person"]["AP_s"] is None


class TestMistakes:
    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda data: data.pop("categories"), "no list 'categories'; give a COCO or CocoVID annotation file"),
            (lambda data: data["annotations"][0].pop("bbox"), r"annotations\[0\]: no key 'bbox'"),
            (lambda data: data["annotations"][0].update(image_id=6), r"annotations\[0\]: image_id 6 is not in images"),
            (lambda data: data["annotations"][0].update(bbox=[1, 2]), r"annotations\[0\]: bbox is \[1, 2\]"),
            (lambda data: data["images"][1].pop("id"), r"images\[1\]: no key 'id'"),
        ],
    )
    def test_file(self, change, message: str, tmp_path: Path) -> None:
        data = annotation([(5, 10, ONE, {})])
        change(data)
        with pytest.raises(InputError, match=f"ann.json: {message}"):
            read_detection_truth(write(tmp_path / "ann.json", data))

    def test_predictions(self, tmp_path: Path) -> None:
        truth = truth_of((5, 10, ONE, {}), tmp_path=tmp_path)
        with pytest.raises(InputError, match=r"ann.json: no image 6; detect in the images that ann_file describes"):
            detection_ap(truth, {6: found((ONE, 0.9, 10))}, ["person"])
        with pytest.raises(InputError, match=r"ann.json: no class 'cow'; it has person, car"):
            detection_ap(truth, {}, ["cow"])
        with pytest.raises(InputError, match=r"ann.json: no box of car to be found; is this a test set\?"):
            detection_ap(truth, {}, ["car"])


def test_area_null_and_class_whose_name_is_a_number(tmp_path: Path) -> None:
    data = annotation([(5, 10, [1, 2, 3, 4], {"area": None})])
    data["categories"][0]["name"] = 5
    truth = read_detection_truth(write(tmp_path / "ann.json", data))
    assert truth.annotations[0]["area"] == 12
    assert next(iter(truth.categories)) == "5"
