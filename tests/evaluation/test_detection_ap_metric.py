"""VideoDetectionMetric in mmengine's evaluator: labels, kinds of samples, frames counted once, mmdet's, mistakes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("mmdet")

import torch
from mmdet.registry import METRICS
from mmdet.structures import DetDataSample, TrackDataSample
from mmengine.evaluator import Evaluator
from mmengine.structures import InstanceData
from processes import run_ranks

from clmot_qd.errors import InputError
from clmot_qd.evaluation.detection_metric import VideoDetectionMetric

CLASSES = ("car", "pedestrian", "dog")  # not the order of the file


def annotation(images: int = 4) -> dict:
    """A pedestrian and a car in each image, and a reflection that no detector looks for."""
    data: dict = {"categories": [], "videos": [{"id": 1, "name": "one"}], "images": [], "annotations": []}
    for number, name in ((1, "pedestrian"), (3, "car"), (5, "dog"), (12, "reflection")):
        data["categories"].append({"id": number, "name": name})
    for index in range(images):
        image = 100 + index
        frame = {
            "id": image,
            "video_id": 1,
            "frame_id": index,
            "width": 640,
            "height": 480,
            "file_name": f"{index}.jpg",
        }
        data["images"].append(frame)
        for position, category in enumerate((1, 3, 12)):
            box = [150.0 * position, 20, 40, 60]
            entry = {"image_id": image, "category_id": category, "bbox": box, "area": 2400.0, "iscrowd": 0}
            data["annotations"].append({"id": len(data["annotations"]) + 1, "instance_id": position, **entry})
    return data


@pytest.fixture
def ann_file(tmp_path: Path) -> str:
    path = tmp_path / "ann.json"
    path.write_text(json.dumps(annotation()))
    return str(path)


def frame_sample(image: int, labels: Sequence[int] = (1, 0), shift: float = 0.0) -> DetDataSample:
    """Detections on the pedestrian and on the car, in that order."""
    sample = DetDataSample(metainfo={"img_id": image, "ori_shape": (480, 640), "ori_video_length": 4})
    x = 150.0 * torch.arange(len(labels)) + shift
    detected = InstanceData()
    detected.bboxes = torch.stack([x, torch.full_like(x, 20), x + 40, torch.full_like(x, 80)], dim=1)
    detected.scores = torch.full((len(labels),), 0.75)
    detected.labels = torch.tensor(labels, dtype=torch.long)
    sample.pred_instances = detected
    return sample


def track_sample(*frames: DetDataSample) -> TrackDataSample:
    sample = TrackDataSample()
    sample.video_data_samples = list(frames)
    return sample


def run(metric: VideoDetectionMetric, samples: Sequence, classes: Sequence[str] = CLASSES, size: int = 1) -> dict:
    evaluator = Evaluator([metric])
    evaluator.dataset_meta = {"classes": classes}
    for sample in samples:
        evaluator.process([sample])
    return evaluator.evaluate(size)


def test_classes_that_occur_and_are_known(ann_file: str) -> None:
    scores = run(METRICS.build({"type": "VideoDetectionMetric", "ann_file": ann_file}), whole())
    assert scores["detection/AP"] == scores["detection/AP50"] == pytest.approx(100)
    assert scores["detection/car/AP"] == scores["detection/pedestrian/AP"] == pytest.approx(100)
    assert not any("dog" in key or "reflection" in key for key in scores)


def whole() -> list[TrackDataSample]:
    return [track_sample(frame_sample(image)) for image in range(100, 104)]


def test_mmdets_metric_on_the_same_samples(ann_file: str) -> None:
    """With MOT17's default classes it averages the reflection, too; over the right ones both agree."""
    stock = {"type": "CocoVideoMetric", "ann_file": ann_file, "metric": "bbox"}
    found = [track_sample(*samples(("pedestrian", "car")))]
    ours = run(VideoDetectionMetric(ann_file, classes=ORDERED), found, ALL)["detection/AP"]
    assert 80 < ours < 99
    assert run(METRICS.build(stock), found, ALL)["coco/bbox_mAP"] == pytest.approx(ours / 100 * 2 / 3, abs=1e-3)
    found = [track_sample(*samples(("pedestrian", "car"), ORDERED))]
    assert run(VideoDetectionMetric(ann_file), found, ORDERED)["detection/AP"] == ours
    assert run(METRICS.build(stock), found, ORDERED)["coco/bbox_mAP"] == pytest.approx(ours / 100, abs=1e-3)


ALL = ("pedestrian", "car", "dog", "reflection")
ORDERED = ("pedestrian", "car")


def samples(names: Sequence[str], classes: Sequence[str] = ALL) -> list[DetDataSample]:
    return [
        frame_sample(image, [classes.index(name) for name in names], shift=image - 100) for image in range(100, 104)
    ]


def test_wrong_labels_are_wrong(ann_file: str) -> None:
    swapped = [track_sample(frame_sample(image, (0, 1))) for image in range(100, 104)]
    assert run(VideoDetectionMetric(ann_file), swapped)["detection/AP"] == 0


def test_chosen_classes(ann_file: str) -> None:
    mixed = [track_sample(frame_sample(image, (1, 2))) for image in range(100, 104)]  # the car is called a dog
    assert run(VideoDetectionMetric(ann_file), mixed)["detection/AP"] == pytest.approx(50)
    scores = run(VideoDetectionMetric(ann_file, classes=["pedestrian"], prefix="boxes"), mixed)
    assert scores["boxes/AP"] == pytest.approx(100)


