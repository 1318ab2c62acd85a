"""The scores: numbers worked out by hand, preprocessing, classes, gaps, mistakes, tables."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from clmot_qd.datasets.mot_text import MOT_CLASSES, MotTable, make_table
from clmot_qd.errors import InputError
from clmot_qd.evaluation import GroundTruth, SequenceTruth, evaluate_tracks
from clmot_qd.evaluation.backends import OVERALL

OTHERS = ("motmetrics", "motmetrics-plain", "waymo")
CATEGORIES = {name: number for number, name in enumerate(MOT_CLASSES, start=1)}


def truth_of(*sequences: MotTable, frames: int = 10) -> GroundTruth:
    """Ground truth of the sequences a, b, ..., frames 1 .. ``frames`` each."""
    named = {chr(ord("a") + i): SequenceTruth(np.arange(1, frames + 1), boxes) for i, boxes in enumerate(sequences)}
    return GroundTruth("here", CATEGORIES, named)


def two_objects(frames: int = 10, swapped_from: int | None = None, class_id: int = 1, shift: float = 0.0) -> MotTable:
    """Two 10 x 10 boxes that stand still; from frame ``swapped_from`` on they have each other's identity."""
    rows = [(frame, identity) for frame in range(1, frames + 1) for identity in (1, 2)]
    boxes = [[100 * identity + shift, 50, 10, 10] for _, identity in rows]
    ids = [3 - identity if swapped_from and frame >= swapped_from else identity for frame, identity in rows]
    return make_table([frame for frame, _ in rows], ids, boxes, class_ids=np.full(len(rows), class_id))


class TestByHand:
    def test_perfect_tracks(self) -> None:
        scores = evaluate_tracks(truth_of(two_objects()), {"a": two_objects()}).flat()
        for key in ("HOTA", "DetA", "AssA", "LocA", "MOTA", "MOTP", "IDF1", "IDP", "IDR"):
            assert scores[key] == pytest.approx(100, abs=1e-9), key
        for key in ("motmetrics/MOTA", "motmetrics/MOTP", "motmetrics/IDF1"):
            assert scores[key] == pytest.approx(100, abs=1e-9), key
        for front in ("", "motmetrics/"):
            counts = [scores[f"{front}{key}"] for key in ("IDSW", "FP", "FN", "MT", "ML")]
            assert counts == [0, 0, 0, 2, 0]

    def test_swap_in_frame_four(self) -> None:
        """Three frames before the swap, seven after: identities 1 and 2 keep the longer partner."""
        scores = evaluate_tracks(truth_of(two_objects()), {"a": two_objects(swapped_from=4)}).flat()
        association = (6 * 3 / (10 + 10 - 3) + 14 * 7 / (10 + 10 - 7)) / 20
        assert scores["IDSW"] == scores["motmetrics/IDSW"] == 2
        assert scores["MOTA"] == scores["motmetrics/MOTA"] == pytest.approx(100 * (1 - 2 / 20))
        assert scores["IDF1"] == scores["motmetrics/IDF1"] == pytest.approx(100 * 14 / 20)
        assert scores["AssA"] == pytest.approx(100 * association)
        assert scores["DetA"] == pytest.approx(100)
        assert scores["HOTA"] == pytest.approx(100 * math.sqrt(association))

    def test_misses_false_positives_and_overlap(self) -> None:
        """Object 2 is never found, a box stands where nothing is, and object 1 is found with IoU 8 / 12."""
        found = two_objects(shift=2.0)
        ghost = make_table([1, 2], [7, 7], [[400, 400, 10, 10]] * 2, class_ids=[1, 1])
        found = join(found.select(found.ids == 1), ghost)
        scores = evaluate_tracks(truth_of(two_objects()), {"a": found}).flat()
        for front in ("", "motmetrics/"):
            assert [scores[f"{front}{key}"] for key in ("FP", "FN", "IDSW", "MT", "ML")] == [2, 10, 0, 1, 1]
            assert scores[f"{front}MOTA"] == pytest.approx(100 * (1 - 12 / 20))
            assert scores[f"{front}MOTP"] == pytest.approx(100 * 8 / 12)
            assert scores[f"{front}IDF1"] == pytest.approx(100 * 20 / (20 + 12))

    def test_overall_is_no_mean_of_the_sequences(self) -> None:
        tracks = {"a": two_objects(), "b": two_objects(4, swapped_from=3)}
        scores = evaluate_tracks(truth_of(two_objects(), two_objects(4)), tracks)
        for backend in ("trackeval", "motmetrics"):
            rows = scores.by_backend[backend]["pedestrian"]
            assert rows["b"]["MOTA"] == pytest.approx(100 * (1 - 2 / 8))
            assert rows[OVERALL]["MOTA"] == pytest.approx(100 * (1 - 2 / 28))
            assert rows[OVERALL]["MOTP"] == pytest.approx(100)

    def test_iou_thr_decides(self) -> None:
        tracks = {"a": two_objects(shift=2.0)}  # IoU 2 / 3
        for thr, found in ((0.66, 100), (0.67, -100)):
            scores = evaluate_tracks(truth_of(two_objects()), tracks, iou_thr=thr).flat()
            assert scores["MOTA"] == scores["motmetrics/MOTA"] == pytest.approx(found)


