"""Timelines: who was matched with whom, and that switches, misses and false alarms are those of the scores."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from report_scene import SWITCH, Page, write_scene

from clmot_qd.datasets.mot_text import MotTable, empty_table, make_table
from clmot_qd.evaluation import GroundTruth, SequenceTruth, evaluate_tracks
from clmot_qd.visualization.report.page import Limits, ReportRun, write_report
from clmot_qd.visualization.report.result_folders import read_tracked
from clmot_qd.visualization.report.timeline import MISSED, Span, Timeline, make_timelines
from clmot_qd.visualization.report.timeline_chart import LEFT, RIGHT, WIDTH, draw_timeline
from clmot_qd.visualization.report.tracked import Tracked

sys.path.append(str(Path(__file__).parents[1] / "evaluation"))
from mot_scene import CATEGORIES, random_scene


def street(folder: Path) -> Timeline:
    scene = write_scene(folder / "scene")
    (timeline,) = read_tracked(scene / "truth.json", scene / "tracks.json", protocol="plain").timelines
    return timeline


def test_a_switch_of_known_place_and_ids(tmp_path: Path) -> None:
    timeline = street(tmp_path)
    (switch,) = timeline.switches
    found = dict(identity=switch.identity, frame=switch.after.frame, last=switch.before.frame)
    assert found | dict(old=switch.before.track, new=switch.after.track) == SWITCH
    assert switch.before.true_box.tolist() == switch.before.found_box.tolist() == [16, 20, 20, 40]
    assert switch.after.true_box.tolist() == [20, 20, 20, 40]
    assert timeline.objects[7] == [Span(0, 4, 31), Span(4, 5, MISSED), Span(5, 10, 55)]
    assert timeline.objects[8] == [Span(0, 4, 2), Span(5, 10, 2)]  # gone in between: no span
    assert timeline.false_alarms.tolist() == [0, 0, 0, 0, 0, 0, 0, 0, 1, 0]
    assert timeline.misses == 1


def scene(seed: int) -> tuple[GroundTruth, dict[str, MotTable]]:
    sequences, tracks = {}, {}
    for number in range(2):
        true, found = random_scene(10 * seed + number, 30, 14)
        name = f"clip-{number}"
        sequences[name] = SequenceTruth(np.arange(1, 31), true)
        classes = np.random.default_rng(seed).choice([1, 3], len(found))
        tracks[name] = make_table(found.frames, found.ids, found.bboxes, found.scores, classes)
    return GroundTruth("scene", CATEGORIES, sequences), tracks


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("protocol", "classes"), [("mot", ["pedestrian"]), ("plain", ["pedestrian", "car"])])
def test_counts_are_those_of_the_scores(seed: int, protocol: str, classes: list[str]) -> None:
    truth, tracks = scene(seed)
    scores = evaluate_tracks(truth, tracks, classes, backends=("trackeval",), protocol=protocol)
    timelines = make_timelines(truth, tracks, classes, protocol)
    for class_name in classes:
        for name in truth.sequences:
            (timeline,) = [one for one in timelines if (one.sequence, one.class_name) == (name, class_name)]
            counted = scores.by_backend["trackeval"][class_name][name]
            assert len(timeline.switches) == counted["IDSW"]
            frames = [switch.after.frame for switch in timeline.switches]
            assert frames == sorted(frames)
            assert timeline.misses == counted["FN"]
            assert timeline.false_alarms.sum() == counted["FP"]
            assert len(timeline.objects) == counted["GT_IDs"]
    assert sum(len(one.switches) for one in timelines) > 0


@pytest.mark.parametrize("iou_thr", [0.3, 0.8])
def test_the_least_iou_counts(iou_thr: float) -> None:
    truth, tracks = scene(1)
    scores = evaluate_tracks(truth, tracks, ["pedestrian"], (), ("trackeval",), iou_thr)
    timelines = make_timelines(truth, tracks, ["pedestrian"], "mot", (), iou_thr)
    assert sum(len(one.switches) for one in timelines) == scores.overall("trackeval")["IDSW"]
    assert sum(one.misses for one in timelines) == scores.overall("trackeval")["FN"]


def test_a_sequence_without_tracks_is_missed_all_along() -> None:
    truth, _ = scene(2)
    timelines = make_timelines(truth, {"clip-0": empty_table()}, ["pedestrian"])
    assert {span.track for one in timelines for spans in one.objects.values() for span in spans} == {MISSED}
    assert all(not one.switches and not one.false_alarms.any() for one in timelines)


def test_the_drawing(tmp_path: Path) -> None:
    chart = draw_timeline(street(tmp_path), "street")
    width = (WIDTH - LEFT - RIGHT) / 10
    assert chart.labels == [(8, 7), (27, 8)]
    assert [bar.title for bar in chart.bars if bar.y == 8] == [
        "object 7, frames 1 to 4: track 31",
        "object 7, frame 5: missed",
        "object 7, frames 6 to 10: track 55",
    ]
    assert [(bar.x, bar.width) for bar in chart.bars if bar.missed] == [pytest.approx((LEFT + 4 * width, width))]
    (mark,) = chart.marks
    assert (mark.x, mark.y) == (pytest.approx(LEFT + 5 * width), 8)
    assert mark.title == "switch: object 7, frame 6, track 31 to 55"
    assert [(x, title) for x, _, title in chart.alarms] == [(LEFT + 8 * width, "frame 9: 1 false alarms")]
    assert chart.alt == "street: 2 objects over 10 frames, 1 identity switches, 1 misses, 1 false alarms."
    assert [number for _, number in chart.ticks] == list(range(1, 11))


def test_objects_with_the_most_switches_get_the_rows() -> None:
    truth, tracks = scene(3)
    timeline = make_timelines(truth, tracks, ["pedestrian"])[0]
    counts = dict.fromkeys(timeline.objects, 0)
    for switch in timeline.switches:
        counts[switch.identity] += 1
    chart = draw_timeline(timeline, "clip", most_objects=2)
    shown = [identity for _, identity in chart.labels]
    assert chart.left_out == len(counts) - 2 > 0
    assert min(counts[identity] for identity in shown) >= max(
        count for identity, count in counts.items() if identity not in shown
    )
    assert shown == sorted(shown)
    assert len(chart.marks) == sum(counts[identity] for identity in shown)


def test_ticks_of_a_long_sequence_are_round() -> None:
    frames = np.arange(5, 1504)
    chart = draw_timeline(Timeline("a", "b", frames, {}, [], np.zeros(len(frames), dtype=np.int64)), "a")
    assert [number for _, number in chart.ticks] == [5, 200, 400, 600, 800, 1000, 1200, 1400]


def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    truth, tracks = scene(4)
    rules = {"protocol": "mot"}
    tracked = Tracked(truth, tracks, ["pedestrian"], rules, {("clip-0", 1): tmp_path / "gone.png"}, "here")
    counts = {line.sequence: len(line.switches) for line in tracked.timelines}
    assert counts["clip-0"] != counts["clip-1"]
    limits = Limits(timelines=1, switches=1, rows=2)
    page = Page(write_report([ReportRun("a", tracked=tracked)], tmp_path / "a.html", limits=limits))
    total = sum(counts.values())
    assert page.said("h4") == [max(counts, key=lambda name: counts[name])]
    told = page.said("p")
    assert "1 timelines with fewer switches are left out." in told
    assert any(
        text.startswith(f"{total} in all; 1 of them, taken evenly, are shown, {total - 1} are left") for text in told
    )
    assert page.said("summary")[1:] == [f"Table of 2 switches, the first of {total}"]


def test_distractors_are_those_asked_for(tmp_path: Path) -> None:
    scene = write_scene(tmp_path / "scene")
    evaluator = dict(protocol="plain", distractors=["walker"], classes=None)
    found = read_tracked(scene / "truth.json", scene / "tracks.json", evaluator=evaluator)
    assert found.rules == {"protocol": "plain", "distractors": ["walker"]}
