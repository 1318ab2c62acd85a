"""TrackMapMetric and out_format in mmengine's evaluator: TrackEval's numbers, classes, files, mistakes found early."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("mmdet")

import torch
from mmdet.registry import METRICS
from mmdet.structures import DetDataSample, TrackDataSample
from mmengine.evaluator import Evaluator
from mmengine.structures import InstanceData
from tao_scenes import as_cocovid, random_tao, run_trackeval

from clmot_qd.errors import InputError
from clmot_qd.evaluation import GroundTruth, read_cocovid
from clmot_qd.evaluation.formats import read_predictions
from clmot_qd.evaluation.tao_metric import TrackMapMetric
from clmot_qd.evaluation.track_eval_metric import TrackEvalMetric


@pytest.fixture
def scene(tmp_path: Path) -> tuple[dict, list, str]:
    """TAO's own annotation, predictions, and our annotation file."""
    data, found = random_tao(4, videos=3)
    (tmp_path / "ann.json").write_text(json.dumps(as_cocovid(data)))
    (tmp_path / "pred.json").write_text(json.dumps(found))
    return data, found, str(tmp_path / "ann.json")


def samples_of(truth: GroundTruth, path: Path, classes: list[str]) -> list[TrackDataSample]:
    """What a model with these classes hands over: one sample per frame, in the order of the file."""
    places = {place: key for key, place in truth.frame_index.items()}
    labels = {truth.categories.get(name): label for label, name in enumerate(classes)}
    result = []
    for name, table in read_predictions(path, truth).items():
        _, first = np.unique(table.frames, return_index=True)
        for frame in table.frames[np.sort(first)].tolist():
            part = table.select(table.frames == frame)
            video, number = places[name, frame]
            sample = DetDataSample(metainfo={"video_id": video, "frame_id": number})
            corners = np.hstack([part.bboxes[:, :2], part.bboxes[:, :2] + part.bboxes[:, 2:]])
            sample.pred_track_instances = InstanceData(
                instances_id=torch.tensor(part.ids),
                bboxes=torch.tensor(corners),
                scores=torch.tensor(part.scores),
                labels=torch.tensor([labels[number] for number in part.class_ids.tolist()]),
            )
            result.append(TrackDataSample())
            result[-1].video_data_samples = [sample]
    return result


def run(metric: TrackEvalMetric, samples: list[TrackDataSample], classes: list[str]) -> dict:
    evaluator = Evaluator([metric])
    evaluator.dataset_meta = {"classes": classes}
    for sample in samples:
        evaluator.process([sample])
    return evaluator.evaluate(1)


def names_of(data: dict) -> list[str]:
    """The classes of a model, not in the order of the file, with one that the file does not have."""
    return ["unicorn", *(category["name"] for category in data["categories"][::-1])]


def test_numbers_and_files(scene: tuple[dict, list, str], tmp_path: Path) -> None:
    data, found, ann_file = scene
    truth, names = read_cocovid(ann_file), names_of(data)
    metric = METRICS.build(
        {"type": "TrackMapMetric", "ann_file": ann_file, "out_dir": str(tmp_path / "out"), "out_format": ("tao", "mot")}
    )
    scores = run(metric, samples_of(truth, tmp_path / "pred.json", names), names)
    theirs, _ = run_trackeval(tmp_path / "one", copy.deepcopy(data), found)
    combined = theirs["COMBINED_SEQ"]["cls_comb_cls_av"]["TrackMAP"]
    assert scores["track/AP50"] == pytest.approx(100 * combined["AP_all"][0], abs=1e-9)
    assert scores["track/AP"] == pytest.approx(100 * np.mean(combined["AP_all"]), abs=1e-9)
    assert scores["track/AR_area_l"] == pytest.approx(100 * np.mean(combined["AR_area_l"]), abs=1e-9)
    again, _ = run_trackeval(tmp_path / "two", data, tmp_path / "out" / "tao.json")
    np.testing.assert_array_equal(again["COMBINED_SEQ"]["cls_comb_cls_av"]["TrackMAP"]["AP_all"], combined["AP_all"])
    files = sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.*"))
    assert files == ["metrics.json", "tao.json", "val/set0/v11.txt", "val/set0/v9.txt", "val/set1/v10.txt"]
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["track_map"]["overall"]["AP"] == scores["track/AP"]


def test_classes_that_are_not_scored_share_the_limit(scene: tuple[dict, list, str], tmp_path: Path) -> None:
    data, _, ann_file = scene
    truth, names = read_cocovid(ann_file), names_of(data)
    samples = samples_of(truth, tmp_path / "pred.json", names)
    every = run(TrackMapMetric(ann_file, classes=["thing 3"]), samples, names)
    limited = run(TrackMapMetric(ann_file, classes=["thing 3"], max_detections=2), samples, names)
    assert limited["track/AR"] < every["track/AR"]
    theirs, _ = run_trackeval(tmp_path, data, tmp_path / "pred.json", limit=2)
    expected = theirs["COMBINED_SEQ"]["thing 3"]["TrackMAP"]["AR_all"]
    assert limited["track/AR"] == pytest.approx(100 * np.mean(expected), abs=1e-9)