class TestPreprocessing:
    def on(self, class_id: int, mark: float, **options) -> Mapping[str, float]:
        """Score pedestrian predictions on object 1 of class 1 and on object 2 of another class or mark."""
        boxes = two_objects()
        second = boxes.ids == 2
        boxes.class_ids[second] = class_id
        boxes.scores[second] = mark
        return evaluate_tracks(truth_of(boxes), {"a": two_objects()}, **options).flat()

    @pytest.mark.parametrize("name", ["person_on_vehicle", "static_person", "distractor", "reflection"])
    def test_predictions_on_distractors_do_not_count(self, name: str) -> None:
        scores = self.on(CATEGORIES[name], mark=0)
        assert (scores["FP"], scores["FN"], scores["MOTA"]) == (0, 0, 100)
        assert scores["motmetrics/FP"] == 0

    @pytest.mark.parametrize("name", ["car", "occluder", "crowd", "non_mot_vehicle"])
    def test_predictions_on_other_classes_are_false(self, name: str) -> None:
        assert self.on(CATEGORIES[name], mark=0)["FP"] == 10

    def test_predictions_on_boxes_with_mark_zero_are_false(self) -> None:
        assert self.on(1, mark=0)["FP"] == 10

    def test_distractors_can_be_chosen(self) -> None:
        assert self.on(CATEGORIES["non_mot_vehicle"], mark=0, distractors=["non_mot_vehicle"])["FP"] == 0
        assert self.on(CATEGORIES["static_person"], mark=0, distractors=[])["FP"] == 10

    def test_a_distractor_that_overlaps_less_takes_nothing_away(self) -> None:
        boxes = two_objects()
        boxes.class_ids[boxes.ids == 2] = CATEGORIES["distractor"]
        boxes.bboxes[boxes.ids == 2] = [101, 50, 10, 10]  # IoU 9 / 11 with object 1's prediction, which matches better
        found = two_objects()
        scores = evaluate_tracks(truth_of(boxes), {"a": found.select(found.ids == 1)}).flat()
        assert (scores["FN"], scores["MOTA"]) == (0, 100)


