"""The metric in mmengine's evaluator: frame numbering, classes, files, mistakes found early, two processes."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
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
from clmot_qd.evaluation import evaluate_tracks, read_cocovid, read_results, track_eval_metric
from clmot_qd.evaluation.track_eval_metric import TrackEvalMetric

CLASSES = ("pedestrian", "car", "distractor")


def cocovid(frame_ids: dict[str, Sequence[int]], *, boxes: bool = True, first_number: int = 101) -> dict:
    """Two pedestrians (instances 1, 2) and a car (3) that stand still in every frame of every video."""
    data: dict = {"videos": [], "images": [], "annotations": []}
    data["categories"] = [{"id": number, "name": name} for number, name in ((1, CLASSES[0]), (3, CLASSES[1]))]
    data["categories"].append({"id": 8, "name": "distractor"})
    for video, (name, frames) in enumerate(frame_ids.items(), start=1):
        data["videos"].append({"id": video, "name": name})
        for index, frame in enumerate(frames):
            image = len(data["images"]) + 1
            number = {"mot_frame_id": first_number + index} if first_number else {}
            data["images"].append({"id": image, "video_id": video, "frame_id": frame, **number})
            for instance, category in ((1, 1), (2, 1), (3, 3)) if boxes else ():
                box = [100.0 * instance, 20, 30, 60]
                entry = {"image_id": image, "category_id": category, "instance_id": 10 * video + instance, "bbox": box}
                data["annotations"].append({"id": len(data["annotations"]) + 1, **entry})
    return data


@pytest.fixture
def ann_file(tmp_path: Path) -> str:
    path = tmp_path / "ann.json"
    path.write_text(json.dumps(cocovid({"one": range(6), "two": (3, 7, 8)})))
    return str(path)


def frame_sample(
    video: int, frame: int, ids: Sequence[int], labels: Sequence[int], shift: float = 0.0
) -> DetDataSample:
    """Tracks on the objects 1, 2, 3 ... in that order."""
    sample = DetDataSample(metainfo={"video_id": video, "frame_id": frame})
    x = 100.0 * torch.arange(1, len(ids) + 1) + shift
    tracks = InstanceData()
    tracks.instances_id = torch.tensor(ids, dtype=torch.long)
    tracks.bboxes = torch.stack([x, torch.full_like(x, 20), x + 30, torch.full_like(x, 80)], dim=1)
    tracks.scores = torch.full((len(ids),), 0.75)
    tracks.labels = torch.tensor(labels, dtype=torch.long)
    sample.pred_track_instances = tracks
    return sample


def track_sample(*frames: DetDataSample) -> TrackDataSample:
    sample = TrackDataSample()
    sample.video_data_samples = list(frames)
    return sample


def run(metric: TrackEvalMetric, samples: Iterable[TrackDataSample], classes: Sequence[str] = CLASSES, size: int = 1):
    evaluator = Evaluator([metric])
    evaluator.dataset_meta = {"classes": classes}
    for sample in samples:
        evaluator.process([sample])
    return evaluator.evaluate(size)


def perfect(video: int, frames: Iterable[int]) -> list[TrackDataSample]:
    return [track_sample(frame_sample(video, frame, [0, 5, 9], [0, 0, 1])) for frame in frames]


def test_built_by_its_name_and_size_counts_videos(ann_file: str) -> None:
    metric = METRICS.build({"type": "TrackEvalMetric", "ann_file": ann_file})
    scores = run(metric, perfect(1, range(6)) + perfect(2, (3, 7, 8)), size=2)  # two videos, nine frames
    for key in ("HOTA", "MOTA", "IDF1", "motmetrics/MOTA", "motmetrics/IDF1"):
        assert scores[f"track/{key}"] == pytest.approx(100, abs=1e-6)
    assert scores["track/FN"] == scores["track/IDSW"] == 0
    assert metric.results == []  # ready for the next epoch


def test_swap_at_a_known_frame(ann_file: str) -> None:
    samples = perfect(1, range(4)) + [track_sample(frame_sample(1, frame, [5, 0, 9], [0, 0, 1])) for frame in (4, 5)]
    scores = run(TrackEvalMetric(ann_file), samples + perfect(2, (3, 7, 8)))
    assert scores["track/IDSW"] == scores["track/motmetrics/IDSW"] == 2
    assert scores["track/MOTA"] == pytest.approx(100 * (1 - 2 / 18))
    assert scores["track/IDF1"] == pytest.approx(100 * (8 + 6) / 18)


def test_several_frames_in_a_sample_and_samples_as_dictionaries(ann_file: str) -> None:
    whole = track_sample(*(frame_sample(1, frame, [0, 5, 9], [0, 0, 1]) for frame in range(6)))
    metric = TrackEvalMetric(ann_file)
    metric.dataset_meta = {"classes": CLASSES}
    metric.process(None, [whole.to_dict()])
    frames = [sample.video_data_samples[0].to_dict() for sample in perfect(2, (3, 7, 8))]
    metric.process({}, [{"video_data_samples": frames}])
    assert metric.evaluate(1)["track/HOTA"] == pytest.approx(100, abs=1e-6)


def test_frames_and_videos_that_were_not_tested_are_missed(ann_file: str) -> None:
    scores = run(TrackEvalMetric(ann_file), perfect(1, (0, 1)))
    assert scores["track/FN"] == scores["track/motmetrics/FN"] == 2 * (4 + 3)


@pytest.mark.parametrize("empty", ["no rows", "no fields"])
def test_video_without_a_single_track(ann_file: str, empty: str) -> None:
    sample = frame_sample(2, 3, [], [])
    if empty == "no fields":
        sample.pred_track_instances = InstanceData()
    scores = run(TrackEvalMetric(ann_file), [*perfect(1, range(6)), track_sample(sample)])
    assert scores["track/FN"] == 6


def test_frames_numbered_from_one_without_mot_numbers(tmp_path: Path) -> None:
    path = tmp_path / "ann.json"
    path.write_text(json.dumps(cocovid({"one": (1, 2, 3)}, first_number=0)))
    scores = run(TrackEvalMetric(str(path), out_dir=str(tmp_path / "out")), perfect(1, (1, 2, 3)))
    assert scores["track/MOTA"] == 100
    assert [row.split(",")[0] for row in (tmp_path / "out" / "one.txt").read_text().splitlines()] == list("112233")


def test_a_frame_given_twice_counts_once(ann_file: str) -> None:
    samples = perfect(1, range(6)) + perfect(2, (3, 7, 8)) + [track_sample(frame_sample(1, 0, [7, 8, 9], [0, 0, 1]))]
    assert run(TrackEvalMetric(ann_file), samples)["track/IDF1"] == 100


def test_labels_are_positions_in_the_classes_of_the_data_set(ann_file: str) -> None:
    names = ("distractor", "car", "pedestrian", "bus")
    samples = [track_sample(frame_sample(1, frame, [0, 5, 9], [2, 2, 1])) for frame in range(6)]
    samples += [track_sample(frame_sample(2, frame, [0, 5, 9, 11], [2, 2, 1, 3])) for frame in (3, 7, 8)]
    scores = run(TrackEvalMetric(ann_file, classes=("car", "pedestrian")), samples, names)
    for key in ("car/MOTA", "pedestrian/MOTA", "MOTA", "motmetrics/car/IDF1"):
        assert scores[f"track/{key}"] == pytest.approx(100)


def test_no_classes_named_means_all_that_occur(ann_file: str, tmp_path: Path) -> None:
    metric = TrackEvalMetric(ann_file, classes=None, distractors=())
    assert metric.classes == ("pedestrian", "car")  # the file lists "distractor" as well, and has no box of it
    listed = TrackEvalMetric(ann_file, classes=None, format_only=True, out_dir=str(tmp_path))
    assert listed.classes == CLASSES
    ignored = json.loads(Path(ann_file).read_text())
    for annotation in ignored["annotations"]:
        annotation["ignore"] = annotation["category_id"] == 3
    path = tmp_path / "ignored.json"
    path.write_text(json.dumps(ignored))
    assert TrackEvalMetric(str(path), classes=None).classes == ("pedestrian",)
    path.write_text(json.dumps(ignored | {"annotations": []}))
    with pytest.raises(InputError, match="no box of any class to score against"):
        TrackEvalMetric(str(path), classes=None)


def test_predictions_on_distractors(tmp_path: Path) -> None:
    data = cocovid({"one": range(4)})
    for entry in data["annotations"]:
        if entry["category_id"] == 3:
            entry["category_id"] = 8
    path = tmp_path / "ann.json"
    path.write_text(json.dumps(data))
    samples = [track_sample(frame_sample(1, frame, [0, 1, 2], [0, 0, 0])) for frame in range(4)]
    assert run(TrackEvalMetric(str(path)), samples)["track/FP"] == 0
    assert run(TrackEvalMetric(str(path), distractors=[]), samples)["track/FP"] == 4


def test_files_hold_what_was_scored(ann_file: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    samples = [track_sample(frame_sample(1, frame, [4, 0, 9], [0, 0, 1], shift=1.25)) for frame in range(6)]
    scores = run(TrackEvalMetric(ann_file, out_dir=str(out)), samples)
    assert sorted(path.name for path in out.iterdir()) == ["metrics.json", "one.txt", "two.txt"]
    assert (out / "one.txt").read_text().splitlines()[:2] == [
        "101,0,201.25000,20.00000,30.00000,60.00000,0.750000,-1,-1,-1",
        "101,4,101.25000,20.00000,30.00000,60.00000,0.750000,-1,-1,-1",
    ]
    assert (out / "two.txt").read_text() == ""
    truth = read_cocovid(ann_file)
    again = evaluate_tracks(truth, read_results(out, truth)).flat()
    assert {f"track/{key}": value for key, value in again.items()} == scores
    table = json.loads((out / "metrics.json").read_text())["trackeval"]["pedestrian"]
    assert table["OVERALL"]["HOTA"] == scores["track/HOTA"]
    assert table["two"]["FN"] == 6


def test_files_of_several_classes_can_be_scored_again(ann_file: str, tmp_path: Path) -> None:
    classes = ("car", "pedestrian")
    metric = TrackEvalMetric(ann_file, classes=classes, out_dir=str(tmp_path / "out"), prefix="test")
    scores = run(metric, perfect(1, range(5)))
    truth = read_cocovid(ann_file)
    again = evaluate_tracks(truth, read_results(tmp_path / "out", truth), classes).flat()
    assert {f"test/{key}": value for key, value in again.items()} == pytest.approx(scores, nan_ok=True)


def test_format_only_needs_no_ground_truth(tmp_path: Path) -> None:
    path = tmp_path / "test.json"
    path.write_text(json.dumps(cocovid({"one": range(2)}, boxes=False)))
    metric = TrackEvalMetric(str(path), out_dir=str(tmp_path / "out"), format_only=True)
    assert run(metric, perfect(1, range(2))) == {}
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["one.txt"]
    assert len((tmp_path / "out" / "one.txt").read_text().splitlines()) == 4
    with pytest.raises(InputError, match="no box of pedestrian to score against; is this a test set"):
        TrackEvalMetric(str(path))
    with pytest.raises(InputError, match="format_only needs out_dir"):
        TrackEvalMetric(str(path), format_only=True)


def test_boxes_that_are_none_are_left_out_and_said_once(ann_file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = []
    monkeypatch.setattr(track_eval_metric, "print_log", lambda line, **kwargs: lines.append(line))
    samples = perfect(1, range(6)) + perfect(2, (3, 7, 8))
    for sample in samples[:2]:
        sample.video_data_samples[0].pred_track_instances.bboxes[0, 2] = float("nan")
    samples[2].video_data_samples[0].pred_track_instances.bboxes[1, 3] = 20
    scores = run(TrackEvalMetric(ann_file), samples)
    assert (scores["track/FN"], scores["track/FP"]) == (3, 0)
    warnings = [line for line in lines if "left out" in line]
    assert warnings == ["one, frame 101: a track's box is not finite or has no area; such boxes are left out"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ann_file": "nowhere.json"}, "nowhere.json: cannot be read"),
        ({"classes": ("people",)}, "no class 'people'; it has pedestrian, car, distractor"),
        ({"distractors": ("people",)}, "no class 'people'"),
        ({"backends": ("hota",)}, "backends: 'hota' is unknown"),
        ({"classes": ("distractor",)}, "no box of distractor to score against"),
        ({"protocol": "kitti"}, "protocol: 'kitti' is unknown; choose from mot, mot20, bdd100k, mots20, kitti-mots"),
        ({"protocol": "waymo", "classes": ("car",)}, "no annotation has a 'difficulty'"),
        (
            {"protocol": "bdd100k", "classes": None},
            "no class 'rider'; it has pedestrian, car, distractor; the evaluator (TrackEvalMetric) is to score it: set "
            "classes of val_evaluator and test_evaluator",
        ),
    ],
)
def test_wrong_configuration_is_found_before_testing(ann_file: str, options: dict, message: str) -> None:
    with pytest.raises(InputError) as caught:
        TrackEvalMetric(**({"ann_file": ann_file} | options))
    assert message in str(caught.value)


def test_missing_package_is_found_before_testing(ann_file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "trackeval", None)
    with pytest.raises(InputError, match="trackeval cannot be imported"):
        TrackEvalMetric(ann_file)


def test_class_that_the_model_does_not_have(ann_file: str) -> None:
    with pytest.raises(InputError, match="classes has 'pedestrian', but the model's are person"):
        run(TrackEvalMetric(ann_file), [], classes=("person",))


@pytest.mark.parametrize(
    ("sample", "message"),
    [
        (frame_sample(3, 0, [1], [0]), "prediction for video_id 3, frame_id 0, which the file does not have"),
        (frame_sample(2, 4, [1], [0]), "prediction for video_id 2, frame_id 4, which the file does not have"),
        (frame_sample(1, 0, [4, 4], [0, 1]), "one, frame 101: the tracker gives an identity twice: [4, 4]"),
        (frame_sample(1, 0, [4], [3]), "one, frame 101: a label is not in 0..2; the classes are pedestrian, car"),
        (DetDataSample(metainfo={"video_id": 1, "frame_id": 0}), "a data sample has no pred_track_instances"),
        (DetDataSample(metainfo={"frame_id": 0}), "a data sample has no video_id"),
    ],
)
def test_wrong_sample_stops_at_once(ann_file: str, sample: DetDataSample, message: str) -> None:
    with pytest.raises(InputError) as caught:
        run(TrackEvalMetric(ann_file), [track_sample(sample)])
    assert message in str(caught.value)


def test_protocol_says_what_does_not_count(ann_file: str) -> None:
    """A car marked as a crowd is a region for BDD100K: predictions in it are neither right nor wrong."""
    data = json.loads(Path(ann_file).read_text())
    for entry in data["annotations"]:
        entry["iscrowd"] = int(entry["category_id"] == 3)
    Path(ann_file).write_text(json.dumps(data))
    samples = [track_sample(frame_sample(1, frame, [0, 5, 9], [0, 0, 0])) for frame in range(6)]
    false = {}
    for protocol in ("mot", "bdd100k", "plain"):
        scores = run(TrackEvalMetric(ann_file, protocol=protocol), samples + perfect(2, (3, 7, 8)))
        false[protocol] = scores["track/FP"]
    assert false == {"mot": 6, "bdd100k": 0, "plain": 6}


def test_waymo_scores_both_levels_with_the_overlap_of_each_class(tmp_path: Path) -> None:
    data = cocovid({"one": range(6)})
    names = {1: "pedestrian", 3: "vehicle", 8: "cyclist"}
    data["categories"] = [{"id": number, "name": name} for number, name in names.items()]
    for entry in data["annotations"]:
        entry["difficulty"] = 2 if entry["instance_id"] == 12 else 1
    (tmp_path / "ann.json").write_text(json.dumps(data))
    samples = [track_sample(frame_sample(1, frame, [0, 5, 9], [0, 0, 1], shift=9)) for frame in range(6)]
    for sample in samples:
        tracks = sample.video_data_samples[0].pred_track_instances
        sample.video_data_samples[0].pred_track_instances = tracks[tracks.instances_id != 5]
    classes = ("pedestrian", "vehicle", "cyclist")
    metric = TrackEvalMetric(str(tmp_path / "ann.json"), None, protocol="waymo", out_dir=str(tmp_path / "out"))
    assert metric.classes == ("vehicle", "pedestrian", "cyclist")
    scores = run(metric, samples, classes=classes)
    assert (scores["track/pedestrian/FN"], scores["track/LEVEL_1/pedestrian/FN"]) == (6, 0)
    assert (scores["track/vehicle/FP"], scores["track/vehicle/FN"]) == (6, 6)  # IoU 21 / 39
    assert "LEVEL_1" in json.loads((tmp_path / "out" / "metrics.json").read_text())


TWO_PROCESSES = """
import json
from torch.distributed import get_rank
from test_track_eval_metric import TrackEvalMetric, perfect, run
frames = {0: perfect(1, range(6)), 1: perfect(2, (3, 7, 8)) + perfect(1, (0,))}[get_rank()]  # one frame as padding
scores = run(TrackEvalMetric(sys.argv[1], collect_dir=sys.argv[2]), frames, size=2)
open(f"{sys.argv[2]}.{get_rank()}", "w").write(json.dumps(scores))
"""


def test_two_processes_share_the_videos(ann_file: str, tmp_path: Path) -> None:
    here = Path(__file__).resolve().parent
    run_ranks(TWO_PROCESSES, [ann_file, str(tmp_path / "dist")], 2, [here, here.parent])
    one, two = (json.loads((tmp_path / f"dist.{rank}").read_text()) for rank in "01")
    assert one == two
    assert one["track/MOTA"] == 100
    assert np.isclose(one["track/HOTA"], 100)
