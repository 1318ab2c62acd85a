"""What each protocol counts as right, wrong, or neither: one story for each sentence."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError
from pathlib import Path

import numpy as np
import pytest
from bdd_scene import CATEGORIES, Label, cocovid, random_scene, table

from clmot_qd.datasets.mot_text import MOT_CLASSES, MotTable, make_table
from clmot_qd.errors import InputError
from clmot_qd.evaluation import PROTOCOLS, GroundTruth, SequenceTruth, TrackScores, evaluate_tracks, read_cocovid
from clmot_qd.evaluation.backends import Scores
from clmot_qd.evaluation.trackeval_files import write_trackeval_files

CAR = Label(1, "car", [0, 0, 100, 100])


def bdd(tmp_path: Path, truth: list[Label], found: list[Label], frames: int = 4, **options) -> TrackScores:
    """Score the same labels in each of the frames."""
    (tmp_path / "ann.json").write_text(json.dumps(cocovid({"v": [truth] * frames})))
    options.setdefault("protocol", "bdd100k")
    return evaluate_tracks(read_cocovid(tmp_path / "ann.json"), {"v": table([found] * frames)}, **options)


class TestBdd100k:
    def false(self, tmp_path: Path, truth: list[Label], found: Label) -> int:
        """False cars if beside the right one ``found`` is predicted."""
        scores = bdd(tmp_path, [CAR, *truth], [CAR, found])
        for backend in ("trackeval", "motmetrics"):
            assert scores.overall(backend, "car")["FN"] == 0
        assert scores.overall("trackeval", "car")["FP"] == scores.overall("motmetrics", "car")["FP"]
        return scores.overall("trackeval", "car")["FP"]

    GHOST = Label(7, "car", [300, 0, 340, 40])

    @pytest.mark.parametrize("category", ["car", "pedestrian"])
    def test_in_a_crowd_of_any_class(self, tmp_path: Path, category: str) -> None:
        assert self.false(tmp_path, [Label(2, category, [280, 0, 500, 300], crowd=True)], self.GHOST) == 0

    @pytest.mark.parametrize("category", ["other person", "other vehicle", "trailer"])
    def test_on_ignored_classes(self, tmp_path: Path, category: str) -> None:
        assert self.false(tmp_path, [Label(2, category, [280, 0, 500, 300])], self.GHOST) == 0

    def test_on_an_object_of_another_class(self, tmp_path: Path) -> None:
        assert self.false(tmp_path, [Label(2, "truck", [300, 0, 340, 40])], self.GHOST) == 4

    @pytest.mark.parametrize(("right", "false"), [(320, 4), (321, 0)])
    def test_more_than_half_must_lie_in_the_region(self, tmp_path: Path, right: int, false: int) -> None:
        assert self.false(tmp_path, [Label(2, "trailer", [200, 0, right, 40])], self.GHOST) == false

    def test_halves_in_two_regions_are_no_whole(self, tmp_path: Path) -> None:
        regions = [Label(2, "trailer", [200, 0, 319, 40]), Label(3, "trailer", [321, 0, 500, 40])]
        assert self.false(tmp_path, regions, self.GHOST) == 4

    def test_what_finds_its_object_counts_also_in_a_region(self, tmp_path: Path) -> None:
        scores = bdd(tmp_path, [CAR, Label(2, "car", [0, 0, 400, 400], crowd=True)], [CAR])
        assert scores.overall("trackeval", "car")["TP"] == 4
        assert scores.overall("trackeval", "car")["MOTA"] == 100

    def test_crowds_and_ignored_classes_need_not_be_found(self, tmp_path: Path) -> None:
        truth = [CAR, Label(2, "car", [200, 0, 300, 90], crowd=True), Label(3, "trailer", [500, 0, 600, 90])]
        assert bdd(tmp_path, truth, [CAR]).overall("trackeval", "car")["FN"] == 0

    def test_predictions_of_ignored_classes_do_not_count(self, tmp_path: Path) -> None:
        scores = bdd(tmp_path, [CAR], [CAR, Label(5, "trailer", [700, 0, 800, 60])])
        assert scores.overall("trackeval", "DETECTION-AVERAGE")["FP"] == 0

    def test_an_ignored_class_can_be_scored(self, tmp_path: Path) -> None:
        """Then its boxes are objects to find, and no regions any more."""
        trailer = Label(2, "trailer", [280, 0, 500, 300])
        inside = Label(7, "trailer", [300, 0, 340, 40])
        scores = bdd(tmp_path, [trailer], [trailer, inside], classes=["trailer"])
        assert [scores.flat()[key] for key in ("FP", "FN")] == [4, 0]

    def test_a_region_where_a_prediction_has_no_area_to_speak_of(self, tmp_path: Path) -> None:
        speck = Label(7, "car", [300, 0, 300 + 1e-9, 1e-9])
        assert self.false(tmp_path, [Label(2, "trailer", [280, 0, 500, 300])], speck) == 4


class TestSeveralClasses:
    """Cars are found, half of the pedestrians too; a bicycle is predicted where none is; trains do not occur."""

    def scores(self, tmp_path: Path, **options) -> TrackScores:
        person = Label(2, "pedestrian", [200, 0, 230, 80])
        other = Label(3, "pedestrian", [300, 0, 330, 80])
        ghost = Label(4, "bicycle", [400, 0, 430, 80])
        return bdd(tmp_path, [CAR, person, other], [CAR, person, ghost], **options)

    @pytest.mark.parametrize(("backend", "bicycle"), [("trackeval", -400), ("motmetrics", 0)])
    def test_means(self, tmp_path: Path, backend: str, bicycle: float) -> None:
        """CLASS-MEAN divides by eight. A class that is only predicted has MOTA -FP by TrackEval, none by motmetrics."""
        scores = self.scores(tmp_path, backends=[backend])
        assert scores.overall(backend, "CLASS-MEAN")["MOTA"] == pytest.approx((100 + 50 + bicycle) / 8)
        assert scores.overall(backend, "CLASS-MEAN")["IDF1"] == pytest.approx((100 + 100 * 8 / 12) / 8)
        assert scores.flat()["mMOTA"] == scores.overall(backend, "CLASS-MEAN")["MOTA"]
        assert scores.flat()["mIDF1"] == scores.overall(backend, "CLASS-MEAN")["IDF1"]
        occurring = (100 + 50 - 400) / 3 if backend == "trackeval" else 75
        assert scores.flat()["MOTA"] == scores.overall(backend)["MOTA"] == pytest.approx(occurring)
        assert scores.overall(backend, "CLASS-MEAN")["FN"] == scores.overall(backend)["FN"] == 4

    @pytest.mark.parametrize("backend", ["trackeval", "motmetrics", "motmetrics-plain"])
    def test_sums(self, tmp_path: Path, backend: str) -> None:
        scores = self.scores(tmp_path, backends=[backend])
        everything = scores.overall(backend, "DETECTION-AVERAGE")
        assert everything["MOTA"] == pytest.approx(100 * (1 - 8 / 12))
        assert everything["IDF1"] == pytest.approx(100 * 16 / 24)
        assert (everything["TP"], everything["FP"], everything["FN"]) == (8, 4, 4)
        assert scores.overall(backend, "VEHICLE")["MOTA"] == 100
        assert scores.overall(backend, "HUMAN")["MOTA"] == 50
        assert scores.overall(backend, "BIKE")["FP"] == 4
        if backend == "trackeval":
            assert scores.flat()["mHOTA"] == scores.overall(backend, "CLASS-MEAN")["HOTA"]
            assert scores.flat()["HUMAN/MOTA"] == 50

    def test_chosen_classes(self, tmp_path: Path) -> None:
        """Super-categories without a chosen class are left out; others have the chosen ones."""
        scores = self.scores(tmp_path, classes=["car", "truck"])
        assert set(scores.combined["trackeval"]) == {"CLASS-MEAN", "CLASS-AGNOSTIC", "DETECTION-AVERAGE", "VEHICLE"}
        assert scores.flat()["mMOTA"] == 50
        assert scores.flat()["MOTA"] == 100
        alone = self.scores(tmp_path, classes=["car"])
        assert alone.combined == {}
        assert not any(key.removeprefix("motmetrics/") in ("mMOTA", "car/MOTA") for key in alone.flat())

    def test_class_agnostic(self, tmp_path: Path) -> None:
        """A box of the wrong class is right, and a track that changes its class keeps its identity."""
        truth = [[CAR, Label(2, "truck", [300, 0, 400, 90])] for _ in range(4)]
        found = [
            [Label(1, "car" if frame < 2 else "truck", CAR.corners), Label(9, "rider", [300, 0, 400, 90])]
            for frame in range(4)
        ]
        (tmp_path / "ann.json").write_text(json.dumps(cocovid({"v": truth})))
        scores = evaluate_tracks(read_cocovid(tmp_path / "ann.json"), {"v": table(found)}, protocol="bdd100k")
        for backend in ("trackeval", "motmetrics"):
            row = scores.overall(backend, "CLASS-AGNOSTIC")
            assert (row["TP"], row["FP"], row["FN"], row["IDSW"], row["MOTA"], row["IDF1"]) == (8, 0, 0, 0, 100, 100)
        assert scores.overall("trackeval", "car")["FN"] == 2
        assert scores.overall("trackeval", "truck")["FP"] == 2
        assert list(scores.combined["trackeval"]["CLASS-AGNOSTIC"]) == ["v", "OVERALL"]
        assert scores.flat()["CLASS-AGNOSTIC/HOTA"] == pytest.approx(100)

    def test_class_agnostic_scores_are_those_of_one_class(self, tmp_path: Path) -> None:
        """All classes renamed to one, and scored with the same regions."""
        truth, found = random_scene(3, 25)
        ignored = ("other person", "other vehicle", "trailer")
        found = [[label for label in labels if label.category not in ignored] for labels in found]
        renamed = [
            [
                label if label.category in ignored else Label(label.identity, "car", label.corners, label.crowd)
                for label in labels
            ]
            for labels in truth
        ]
        scores = {}
        for name, frames in {"many": truth, "one": renamed}.items():
            (tmp_path / "ann.json").write_text(json.dumps(cocovid({"v": frames})))
            tracks = table(found)
            if name == "one":
                tracks.class_ids[:] = CATEGORIES["car"]
            classes = None if name == "many" else ["car"]
            scores[name] = evaluate_tracks(
                read_cocovid(tmp_path / "ann.json"), {"v": tracks}, classes, protocol="bdd100k"
            )
        for backend in ("trackeval", "motmetrics"):
            assert scores["many"].overall(backend, "CLASS-AGNOSTIC") == scores["one"].overall(backend, "car")

    def test_perfect_predictions(self, tmp_path: Path) -> None:
        truth = [[label for label in labels if not label.crowd] for labels in random_scene(1, 20)[0]]
        (tmp_path / "ann.json").write_text(json.dumps(cocovid({"v": truth})))
        scores = evaluate_tracks(read_cocovid(tmp_path / "ann.json"), {"v": table(truth)}, protocol="bdd100k")
        for row in ("car", "CLASS-AGNOSTIC", "DETECTION-AVERAGE", "HUMAN"):
            for backend, keys in (("trackeval", ("HOTA", "MOTA", "IDF1")), ("motmetrics", ("MOTA", "IDF1"))):
                assert [scores.overall(backend, row)[key] for key in keys] == pytest.approx([100] * len(keys)), row

    def test_only_predicted_regions_and_no_truth_in_a_frame(self, tmp_path: Path) -> None:
        crowd = Label(2, "car", [0, 0, 400, 400], crowd=True)
        truth = [[CAR], [crowd], []]
        (tmp_path / "ann.json").write_text(json.dumps(cocovid({"v": truth})))
        scores = evaluate_tracks(read_cocovid(tmp_path / "ann.json"), {"v": table([[CAR]] * 3)}, protocol="bdd100k")
        assert scores.overall("trackeval", "car")["FP"] == 1


def waymo(boxes: MotTable, difficulty: list[int] | None, found: MotTable, **options) -> TrackScores:
    categories = {"vehicle": 1, "pedestrian": 2, "cyclist": 3}
    levels = None if difficulty is None else np.array(difficulty)
    truth = SequenceTruth(np.arange(1, 5), boxes, levels)
    return evaluate_tracks(GroundTruth("here", categories, {"v": truth}), {"v": found}, protocol="waymo", **options)


def still(class_ids: list[int], shift: float = 0, frames: int = 4) -> MotTable:
    """One 10 x 10 box for each entry of ``class_ids``, at the same place in each frame."""
    rows = [(frame, index) for frame in range(1, frames + 1) for index in range(len(class_ids))]
    boxes = [[100 * index + shift, 0, 10, 10] for _, index in rows]
    return make_table(
        [frame for frame, _ in rows],
        [index for _, index in rows],
        boxes,
        class_ids=[class_ids[index] for _, index in rows],
    )


ALL = ["trackeval", "motmetrics", "waymo"]


class TestWaymo:
    @pytest.mark.parametrize(("shift", "vehicle"), [(1.0, 100), (2.0, -100), (3.3, -100)])
    def test_vehicles_ask_for_more_overlap(self, shift: float, vehicle: float) -> None:
        """IoU is 9/11, 8/12 and 6.7/13.3: the last is enough for pedestrians and cyclists still."""
        scores = waymo(still([1, 2, 3]), [1] * 12, still([1, 2, 3], shift), backends=ALL)
        for backend in ALL:
            motas = [scores.overall(backend, name)["MOTA"] for name in ("vehicle", "pedestrian", "cyclist")]
            assert motas == pytest.approx([vehicle, 100, 100]), backend
            assert scores.overall(backend, "CLASS-AGNOSTIC")["MOTA"] == 100  # with the overlap of the others

    def hard(self, found: MotTable) -> dict[str, tuple[Scores, Scores]]:
        """Backend -> pedestrians of both levels and of LEVEL_1, of two pedestrians of which the second is hard."""
        scores = waymo(still([2, 2]), [1, 2] * 4, found, classes=["pedestrian"], backends=ALL)
        level_1 = scores.levels["LEVEL_1"]
        return {name: (scores.overall(name, "pedestrian"), level_1.overall(name, "pedestrian")) for name in ALL}

    def test_a_hard_object_is_missed_at_level_2_alone(self) -> None:
        for backend, (both, easy) in self.hard(still([2])).items():
            assert (both["FN"], easy["FN"]) == (4, 0), backend
            assert (both["MOTA"], easy["MOTA"]) == (50, 100), backend
            assert (both["GT_Dets"], easy["GT_Dets"]) == (8, 4), backend

    def test_a_hard_object_that_is_found_counts_at_level_1_too(self) -> None:
        """As in Waymo's tool: it is a match, and one object more to divide by."""
        found = still([2, 2])
        found = found.select((found.ids == 1) & (found.frames > 1))
        for backend, (both, easy) in self.hard(found).items():
            assert (both["TP"], both["FN"], easy["TP"], easy["FN"], easy["FP"]) == (3, 5, 3, 4, 0), backend
            assert easy["MOTA"] == pytest.approx(100 * (1 - 4 / 7)), backend

    def test_levels_in_tables_flat_and_json(self, tmp_path: Path) -> None:
        scores = waymo(still([1, 2]), [1, 2] * 4, still([1]))
        flat = scores.flat()
        assert (flat["pedestrian/MOTA"], flat["vehicle/MOTA"], flat["LEVEL_1/vehicle/MOTA"]) == (0, 100, 100)
        assert flat["mMOTA"] == flat["LEVEL_1/mMOTA"] == pytest.approx(100 / 3)
        assert (flat["MOTA"], flat["LEVEL_1/MOTA"]) == (50, 100)
        assert "trackeval LEVEL_1: vehicle" in scores.tables()
        scores.write_json(tmp_path / "all.json")
        data = json.loads((tmp_path / "all.json").read_text())
        assert data["LEVEL_1"]["motmetrics"]["pedestrian"]["OVERALL"]["FN"] == 0
        assert data["motmetrics"]["pedestrian"]["OVERALL"]["FN"] == 4
        assert data["trackeval"]["CLASS-MEAN"]["OVERALL"]["MOTA"] == flat["mMOTA"]

    def test_files_of_trackeval_for_each_level(self, tmp_path: Path) -> None:
        write_trackeval_files(waymo(still([1, 2]), [1, 2] * 4, still([1])), tmp_path)
        for folder, missed in ((tmp_path, "4"), (tmp_path / "LEVEL_1", "0")):
            header, row = (folder / "pedestrian_summary.txt").read_text().splitlines()
            assert dict(zip(header.split(), row.split()))["CLR_FN"] == missed
        assert {path.name.split("_summary")[0] for path in (tmp_path / "LEVEL_1").glob("*.txt")} == {
            *("vehicle", "pedestrian", "cyclist", "cls_comb_cls_av", "cls_comb_det_av", "class_agnostic")
        }

    def test_without_difficulties(self) -> None:
        with pytest.raises(
            InputError, match=r"here: no annotation has a 'difficulty', which this protocol's levels need"
        ):
            waymo(still([1]), None, still([1]))