class TestSeveralClasses:
    def both(self) -> GroundTruth:
        return truth_of(join(two_objects(), shifted(two_objects(class_id=3), 1000)))

    def test_each_class_by_itself(self) -> None:
        truth = self.both()
        found = join(two_objects(), shifted(two_objects(swapped_from=4, class_id=3), 1000))
        scores = evaluate_tracks(truth, {"a": found}, classes=("pedestrian", "car")).flat()
        assert scores["pedestrian/MOTA"] == 100
        assert scores["car/MOTA"] == pytest.approx(90)
        assert scores["MOTA"] == pytest.approx(95)
        assert scores["IDSW"] == scores["car/IDSW"] == 2
        assert scores["motmetrics/car/IDF1"] == pytest.approx(70)
        assert scores["motmetrics/IDF1"] == pytest.approx(85)

    def test_a_right_box_of_the_wrong_class(self) -> None:
        found = join(two_objects(), shifted(two_objects(class_id=1), 1000))
        scores = evaluate_tracks(self.both(), {"a": found}, classes=("pedestrian", "car")).flat()
        assert (scores["pedestrian/FP"], scores["car/FN"]) == (20, 20)

    def test_a_class_that_does_not_occur_is_left_out_of_the_average(self) -> None:
        scores = evaluate_tracks(truth_of(two_objects()), {"a": two_objects()}, classes=("pedestrian", "car"))
        assert scores.flat()["MOTA"] == 100
        assert scores.overall("motmetrics")["IDF1"] == pytest.approx(100)
        assert math.isnan(scores.overall("motmetrics", "car")["MOTA"])

    def test_a_distractor_class_can_be_scored(self) -> None:
        truth = truth_of(two_objects(class_id=7))
        found = {"a": two_objects(class_id=7)}
        assert evaluate_tracks(truth, found, classes=("static_person",)).flat()["MOTA"] == 100

    def test_predictions_need_a_class(self) -> None:
        found = make_table([1], [1], [[0, 0, 1, 1]])
        with pytest.raises(InputError, match="a: predictions without a class cannot be scored for pedestrian, car"):
            evaluate_tracks(self.both(), {"a": found}, classes=("pedestrian", "car"))


class TestClassesThatAreNotScored:
    """Their predictions vanish, which one line says after all others; not where it is usual."""

    def told(self, *found: MotTable, truth: GroundTruth | None = None, **options) -> list[str]:
        lines: list[str] = []
        truth = truth or truth_of(*[two_objects()] * len(found))
        tracks = dict(zip(truth.sequences, found))
        evaluate_tracks(truth, tracks, backends=["trackeval"], progress=lines.append, **options)
        scored = [line for line in lines if line.startswith("scored ")]
        assert lines[: len(scored)] == scored
        return lines[len(scored) :]

    def test_nothing_is_left(self) -> None:
        found = two_objects(class_id=3)
        line = (
            "40 of 40 predictions are of classes that are not scored (car 40); scored: pedestrian; check the "
            "predictions' class numbers, or choose other classes"
        )
        assert self.told(found, found) == self.told(found, found, classes=["pedestrian"]) == [line]
        unknown = self.told(two_objects(class_id=99))
        assert unknown[0].startswith("20 of 20 predictions are of classes that are not scored (number 99 20); scored: ")
        assert self.told(two_objects(class_id=7))[0].startswith("20 of 20 predictions")  # distractors alone

    def test_something_is_left(self) -> None:
        found = join(two_objects(), shifted(two_objects(class_id=3), 1000))
        (line,) = self.told(found, two_objects(class_id=4))
        assert line.startswith("40 of 60 predictions are of classes that are not scored (car 20, bicycle 20); scored: ")
        assert self.told(found, two_objects(class_id=4), classes=["pedestrian"]) == []
        assert len(self.told(found, protocol="plain")) == 1
        assert self.told(found, truth=truth_of(found), protocol="plain") == []

    def test_what_is_usual(self) -> None:
        distractors = join(two_objects(), shifted(two_objects(class_id=7), 1000))
        assert self.told(distractors) == []
        assert len(self.told(distractors, protocol="plain")) == 1
        assert self.told(two_objects(), two_objects(class_id=-1)) == []
        assert self.told(make_table([], [], np.empty((0, 4)))) == []

    def test_many_classes_are_not_all_named(self) -> None:
        found = make_table(np.arange(1, 10), np.arange(9), np.ones((9, 4)), class_ids=np.arange(2, 11))
        (line,) = self.told(found)
        assert "9 of 9" in line
        assert "(person_on_vehicle 1, car 1, bicycle 1, " in line
        assert " occluder 1, ...); scored: pedestrian; " in line


def join(one: MotTable, two: MotTable) -> MotTable:
    """Rows of both; the identities of ``two`` are other ones."""
    columns = {key: np.concatenate([value, two.columns()[key]]) for key, value in one.columns().items()}
    columns["ids"][len(one) :] += 1000
    return MotTable(**columns)


def shifted(table: MotTable, x: float) -> MotTable:
    table.bboxes[:, 0] += x
    return table


