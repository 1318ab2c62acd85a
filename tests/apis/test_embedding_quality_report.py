"""The embedding quality of a model: read at the true boxes, per class, as table, JSON and picture."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from clmot_qd.apis.detection_cache import ConfiguredVideos, prepare_config
from clmot_qd.apis.embedding_quality import embedding_quality
from clmot_qd.apis.embedding_quality_plot import plot_report
from clmot_qd.apis.embedding_quality_report import (
    ALL_CLASSES,
    RANDOM,
    TRAINED,
    embed_true_boxes,
    measure_embeddings,
    report_table,
    write_report,
)
from clmot_qd.datasets.mot_text import make_table
from clmot_qd.errors import InputError
from clmot_qd.evaluation import SequenceTruth


def test_embeddings_are_those_at_the_true_boxes(project: dict[str, Any]) -> None:
    source = ConfiguredVideos(prepare_config(project["config"], None))
    model = source.load_model(project["checkpoint"])
    truth = source.truth.sequences["clip-2"]
    number = source.truth.categories["pedestrian"]
    found = embed_true_boxes(source, {TRAINED: model}, ["pedestrian"], lambda done, total: None)
    assert len(found.ids) == 2 * 6 * 4
    rows = (found.videos == 1) & (found.frames == 3)
    true = truth.boxes.select((truth.boxes.frames == 3) & (truth.boxes.class_ids == number))
    assert found.ids[rows].tolist() == true.ids.tolist()

    batch = list(source.batches(["clip-2"]))[2]
    data = model.data_preprocessor(batch)
    meta = data["data_samples"][0][0].metainfo
    (w_scale, h_scale), (top, _, left, _) = meta["scale_factor"], meta["pad_param"]
    boxes = true.bboxes * [w_scale, h_scale, w_scale, h_scale]
    boxes[:, 2:] += boxes[:, :2]
    boxes += [left, top, left, top]
    expected = model.embed_boxes(data["inputs"].flatten(0, 1), [torch.tensor(boxes).float()])[0]
    np.testing.assert_allclose(found.embeds[TRAINED][rows], expected.numpy(), atol=1e-4)


def test_what_is_not_considered_is_left_out(project: dict[str, Any]) -> None:
    source = ConfiguredVideos(prepare_config(project["config"], None))
    number = source.truth.categories["pedestrian"]
    rows = [(2, 7, 1, number), (2, 8, 0, number), (2, 9, 1, number + 2), (4, -1, 1, number)]
    frames, ids, scores, numbers = zip(*rows)
    table = make_table(frames, ids, [[10, 10, 20, 30]] * 4, scores, numbers)
    source.truth.sequences["clip-1"] = SequenceTruth(np.arange(1, 7), table)  # type: ignore[index]
    source.truth.sequences["clip-2"] = SequenceTruth(np.arange(1, 7), table.select(table.frames < 0))  # type: ignore[index]
    models = {TRAINED: source.load_model(project["checkpoint"])}
    found = embed_true_boxes(source, models, ["pedestrian"], lambda done, total: None)
    assert (found.ids.tolist(), found.frames.tolist(), found.videos.tolist()) == ([7], [2], [0])
    source.truth.sequences["clip-1"] = source.truth.sequences["clip-2"]  # type: ignore[index]
    with pytest.raises(InputError, match="no box of pedestrian has an identity to compare"):
        embed_true_boxes(source, models, ["pedestrian"], lambda done, total: None)


def test_a_class_at_a_time_and_all_of_them(project: dict[str, Any]) -> None:
    keys = {"test_evaluator.classes": ("car", "pedestrian")}
    steps: list[tuple[int, int]] = []
    report = measure_embeddings(
        project["config"],
        project["checkpoint"],
        keys,
        random_seed=3,
        gaps=(1, 2),
        progress=lambda done, total: steps.append((done, total)),
    )
    assert list(report) == [TRAINED, RANDOM]
    assert list(report[TRAINED]) == ["car", "pedestrian", ALL_CLASSES]
    counts = {name: quality.objects for name, quality in report[TRAINED].items()}
    assert counts == {"car": 24, "pedestrian": 48, ALL_CLASSES: 72}
    pairs = {name: int((quality.same + quality.different).sum()) for name, quality in report[TRAINED].items()}
    assert pairs[ALL_CLASSES] == pairs["car"] + pairs["pedestrian"] == 24 * 23 // 2 + 48 * 47 // 2
    assert report[TRAINED]["car"].tpr_at_far != report[RANDOM]["car"].tpr_at_far
    assert steps[-1] == (12, 12)


@pytest.fixture
def report() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    ids, frames = np.repeat(np.arange(5), 8), np.tile(np.arange(8), 5)
    looks = rng.normal(size=(5, 6))[ids]
    embeds = {TRAINED: looks + 0.3 * rng.normal(size=looks.shape), RANDOM: rng.normal(size=looks.shape)}
    return {
        name: {
            "car": embedding_quality(vectors, ids, frames, np.zeros(40), gaps=(1, 50)),
            "bus": embedding_quality(vectors[:1], ids[:1], frames[:1], np.zeros(1), gaps=(1, 50)),
        }
        for name, vectors in embeds.items()
    }


def test_table(report: dict[str, Any]) -> None:
    lines = report_table(report).splitlines()
    assert lines[0] == "car: 40 true boxes of 5 identities; 140 pairs of one identity, 640 of two"
    assert lines[1] == "bus: 1 true boxes of 1 identities; 0 pairs of one identity, 0 of two"
    assert lines[4].split() == ["1e-06", "1e-05", "1e-04", "1e-03", "1e-02", "1e-01", "+1", "+50"]
    cells = lines[5].split()
    quality = report[TRAINED]["car"]
    assert cells[:2] == ["trained,", "car"]
    assert cells[2:8] == [f"{100 * value:.2f}" for value in quality.tpr_at_far.values()]
    assert cells[8:] == [f"{100 * quality.nearest[1].accuracy:.2f}", "-"]
    assert lines[6].split() == ["trained,", "bus", *["-"] * 8]
    assert lines[9].split() == ["chance,", "car", "20.00", "-"]
    assert max(map(len, lines)) <= 120


def test_json(report: dict[str, Any], tmp_path: Path) -> None:
    write_report(report, tmp_path / "new" / "a.json")
    content = json.loads((tmp_path / "new" / "a.json").read_text())
    car, quality = content[TRAINED]["car"], report[TRAINED]["car"]
    assert (car["objects"], car["identities"], car["same_pairs"], car["different_pairs"]) == (40, 5, 140, 640)
    assert car["tpr_at_far"]["1e-02"] == quality.tpr_at_far[1e-2]
    assert car["thresholds"]["1e-02"] == quality.thresholds[1e-2]
    assert car["nearest"] == {
        "1": dict(objects=35, accuracy=quality.nearest[1].accuracy, chance=0.2),
        "50": dict(objects=0, accuracy=None, chance=None),
    }
    assert content[TRAINED]["bus"]["tpr_at_far"]["1e-02"] is None


def test_picture(report: dict[str, Any], tmp_path: Path) -> None:
    plot_report(report, tmp_path / "a.png")
    both = cv2.imread(str(tmp_path / "a.png"))
    plot_report({TRAINED: {"car": report[TRAINED]["car"]}}, tmp_path / "b.png")
    one = cv2.imread(str(tmp_path / "b.png"))
    assert both.shape[0] == 2 * one.shape[0]
    assert both.shape[1] * 2 == one.shape[1] * 3
    assert len(np.unique(one.reshape(-1, 3), axis=0)) > 50


def test_the_command(project: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = Path(__file__).resolve().parents[2] / "tools" / "test_embeddings.py"
    spec = importlib.util.spec_from_file_location("tool_test_embeddings", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    command = [project["config"], project["checkpoint"], "--gaps", "1", "2", "--out", str(tmp_path / "out")]
    assert module.main([*command, "--random"]) == 0
    printed = capsys.readouterr()
    assert "random weights, pedestrian" in printed.out
    assert "12/12" in printed.err
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "embedding_quality.json",
        "embedding_quality.png",
    ]
    with pytest.raises(InputError, match="gaps"):
        module.main([*command[:2], "--gaps", "0"])