class TestOthers:
    def truth(self, class_id: int) -> GroundTruth:
        boxes = still([1, class_id])
        categories = {name: number for number, name in enumerate(MOT_CLASSES, start=1)}
        return GroundTruth("here", categories, {"v": SequenceTruth(np.arange(1, 5), boxes)})

    @pytest.mark.parametrize(("protocol", "false"), [("mot", 4), ("mot20", 0), ("plain", 4)])
    def test_non_mot_vehicle_is_a_distractor_of_mot20(self, protocol: str, false: int) -> None:
        scores = evaluate_tracks(self.truth(6), {"v": still([1, 1])}, ["pedestrian"], protocol=protocol)
        assert scores.flat()["FP"] == false

    @pytest.mark.parametrize(("protocol", "false"), [("mot", 0), ("mot20", 0), ("plain", 4)])
    def test_static_person(self, protocol: str, false: int) -> None:
        scores = evaluate_tracks(self.truth(7), {"v": still([1, 1])}, ["pedestrian"], protocol=protocol)
        assert scores.flat()["FP"] == false

    def test_default_classes(self) -> None:
        truth, found = self.truth(3), {"v": still([1, 3])}
        assert list(evaluate_tracks(truth, found).by_backend["trackeval"]) == ["pedestrian"]
        assert list(evaluate_tracks(truth, found, protocol="plain").by_backend["trackeval"]) == ["pedestrian", "car"]

    def test_an_overlap_of_ones_own_choice_holds_for_all_classes(self) -> None:
        scores = waymo(still([1, 2]), [1] * 8, still([1, 2], 2.0), iou_thr=0.6)
        assert [scores.overall("trackeval", name)["MOTA"] for name in ("vehicle", "pedestrian")] == [100, 100]

    def test_unknown_protocol(self) -> None:
        with pytest.raises(InputError, match="protocol: 'kitti' is unknown; choose from mot, mot20, bdd100k, mots20"):
            evaluate_tracks(self.truth(1), {}, protocol="kitti")

    def test_protocols_cannot_be_changed_by_accident(self) -> None:
        for protocol in PROTOCOLS.values():
            with pytest.raises(FrozenInstanceError):
                protocol.iou_thr = 0.1
            with pytest.raises(TypeError):
                protocol.groups["A"] = ("b",)
        with pytest.raises(TypeError):
            PROTOCOLS["mine"] = PROTOCOLS["mot"]