class TestGaps:
    def test_frames_need_not_start_at_one_nor_follow_each_other(self) -> None:
        boxes = two_objects(4)
        numbers = np.array([5, 6, 40, 100])
        boxes.frames[:] = np.repeat(numbers, 2)
        truth = GroundTruth("here", CATEGORIES, {"a": SequenceTruth(numbers, boxes)})
        assert evaluate_tracks(truth, {"a": boxes}).flat()["HOTA"] == pytest.approx(100)

    def test_sequence_without_predictions(self) -> None:
        empty = make_table([], [], np.empty((0, 4)))
        truth = truth_of(two_objects(), two_objects())
        for tracks in ({"a": two_objects()}, {"a": two_objects(), "b": empty}):
            scores = evaluate_tracks(truth, tracks)
            for backend in ("trackeval", "motmetrics"):
                rows = scores.by_backend[backend]["pedestrian"]
                assert (rows["b"]["FN"], rows["b"]["ML"], rows["b"]["MOTA"]) == (20, 2, 0)
                assert (rows[OVERALL]["FN"], rows[OVERALL]["MOTA"]) == (20, 50)
                assert rows[OVERALL]["MOTP"] == pytest.approx(100)  # not spoilt by the sequence without matches

    def test_sequence_without_frames(self) -> None:
        empty = make_table([], [], np.empty((0, 4)))
        sequences = {"a": SequenceTruth(np.arange(1, 11), two_objects()), "b": SequenceTruth(np.arange(0), empty)}
        truth = GroundTruth("here", CATEGORIES, sequences)
        scores = evaluate_tracks(truth, {"a": two_objects()}, backends=["trackeval", *OTHERS])
        for backend in ("trackeval", *OTHERS):
            assert scores.overall(backend, "pedestrian")["MOTA"] == 100
            assert scores.by_backend[backend]["pedestrian"]["b"]["FN"] == 0

    def test_no_predictions_at_all(self) -> None:
        scores = evaluate_tracks(truth_of(two_objects()), {}).flat()
        assert (scores["MOTA"], scores["HOTA"], scores["motmetrics/FN"]) == (0, 0, 20)
        assert math.isnan(scores["motmetrics/MOTP"])

    def test_sequence_and_frames_without_ground_truth(self) -> None:
        empty = make_table([], [], np.empty((0, 4)))
        found = two_objects(4)
        truth = truth_of(two_objects(2), empty, empty)
        scores = evaluate_tracks(truth, {"a": found, "b": found})
        for backend in ("trackeval", "motmetrics"):
            rows = scores.by_backend[backend]["pedestrian"]
            assert [rows[name]["FP"] for name in ("a", "b", "c", OVERALL)] == [4, 8, 0, 12]
            assert rows[OVERALL]["MOTA"] == pytest.approx(100 * (1 - 12 / 4))


class TestMistakes:
    @pytest.mark.parametrize(
        ("tracks", "options", "message"),
        [
            ({"b": two_objects()}, {}, "here: no sequence 'b'; it has a"),
            ({"a": two_objects(11)}, {}, "a: prediction in frame 11, but the sequence has frames 1 to 10"),
            ({"a": make_table([2, 2], [4, 4], np.ones((2, 4)))}, {}, "a: frame 2 has two predictions of identity 4"),
            ({}, {"classes": ["people"]}, "here: no class 'people'; it has pedestrian, person_on_vehicle"),
            ({}, {"classes": ["car"]}, "here: no box of car to score against; is this a test set?"),
            ({}, {"distractors": ["people"]}, "here: no class 'people'"),
            ({}, {"backends": ["hota"]}, "backends: 'hota' is unknown; choose from trackeval, motmetrics"),
            ({}, {"backends": []}, "backends is empty"),
            ({}, {"iou_thr": 0}, "iou_thr is 0; it must be greater than 0"),
        ],
    )
    def test_message(self, tracks: dict, options: dict, message: str) -> None:
        with pytest.raises(InputError) as caught:
            evaluate_tracks(truth_of(two_objects()), tracks, **options)
        assert str(caught.value).startswith(message)

    def test_a_class_that_only_the_protocol_names(self) -> None:
        truth = GroundTruth("here", {"person": 1, "walker": 2}, truth_of(two_objects()).sequences)
        for protocol, name in (("mot", "pedestrian"), ("kitti-mots", "car")):
            asked = rf"protocol {protocol} scores it: choose other classes \(--classes\)"
            with pytest.raises(InputError, match=f"here: no class '{name}'; it has person, walker; {asked}"):
                evaluate_tracks(truth, {}, protocol=protocol, iou_type="bbox")
        with pytest.raises(InputError, match=r"here: no class 'pedestrian'; it has person, walker$"):
            evaluate_tracks(truth, {}, ["pedestrian"])

    def test_ground_truth_with_an_identity_twice(self) -> None:
        truth = truth_of(make_table([3, 3], [1, 1], np.ones((2, 4)), class_ids=[1, 1]))
        with pytest.raises(InputError, match="here: a: frame 3 has identity 1 twice"):
            evaluate_tracks(truth, {})

    def test_ground_truth_without_identities(self) -> None:
        truth = truth_of(make_table([3], [-1], np.ones((1, 4)), class_ids=[1]))
        with pytest.raises(InputError, match="here: a: frame 3 has a box without identity"):
            evaluate_tracks(truth, {})

    def test_backend_that_is_not_installed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "motmetrics", None)
        with pytest.raises(InputError, match=r"motmetrics cannot be imported .*run: pip install motmetrics"):
            evaluate_tracks(truth_of(two_objects()), {})
        evaluate_tracks(truth_of(two_objects()), {}, backends=["trackeval"])


