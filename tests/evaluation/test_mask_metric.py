"""The metric of the test loop with masks: the same numbers as from the files that it writes, and mistakes at once."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("mmdet")

import torch
from mmdet.registry import METRICS
from mmdet.structures import DetDataSample, TrackDataSample
from mmengine.evaluator import Evaluator
from mmengine.structures import InstanceData
from mots_scene import SIZE, random_scene, table

from clmot_qd.datasets.mot_text import MotTable
from clmot_qd.datasets.mots_text import IGNORE_CLASS, IGNORE_NAME
from clmot_qd.errors import InputError
from clmot_qd.evaluation import evaluate_tracks, read_cocovid, track_eval_metric
from clmot_qd.evaluation.formats import read_predictions
from clmot_qd.evaluation.mask_tables import Repairs, masks_of, ready_table

CLASSES = ("car", "pedestrian")  # labels 0 and 1 of the model
FRAMES = 12


def cocovid(table: MotTable) -> dict[str, Any]:
    height, width = SIZE
    images = [
        {
            "id": number,
            "video_id": 1,
            "frame_id": number - 1,
            "height": height,
            "width": width,
            "file_name": f"{number}",
        }
        for number in range(1, FRAMES + 1)
    ]
    columns = zip(table.frames.tolist(), table.ids.tolist(), table.class_ids.tolist(), masks_of(table).texts())
    entries = [
        {
            **{"id": number, "image_id": frame, "instance_id": identity, "category_id": kind, "bbox": [0, 0, 1, 1]},
            **{"segmentation": {"size": list(SIZE), "counts": text}, "ignore": kind == IGNORE_CLASS},
        }
        for number, (frame, identity, kind, text) in enumerate(columns, start=1)
    ]
    names = {1: "car", 2: "pedestrian", IGNORE_CLASS: IGNORE_NAME}
    categories = [{"id": number, "name": name} for number, name in names.items()]
    videos = [{"id": 1, "name": "one"}]
    return {"videos": videos, "images": images, "annotations": entries, "categories": categories}


@pytest.fixture
def ann_file(tmp_path: Path) -> str:
    path = tmp_path / "ann.json"
    path.write_text(json.dumps(cocovid(random_scene(3, FRAMES)[0])))
    return str(path)


def sample(table: MotTable, number: int, masks: bool = True) -> TrackDataSample:
    """The predictions of one frame as a model gives them."""
    found = table.select(table.frames == number)
    frame = DetDataSample(metainfo={"video_id": 1, "frame_id": number - 1})
    corners = found.bboxes.copy()
    corners[:, 2:] += corners[:, :2]
    frame.pred_track_instances = InstanceData(
        instances_id=torch.from_numpy(found.ids),
        bboxes=torch.from_numpy(corners),
        scores=torch.from_numpy(found.scores),
        labels=torch.from_numpy(found.class_ids - 1),
    )
    if masks:
        frame.pred_track_instances.masks = masks_of(found)
    elif not len(found):
        frame.pred_track_instances = InstanceData()
    result = TrackDataSample()
    result.video_data_samples = [frame]
    return result


def run(table: MotTable, **options) -> dict[str, float]:
    return run_samples([sample(table, number) for number in range(1, FRAMES + 1)], **options)


def run_samples(samples: list[TrackDataSample], **options) -> dict[str, float]:
    metric = METRICS.build({"type": "TrackEvalMetric", "classes": None, "backends": ["trackeval"], **options})
    evaluator = Evaluator([metric])
    evaluator.dataset_meta = {"classes": CLASSES}
    for one in samples:
        evaluator.process([one])
    return evaluator.evaluate(1)


def predictions() -> MotTable:
    tracks = random_scene(3, FRAMES)[1]
    return replace(tracks, scores=np.random.default_rng(0).uniform(0.3, 1, len(tracks)).round(6))


def test_numbers_are_those_of_the_tables(ann_file: str) -> None:
    flat = run(predictions(), ann_file=ann_file, protocol="kitti-mots", iou_type="segm")
    expected = evaluate_tracks(
        read_cocovid(ann_file, masks=True), {"one": predictions()}, protocol="kitti-mots", iou_type="segm"
    )
    for key in ("HOTA", "MOTSA", "MOTSP", "sMOTSA", "mMOTSA", "mMOTSP", "mIDF1", "IDSW", "car/sMOTSA"):
        assert flat[f"track/{key}"] == expected.flat()[key], key
    assert 0 < flat["track/sMOTSA"] < 100


@pytest.mark.parametrize("form", ["mots", "cocovid", "bdd100k", "bdd100k-bitmasks"])
def test_files_score_the_same(ann_file: str, tmp_path: Path, form: str) -> None:
    """Whether boxes or masks are scored, files hold the masks."""
    out = tmp_path / "out"
    options = {"ann_file": ann_file, "out_dir": str(out), "out_format": form}
    flat = run(predictions(), protocol="kitti-mots", iou_type="segm", **options)
    truth = read_cocovid(ann_file, masks=True)
    (path,) = (path for path in out.iterdir() if path.name != "metrics.json")
    found = read_predictions(out if path.suffix == ".txt" else path, truth, form, masks=True)
    scores = evaluate_tracks(truth, found, protocol="kitti-mots", iou_type="segm", backends=["trackeval"]).flat()
    assert {f"track/{key}": value for key, value in scores.items()} == flat
    run(predictions(), protocol="plain", **options)
    again = read_predictions(out if path.suffix == ".txt" else path, truth, form, masks=True)
    assert masks_of(again["one"]).texts() == masks_of(found["one"]).texts()


def test_boxes_of_a_model_with_masks_are_scored_as_before(ann_file: str) -> None:
    flat = run(predictions(), ann_file=ann_file, protocol="plain")
    assert "track/MOTA" in flat
    assert "track/MOTSA" not in flat


def test_masks_of_all_classes_compete(ann_file: str, tmp_path: Path, monkeypatch: Any) -> None:
    """Also if one class is scored: the files of all classes score the same, and the repair is told once."""
    lines: list[str] = []
    monkeypatch.setattr(track_eval_metric, "print_log", lambda line, **_: lines.append(line))
    frames = [
        [(x, 20, 12, 12, 2000 + i, 2) if i % 2 else (x, 22, 12, 12, 1000 + i, 1) for i, x in enumerate(range(4, 50, 8))]
        for _ in range(FRAMES)
    ]
    found = table(frames, 1, disjoint=False)
    scores = np.random.default_rng(0).random(len(found))
    ids = np.where(found.class_ids == 2, found.ids, found.ids + 5)
    truth = ready_table(replace(found, scores=1 - scores), True, Repairs())
    Path(ann_file).write_text(json.dumps(cocovid(truth)))
    found = replace(found, scores=scores, ids=ids)
    options = {"classes": ["pedestrian"], "protocol": "kitti-mots", "iou_type": "segm"}
    flat = run(found, ann_file=ann_file, **options, out_dir=str(tmp_path / "out"), out_format=("mots", "cocovid"))
    annotated = read_cocovid(ann_file, masks=True)
    expected = evaluate_tracks(annotated, {"one": found}, backends=["trackeval"], **options).flat()
    assert flat == {f"track/{key}": value for key, value in expected.items()}
    alone = {"one": found.select(found.class_ids == 2)}
    assert expected["HOTA"] != evaluate_tracks(annotated, alone, backends=["trackeval"], **options).flat()["HOTA"]
    assert len([line for line in lines if f"of {len(found)} predicted masks lost pixels to others" in line]) == 1
    for path in (tmp_path / "out" / "mots", tmp_path / "out" / "cocovid.json"):
        again = read_predictions(path, annotated, masks=True)
        assert (
            evaluate_tracks(annotated, again, backends=["trackeval"], **options).flat()["sMOTSA"] == expected["sMOTSA"]
        )


@pytest.mark.parametrize("kind", [torch.from_numpy, np.asarray])
def test_bitmaps_as_mmdet_has_them(ann_file: str, tmp_path: Path, kind: Any) -> None:
    samples = [sample(predictions(), number) for number in range(1, FRAMES + 1)]
    for one in samples:
        tracks = one.video_data_samples[0].pred_track_instances
        bitmaps = tracks.pop("masks").bitmaps()
        tracks.masks = kind(bitmaps)
    options = {"ann_file": ann_file, "protocol": "kitti-mots", "iou_type": "segm"}
    assert run_samples(samples, **options) == run(predictions(), **options)
    options = {"ann_file": ann_file, "protocol": "plain", "out_format": "mots"}
    run_samples(samples, **options, out_dir=str(tmp_path / "one"))
    run(predictions(), **options, out_dir=str(tmp_path / "two"))
    one, two = ((tmp_path / name / "mots" / "one.txt").read_text() for name in ("one", "two"))
    assert one == two


def test_what_is_written_unless_asked(ann_file: str, tmp_path: Path) -> None:
    run(predictions(), ann_file=ann_file, protocol="kitti-mots", iou_type="segm", out_dir=str(tmp_path / "masks"))
    assert {path.name for path in (tmp_path / "masks").iterdir()} == {"one.txt", "mots", "metrics.json"}
    run(predictions(), ann_file=ann_file, protocol="plain", out_dir=str(tmp_path / "boxes"))
    assert {path.name for path in (tmp_path / "boxes").iterdir()} == {"one.txt", "metrics.json"}


def test_masks_that_no_file_keeps_are_not_looked_at(ann_file: str, tmp_path: Path) -> None:
    given = sample(predictions(), 1)
    given.video_data_samples[0].pred_track_instances.masks = ["no mask"] * len(sample_masks(given))
    options = {"ann_file": ann_file, "protocol": "plain", "out_dir": str(tmp_path / "out")}
    run_samples([given], **options)
    with pytest.raises(InputError, match=r"one, frame 1: masks are a list that holds no bitmaps \(n, height, width\)"):
        run_samples([given], **options, out_format=("mot", "bdd100k"))


def test_regions_are_not_asked_of_the_model(ann_file: str, tmp_path: Path) -> None:
    """A test set of MOTS20 is written with the protocol's classes."""
    run(predictions(), ann_file=ann_file, protocol="mots20", iou_type="segm", format_only=True, out_dir=str(tmp_path))
    rows = (tmp_path / "mots" / "one.txt").read_text().splitlines()
    assert {row.split()[2] for row in rows} == {"2"}