def test_a_file_with_one_class(tmp_path: Path) -> None:
    data, found = random_tao(4, videos=2, classes=1)
    data["categories"][0].pop("merged")
    (tmp_path / "ann.json").write_text(json.dumps(as_cocovid(data)))
    (tmp_path / "pred.json").write_text(json.dumps(found))
    truth = read_cocovid(tmp_path / "ann.json")
    metric = TrackMapMetric(str(tmp_path / "ann.json"), out_dir=str(tmp_path / "out"))
    assert run(metric, samples_of(truth, tmp_path / "pred.json", ["thing 1"]), ["thing 1"])["track/AP50"] > 0
    assert json.loads((tmp_path / "out" / "tao.json").read_text())[0]["category_id"] == 10


class TestOutFormat:
    def test_every_metric_writes_every_format(self, scene: tuple[dict, list, str], tmp_path: Path) -> None:
        data, _, ann_file = scene
        truth, names = read_cocovid(ann_file), names_of(data)
        formats = ["bdd100k", "tao", "cocovid"]
        metric = TrackEvalMetric(
            ann_file, classes=None, out_dir=str(tmp_path / "out"), format_only=True, out_format=formats
        )
        assert run(metric, samples_of(truth, tmp_path / "pred.json", names), names) == {}
        assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
            f"{name}.json" for name in sorted(formats)
        ]
        expected = read_predictions(tmp_path / "pred.json", truth)
        for name in ("bdd100k", "cocovid"):
            found = read_predictions(tmp_path / "out" / f"{name}.json", truth)
            assert sum(map(len, found.values())) == sum(map(len, expected.values()))

    def test_one_class_is_named(self, scene: tuple[dict, list, str], tmp_path: Path) -> None:
        data, _, ann_file = scene
        truth, names = read_cocovid(ann_file), names_of(data)
        metric = TrackEvalMetric(
            ann_file, ["thing 3"], out_dir=str(tmp_path / "out"), format_only=True, out_format=("mot", "cocovid")
        )
        run(metric, samples_of(truth, tmp_path / "pred.json", names), names)
        entries = json.loads((tmp_path / "out" / "cocovid.json").read_text())
        assert {entry["category_id"] for entry in entries} == {30}
        rows = "".join(path.read_text() for path in (tmp_path / "out").rglob("*.txt")).splitlines()
        assert {row.split(",")[7] for row in rows} == {"-1"}
        assert len(rows) == len(entries)

    @pytest.mark.parametrize("kind", [TrackEvalMetric, TrackMapMetric])
    def test_unknown_format(self, kind: type, scene: tuple[dict, list, str]) -> None:
        with pytest.raises(InputError, match="out_format: 'xml' is unknown; choose from mot, bdd100k, tao, cocovid"):
            kind(scene[2], classes=["thing 3"], out_format="xml")


class TestMistakes:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"classes": ["unicorn"]}, "ann.json: no class 'unicorn'; it has thing 1"),
            ({"max_detections": -1}, "TrackMapMetric: max_detections is -1"),
            ({"format_only": True}, "format_only needs out_dir"),
        ],
    )
    def test_options(self, options: dict, message: str, scene: tuple[dict, list, str]) -> None:
        with pytest.raises(InputError, match=message):
            TrackMapMetric(scene[2], **options)

    def test_model_of_other_classes(self, scene: tuple[dict, list, str]) -> None:
        metric = TrackMapMetric(scene[2], classes=["thing 3"])
        with pytest.raises(InputError, match="classes has 'thing 3', but the model's are thing 1, thing 4"):
            metric.dataset_meta = {"classes": ("thing 1", "thing 4")}
        with pytest.raises(InputError, match=r"ann.json: none of the model's classes is listed: unicorn"):
            TrackMapMetric(scene[2]).dataset_meta = {"classes": ("unicorn",)}

    def test_test_set(self, scene: tuple[dict, list, str], tmp_path: Path) -> None:
        data = json.loads(Path(scene[2]).read_text())
        data["annotations"] = []
        (tmp_path / "test.json").write_text(json.dumps(data))
        with pytest.raises(InputError, match="no box of any class to score against; is this a test set"):
            TrackMapMetric(str(tmp_path / "test.json"))
        TrackMapMetric(str(tmp_path / "test.json"), format_only=True, out_dir=str(tmp_path))