def test_kinds_of_samples(ann_file: str) -> None:
    """Whole videos, single frames, still pictures, dictionaries."""
    frames = [frame_sample(image) for image in range(100, 104)]
    metric = VideoDetectionMetric(ann_file)
    metric.dataset_meta = {"classes": CLASSES}
    metric.process(None, [track_sample(frames[0], frames[1])])
    metric.process(None, [{"video_data_samples": []}])
    metric.process({}, [frames[2], {"video_data_samples": [frames[3].to_dict()]}])
    assert len(metric.results) == 4
    assert metric.evaluate(1)["detection/AR"] == pytest.approx(100)
    assert metric.results == []


def test_every_frame_counts_once(ann_file: str) -> None:
    again = [track_sample(frame_sample(100, (0, 0), shift=300))]  # given out a second time: does not count
    assert run(VideoDetectionMetric(ann_file), whole() + again)["detection/AP"] == pytest.approx(100)


def test_frames_that_were_not_tested_are_missed(ann_file: str) -> None:
    assert run(VideoDetectionMetric(ann_file), whole()[:1], size=4)["detection/AR"] == pytest.approx(25)


def test_nothing_detected(ann_file: str) -> None:
    empty = frame_sample(100, ())
    blank = frame_sample(101)
    blank.pred_instances = InstanceData()
    assert run(VideoDetectionMetric(ann_file), [empty, blank])["detection/AP"] == 0


def test_boxes_that_are_none_are_left_out(ann_file: str, caplog: pytest.LogCaptureFixture) -> None:
    frames = [frame_sample(image) for image in range(100, 104)]
    for frame in frames[:2]:
        frame.pred_instances.bboxes[1] = torch.tensor([50.0, 50, 50, 80])
    frames[2].pred_instances.scores[1] = float("nan")
    metric = VideoDetectionMetric(ann_file)
    scores = run(metric, frames)
    assert scores["detection/pedestrian/AR"] == pytest.approx(100)
    assert scores["detection/car/AR"] == pytest.approx(25)
    assert scores["detection/car/AP"] == pytest.approx(100 * 26 / 101)  # nothing wrong was found


def test_file_with_all_numbers(ann_file: str, tmp_path: Path) -> None:
    run(VideoDetectionMetric(ann_file, out_file=str(tmp_path / "out" / "ap.json")), whole())
    assert json.loads((tmp_path / "out" / "ap.json").read_text())["detection"]["classes"]["car"]["AP50"] == 100


def test_more_detections_than_the_limit(ann_file: str) -> None:
    crowded = []
    for image in range(100, 104):
        frame = frame_sample(image)
        ghosts = frame_sample(image, (1,) * 3, shift=7).pred_instances
        ghosts.scores[:] = 0.9
        frame.pred_instances = InstanceData.cat([ghosts, frame.pred_instances])
        crowded.append(frame)
    assert run(VideoDetectionMetric(ann_file), crowded)["detection/pedestrian/AR"] == pytest.approx(100)
    limited = run(VideoDetectionMetric(ann_file, max_detections=1), crowded)
    assert limited["detection/pedestrian/AR"] < 100


class TestMistakes:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"classes": ["cow"]}, "ann.json: no class 'cow'; it has pedestrian, car, dog, reflection"),
            ({"classes": ["dog"]}, "ann.json: no box of dog to be found"),
            ({"max_detections": 0}, "VideoDetectionMetric: max_detections is 0; it must be at least 1"),
            ({"ann_file": "nowhere.json"}, "nowhere.json: cannot be read"),
        ],
    )
    def test_options(self, ann_file: str, options: dict, message: str) -> None:
        with pytest.raises(InputError, match=message):
            VideoDetectionMetric(**{"ann_file": ann_file, **options})

    @pytest.mark.parametrize(
        ("classes", "options", "message"),
        [
            (("cow",), {}, "no class 'cow'"),
            (("dog",), {}, "no box of dog to be found"),
            (("car",), {"classes": ["pedestrian"]}, "classes has 'pedestrian', but the model's are car"),
        ],
    )
    def test_model_of_other_classes(self, ann_file: str, classes: tuple, options: dict, message: str) -> None:
        metric = VideoDetectionMetric(ann_file, **options)
        with pytest.raises(InputError, match=message):
            metric.dataset_meta = {"classes": classes}

    @pytest.mark.parametrize(
        ("sample", "message"),
        [
            (frame_sample(99), "detections in image 99, which the file does not have"),
            (frame_sample(100, (3,)), r"image 100: a label is not in 0..2; the classes are car, pedestrian, dog"),
            ({"img_id": 100}, "a data sample has no pred_instances; it needs a model that detects boxes"),
            ({"pred_instances": {}}, "a data sample has no img_id"),
        ],
    )
    def test_sample(self, ann_file: str, sample: object, message: str) -> None:
        metric = VideoDetectionMetric(ann_file)
        metric.dataset_meta = {"classes": CLASSES}
        with pytest.raises(InputError, match=message):
            metric.process(None, [sample])


TWO_PROCESSES = """
from test_detection_ap_metric import VideoDetectionMetric, run, track_sample, frame_sample
rank = torch.distributed.get_rank()
images = (100, 101, 102) if rank == 0 else (103, 100)
scores = run(VideoDetectionMetric(sys.argv[1]), [track_sample(frame_sample(image)) for image in images], size=4)
print("scores", rank, scores["detection/AP"], scores["detection/AR"])
"""


def test_two_processes(ann_file: str) -> None:
    here = Path(__file__).resolve().parent
    printed = run_ranks(TWO_PROCESSES, [ann_file], 2, [here, here.parent])
    lines = [line.split()[1:] for text in printed for line in text.splitlines() if line.startswith("scores ")]
    assert [line[0] for line in lines] == ["0", "1"]
    np.testing.assert_allclose([[float(value) for value in line[1:]] for line in lines], 100)