def sample_masks(given: TrackDataSample) -> Any:
    return given.video_data_samples[0].pred_track_instances.masks


class TestMistakes:
    def metric(self, ann_file: str, **options) -> Any:
        metric = METRICS.build({"type": "TrackEvalMetric", "ann_file": ann_file, "classes": None, **options})
        metric.dataset_meta = {"classes": CLASSES}
        return metric

    def test_a_model_without_masks(self, ann_file: str) -> None:
        metric = self.metric(ann_file, protocol="plain", iou_type="segm")
        with pytest.raises(InputError, match="one, frame 1: the tracks have no masks to score with iou_type segm"):
            metric.process({}, [sample(predictions(), 1, masks=False)])
        metric.process({}, [sample(predictions().select(np.arange(0)), 2, masks=False)])

    @pytest.mark.parametrize(
        ("out_format", "told"),
        [
            (("mot", "mots", "cocovid"), r"'mots' is made of; set test_evaluator\.out_format=mot,cocovid, or"),
            ("bdd100k-bitmasks", r"'bdd100k-bitmasks' is made of; set test_evaluator\.out_format=mot, or"),
        ],
    )
    def test_files_of_masks_from_a_model_without(
        self, ann_file: str, tmp_path: Path, out_format: Any, told: str
    ) -> None:
        """It is said in the first frame with a track; without a folder nothing is written, and formats do not count."""
        options = {"protocol": "plain", "out_format": out_format}
        metric = self.metric(ann_file, out_dir=str(tmp_path / "out"), **options)
        metric.process({}, [sample(predictions().select(np.arange(0)), 1, masks=False)])
        empty = sample(predictions(), 1, masks=False)
        tracks = empty.video_data_samples[0].pred_track_instances
        empty.video_data_samples[0].pred_track_instances = tracks[:0]
        metric.process({}, [empty])
        with pytest.raises(InputError, match=f"one, frame 2: the tracks have no masks, which out_format {told}"):
            metric.process({}, [sample(predictions(), 2, masks=False)])
        self.metric(ann_file, **options).process({}, [sample(predictions(), 2, masks=False)])
        options["out_format"] = ("mot", "cocovid", "bdd100k")
        metric = self.metric(ann_file, out_dir=str(tmp_path / "out"), **options)
        metric.process({}, [sample(predictions(), 2, masks=False)])

    def test_masks_in_some_frames_alone(self, ann_file: str, tmp_path: Path) -> None:
        metric = self.metric(ann_file, protocol="plain", out_dir=str(tmp_path / "out"), out_format="cocovid")
        metric.process({}, [sample(predictions(), 1), sample(predictions(), 2, masks=False)])
        with pytest.raises(InputError, match="some frames of a video have masks, others have none"):
            metric.evaluate(1)

    def test_masks_of_another_size(self, ann_file: str) -> None:
        given = sample(predictions(), 1)
        tracks = given.video_data_samples[0].pred_track_instances
        object.__setattr__(tracks.masks, "size", (64, 48))
        metric = self.metric(ann_file, protocol="kitti-mots", iou_type="segm")
        with pytest.raises(InputError, match=r"one, frame 1: predicted masks are of \(64, 48\) pixels"):
            metric.process({}, [given])

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"iou_type": "masks"}, "iou_type: 'masks' is unknown"),
            ({"protocol": "kitti-mots"}, "protocol kitti-mots does not score iou_type bbox; set iou_type to segm"),
        ],
    )
    def test_found_before_testing(self, ann_file: str, options: dict, message: str) -> None:
        with pytest.raises(InputError, match=message):
            self.metric(ann_file, **options)

    def test_annotations_without_masks(self, ann_file: str) -> None:
        data = json.loads(Path(ann_file).read_text())
        for entry in data["annotations"]:
            del entry["segmentation"]
        Path(ann_file).write_text(json.dumps(data))
        with pytest.raises(InputError, match=r"ann\.json: no annotation has a 'segmentation'"):
            self.metric(ann_file, protocol="plain", iou_type="segm")
        self.metric(ann_file, protocol="plain")