def test_tables_and_json(tmp_path: Path) -> None:
    scores = evaluate_tracks(
        truth_of(two_objects(), two_objects()), {"a": two_objects()}, classes=("pedestrian", "car")
    )
    lines = scores.tables().splitlines()
    titles = [line.split("  ")[0] for line in lines if line.startswith(("trackeval", "motmetrics"))]
    assert titles == [
        f"{name}: {what}"
        for name in ("trackeval", "motmetrics")
        for what in ("pedestrian", "car", "CLASS-AGNOSTIC", "classes")
    ]
    combined = [line.split("  ")[0] for line in lines[-4:]]
    assert combined == ["CLASS-AVERAGE", "CLASS-MEAN", "CLASS-AGNOSTIC", "DETECTION-AVERAGE"]
    header, *rows = (line.split() for line in lines[:4])
    assert header[2:] == [
        "HOTA",
        "DetA",
        "AssA",
        "LocA",
        "MOTA",
        "MOTP",
        "IDF1",
        "IDSW",
        "FP",
        "FN",
        "MT",
        "ML",
        "Frag",
    ]
    assert [row[0] for row in rows] == ["a", "b", "OVERALL"]
    assert rows[0][1:] == ["100.00"] * 7 + ["0", "0", "0", "2", "0", "0"]
    assert len({len(line) for line in lines[:4]}) == 1
    assert "-" in lines[-5].split()  # car: what is not defined

    scores.write_json(tmp_path / "scores.json")
    data = json.loads((tmp_path / "scores.json").read_text())
    assert data["motmetrics"]["car"]["OVERALL"]["MOTA"] is None
    assert data["trackeval"]["pedestrian"]["b"]["FN"] == 20
    assert data["trackeval"]["CLASS-AGNOSTIC"]["b"]["FN"] == 20
    assert data["motmetrics"]["DETECTION-AVERAGE"]["OVERALL"]["FN"] == 20


class TestJobs:
    @pytest.mark.parametrize("jobs", [2, 5])
    def test_processes_share_the_sequences(self, jobs: int) -> None:
        truth = truth_of(two_objects(), two_objects(5), two_objects(8))
        tracks = {"a": two_objects(swapped_from=4), "c": two_objects(shift=1.0)}
        lines: list[str] = []
        alone, together = (evaluate_tracks(truth, tracks, jobs=number, progress=lines.append) for number in (1, jobs))
        assert str(alone) == str(together)  # NaN is not equal to itself
        assert list(together.by_backend["trackeval"]["pedestrian"]) == ["a", "b", "c", "OVERALL"]
        assert lines[:3] == ["scored a (1 of 3)", "scored b (2 of 3)", "scored c (3 of 3)"]
        assert sorted(line.split()[1] for line in lines[3:]) == ["a", "b", "c"]

    def test_mistakes(self) -> None:
        with pytest.raises(InputError, match="jobs is 0; give the number of processes, 1 or more"):
            evaluate_tracks(truth_of(two_objects()), {}, jobs=0)
