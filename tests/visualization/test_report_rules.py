"""By what runs are scored: the run's evaluator, what options say instead, and which runs are compared."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from mmengine.config import Config
from report_scene import Page, write_scene

from clmot_qd.errors import InputError
from clmot_qd.evaluation.protocols import Protocol
from clmot_qd.visualization.report import Limits, ReportRun, write_report
from clmot_qd.visualization.report.request import Request
from clmot_qd.visualization.report.result_folders import read_tracked
from clmot_qd.visualization.report.rules import difference, rules_of, scored_classes
from clmot_qd.visualization.report.sources import tracks_of_files
from clmot_qd.visualization.report.tracked import Tracked

EVERY = "All sequences"


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    return write_scene(tmp_path / "scene", pictures=False)


def read(scene: Path, **options: Any) -> Tracked:
    return read_tracked(scene / "truth.json", scene / "tracks.json", **options)


def rules(tracked: Tracked, **changed: Any) -> Tracked:
    return dataclasses.replace(tracked, rules=changed)


def several_classes(folder: Path, names: Sequence[str]) -> Path:
    """A scene whose objects and tracks are of the first class; the others have an object in a frame of their own."""
    scene = write_scene(folder, pictures=False)
    truth = json.loads((scene / "truth.json").read_text())
    truth["categories"] = [dict(id=3 + number, name=name) for number, name in enumerate(names)]
    for number in range(1, len(names)):
        box = dict(truth["annotations"][0], id=1000 + number, category_id=3 + number, instance_id=100 + number)
        truth["annotations"].append(dict(box, bbox=[40.0, 70, 10, 10]))
    (scene / "truth.json").write_text(json.dumps(truth))
    return scene


def test_runs_scored_by_other_rules_are_not_compared(scene: Path, tmp_path: Path) -> None:
    first = read(scene, protocol="plain")
    second = rules(first, protocol="plain", iou_thr=0.9)
    found = Page(write_report([ReportRun("a", tracked=first), ReportRun("b", tracked=second)], tmp_path / "p.html"))
    assert EVERY not in found.tables
    assert "b was scored by other rules than the first run, so it has no row." in found.said("li")


def test_what_is_not_said_is_the_protocols(tmp_path: Path) -> None:
    tracked = read(several_classes(tmp_path / "s", ["walker", "reflection"]), protocol="plain", classes=["walker"])
    same = "was scored by other rules"
    assert difference(rules(tracked), rules(tracked, protocol="mot", iou_thr=0.5, distractors=["reflection"])) == ""
    assert difference(rules(tracked), rules(tracked, protocol="mot20", distractors=None, iou_thr=None)) == ""
    assert difference(rules(tracked), rules(tracked, protocol="mot", distractors=[])) == same
    assert difference(rules(tracked), rules(tracked, protocol="plain")) == same
    assert difference(rules(tracked), rules(tracked, protocol="bdd100k", distractors=["reflection"])) == same
    assert difference(rules(tracked, protocol="plain"), rules(tracked, protocol="waymo")) == same
    other = dataclasses.replace(tracked, classes=("walker", "reflection"))
    assert difference(tracked, other) == "was scored on other data"


def test_regions_are_rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = {name: Protocol(name, regions=regions) for name, regions in (("a", ("dog",)), ("b", ()), ("c", ("cat",)))}
    tracked = read(several_classes(tmp_path / "s", ["walker", "dog"]), protocol="plain")
    monkeypatch.setattr("clmot_qd.visualization.report.rules.get_protocol", known.__getitem__)
    assert difference(rules(tracked, protocol="a"), rules(tracked, protocol="b")) == "was scored by other rules"
    assert difference(rules(tracked, protocol="b"), rules(tracked, protocol="c")) == ""  # there are no cats


def test_taos_evaluator_is_the_plain_protocol(tmp_path: Path) -> None:
    scene = several_classes(tmp_path / "s", ["walker", "dog", "kite"])
    tao = dict(type="TrackMapMetric", ann_file="x", max_detections=5)
    assert rules_of(tao) == {"protocol": "plain"}
    found = read(scene, evaluator=tao)
    assert (found.rules, found.classes) == ({"protocol": "plain"}, ("walker", "dog", "kite"))
    assert scored_classes({**tao, "classes": ["dog"]}, found.truth) == ("dog",)


def config(scene: Path, **evaluator: Any) -> Config:
    entry = dict(type="TrackEvalMetric", ann_file=str(scene / "truth.json"), **evaluator)
    return Config(dict(test_evaluator=entry, test_dataloader=dict(dataset=dict(data_root="root"))))


def test_result_files_are_scored_as_the_run_is(tmp_path: Path) -> None:
    scene = several_classes(tmp_path / "s", ["walker", "dog"])
    said = dict(protocol="plain", iou_thr=0.7, distractors=["dog"], classes=["walker"])
    known = config(scene, **said)
    for gt in (None, str(scene / "truth.json")):  # named again, it is still the run's evaluator that says how
        request = Request(runs=["run"], pred=[str(scene / "tracks.json")], gt=gt)
        found = tracks_of_files(request, 0, known)
        assert found.rules == dict(protocol="plain", iou_thr=0.7, distractors=["dog"])
        assert found.classes == ("walker",)
    other = tracks_of_files(dataclasses.replace(request, protocol="plain", classes=["walker", "dog"]), 0, known)
    assert (other.rules, other.classes) == ({"protocol": "plain"}, ("walker", "dog"))
    classes = tracks_of_files(dataclasses.replace(request, classes=["dog"]), 0, known)
    assert (classes.rules["iou_thr"], classes.classes) == (0.7, ("dog",))
    with pytest.raises(InputError, match="names a ground truth; name it"):
        tracks_of_files(dataclasses.replace(request, gt=None), 0, {})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(classes=["wlaker"]), r"no class 'wlaker'; it has walker, dog \(--classes names them\)"),
        (dict(protocol="mot"), r"no class 'pedestrian'.* \(--protocol mot scores them; others by --classes"),
        (dict(classes=["dog"], max_frames=0), r"no box of dog to score against.*\(--classes names them\)"),
        (dict(evaluator=dict(type="TrackEvalMetric")), r"no class 'pedestrian'.*\(the run's evaluator scores them"),
    ],
)
def test_what_cannot_be_scored_is_told_before_anything_is_read(
    options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    scene = several_classes(tmp_path / "s", ["walker", "dog"])
    with pytest.raises(InputError, match=message):
        read_tracked(scene / "truth.json", scene / "nowhere", **options)


def test_a_comparison_of_many_classes_is_limited(tmp_path: Path) -> None:
    names = [f"kind{number}" for number in range(5)]
    scene = several_classes(tmp_path / "s", names)
    runs = [ReportRun(name, tracked=read(scene, protocol="plain")) for name in "ab"]
    found = Page(write_report(runs, tmp_path / "p.html", limits=Limits(classes=2)))
    by_sequence = [caption for caption in found.tables if "per sequence, class" in caption]
    assert {caption.rpartition(" ")[2] for caption in by_sequence} == {"kind0", "kind1"}
    assert len(by_sequence) == 6
    assert "3 classes are not compared by sequence; eval_tracks has all." in found.said("li")
    means = f"{EVERY} and 5 classes (percentages are means, counts are sums)"
    table = {heads: cell.split()[0] for heads, cell in zip(found.tables[means][0], found.tables[means][1])}
    overall = runs[0].tracked.scores.overall("trackeval")  # type: ignore[union-attr]
    assert table["FN↓"] == str(overall["FN"]) == "5"  # one is missed, and four that have no tracks
    assert table["HOTA↑"] == f"{overall['HOTA']:.2f}"


def test_columns_are_explained_where_they_can_be_read(scene: Path, tmp_path: Path) -> None:
    runs = [ReportRun(name, tracked=read(scene, protocol="plain")) for name in "ab"]
    found = Page(write_report(runs, tmp_path / "p.html"))
    assert found.said("summary").count("What the columns say") == 3
    told = dict(zip(found.said("dt"), found.said("dd")))
    assert told["IDSW"] == "identity switches: another track than when last matched"
    assert told["GT_Dets"] == "true boxes"
