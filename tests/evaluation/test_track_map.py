"""Track mAP: TrackEval's numbers on the same files, values worked out by hand, TAO's gaps, mistakes."""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path

import numpy as np
import pytest
from tao_scenes import as_cocovid, random_tao, run_trackeval

from clmot_qd.datasets.mot_text import MotTable, make_table
from clmot_qd.errors import InputError
from clmot_qd.evaluation import GroundTruth, SequenceTruth, read_cocovid, read_truth
from clmot_qd.evaluation.formats import FORMATS, read_predictions
from clmot_qd.evaluation.track_map import evaluate_track_map
from clmot_qd.evaluation.track_map_input import Federation, limit_per_image, make_tracks, read_federation, track_iou
from clmot_qd.evaluation.track_map_scores import TrackMapScores

CATEGORIES = {"cat": 1, "dog": 2, "cow": 3}


def score_files(root: Path, data: dict, found: list, **options) -> TrackMapScores:
    (root / "ann.json").write_text(json.dumps(as_cocovid(data)))
    (root / "pred.json").write_text(json.dumps(found))
    truth = read_cocovid(root / "ann.json")
    return evaluate_track_map(truth, read_predictions(root / "pred.json", truth), **options)


def assert_equal(ours: TrackMapScores, theirs: dict) -> None:
    """Every field of every class at every threshold, to the last bit."""
    combined = theirs["COMBINED_SEQ"]
    assert {*ours.by_class, "cls_comb_cls_av", "cls_comb_det_av"} == set(combined)
    for name, fields in {**ours.by_class, "cls_comb_cls_av": ours.overall}.items():
        for field, values in fields.items():
            np.testing.assert_array_equal(values, combined[name]["TrackMAP"][field], err_msg=f"{name}: {field}")


class TestEqualsTrackEval:
    @pytest.mark.parametrize("seed", range(8))
    def test_on_the_same_files(self, seed: int, tmp_path: Path) -> None:
        data, found = random_tao(seed)
        theirs, _ = run_trackeval(tmp_path, copy.deepcopy(data), found)
        ours = score_files(tmp_path, data, found)
        assert_equal(ours, theirs)
        assert 0 < ours.flat()["AP50"] < 100

    @pytest.mark.parametrize("limit", [1, 4, 0])
    def test_limit_per_image(self, limit: int, tmp_path: Path) -> None:
        data, found = random_tao(3, objects=12)
        theirs, _ = run_trackeval(tmp_path, copy.deepcopy(data), found, limit=limit)
        ours = score_files(tmp_path, data, found, max_detections=limit)
        assert_equal(ours, theirs)
        if limit:
            assert ours.flat()["AR"] < score_files(tmp_path, data, found).flat()["AR"]

    def test_what_is_printed(self, tmp_path: Path) -> None:
        """The row of the mean over all classes, digit for digit as TrackEval prints it."""
        data, found = random_tao(5)
        _, printed = run_trackeval(tmp_path, copy.deepcopy(data), found)
        lines = printed.splitlines()
        start = next(i for i, line in enumerate(lines) if line.startswith("TrackMAP: ours-cls_comb_cls_av"))
        fields, values = lines[start].split()[2:], lines[start + 1].split()[1:]
        flat = score_files(tmp_path, data, found).flat()
        ours = {"AP_all": flat["AP"], "AR_all": flat["AR"], **flat}
        assert [f"{ours[field]:1.5g}" for field in fields] == values
        assert len(fields) == 14

    def test_our_own_result_file(self, tmp_path: Path) -> None:
        """What the exporter writes scores in TrackEval what our tracks score here."""
        data, found = random_tao(6)
        ours = score_files(tmp_path, data, found)
        truth = read_cocovid(tmp_path / "ann.json")
        FORMATS["tao"].write(tmp_path / "out.json", truth, read_predictions(tmp_path / "pred.json", truth))
        theirs, _ = run_trackeval(tmp_path, data, tmp_path / "out.json")
        assert_equal(ours, theirs)

    def test_some_videos_only(self, tmp_path: Path) -> None:
        data, found = random_tao(7)
        score_files(tmp_path, data, found)
        chosen = [video["name"] for video in data["videos"][:2]]
        truth = read_truth(tmp_path / "ann.json", chosen)
        ours = evaluate_track_map(truth, read_predictions(tmp_path / "pred.json", truth))
        keep = {video["id"] for video in data["videos"][:2]}
        for key in ("images", "annotations", "tracks"):
            data[key] = [entry for entry in data[key] if entry["video_id"] in keep]
        data["videos"] = data["videos"][:2]
        theirs, _ = run_trackeval(tmp_path, data, [entry for entry in found if entry["video_id"] in keep])
        assert_equal(ours, theirs)

    def test_chosen_classes(self, tmp_path: Path) -> None:
        data, found = random_tao(2)
        every, some = score_files(tmp_path, data, found), score_files(tmp_path, data, found, classes=["thing 3"])
        assert list(some.by_class) == ["thing 3"]
        for field, values in some.by_class["thing 3"].items():
            np.testing.assert_array_equal(values, every.by_class["thing 3"][field])
            np.testing.assert_array_equal(values, some.overall[field])


def truth_of(*videos: MotTable, frames: int = 10) -> GroundTruth:
    named = {chr(ord("a") + i): SequenceTruth(np.arange(1, frames + 1), boxes) for i, boxes in enumerate(videos)}
    return GroundTruth("here", CATEGORIES, named)


def track(identity: int, class_id: int = 1, frames: int = 10, x: float = 0, score: float = 1.0) -> MotTable:
    """A 10 x 10 box that stands still in frames 1 to ``frames``, 100 pixels from that of the next identity."""
    boxes = np.tile([100.0 * identity + x, 50, 10, 10], (frames, 1))
    numbers, ones = np.arange(1, frames + 1), np.ones(frames)
    return make_table(numbers, identity * ones, boxes, score * ones, class_id * ones)


def join(*tables: MotTable) -> MotTable:
    return MotTable(*(np.concatenate([table.columns()[key] for table in tables]) for key in tables[0].columns()))


class TestByHand:
    def test_perfect(self) -> None:
        scores = evaluate_track_map(truth_of(join(track(1), track(2, 2))), {"a": join(track(1), track(2, 2))})
        assert list(scores.by_class) == ["cat", "dog"]
        assert all(scores.flat()[key] == pytest.approx(100) for key in ("AP", "AP50", "AP75", "AP50_75", "AR"))

    def test_overlap_in_space_and_time(self) -> None:
        """Shifted by 2 of 10 pixels in 8 of 10 frames: shared 8 * 80, joint 1000 + 800 - 640."""
        one, two = make_tracks(track(1, frames=8, x=2)), make_tracks(track(1))
        assert track_iou(one, two) == pytest.approx(640 / 1160)
        found = {"a": track(1, frames=8, x=2)}
        scores = evaluate_track_map(truth_of(track(1)), found).flat()  # 0.5517: a hit at 0.5 and 0.55 alone
        assert (scores["AP50"], scores["AP75"], scores["AP50_75"]) == pytest.approx((100, 0, 50))
        assert scores["AP"] == scores["AR"] == pytest.approx(20)

    def test_thresholds(self) -> None:
        """Shifted by 1.6 of 10 pixels: 8.4 / 11.6, a hit at 0.5 to 0.7."""
        scores = evaluate_track_map(truth_of(track(1)), {"a": track(1, x=1.6)}).flat()
        assert (scores["AP"], scores["AP50"], scores["AP75"]) == pytest.approx((50, 100, 0))

    def test_a_false_track_with_a_better_score_halves_precision(self) -> None:
        found = {"a": join(track(1, score=0.5), track(7, score=0.9))}
        assert evaluate_track_map(truth_of(track(1)), found).flat()["AP"] == pytest.approx(50)
        found = {"a": join(track(1, score=0.9), track(7, score=0.5))}
        assert evaluate_track_map(truth_of(track(1)), found).flat()["AP"] == pytest.approx(100)

    def test_half_of_the_objects(self) -> None:
        """Precision 1 up to recall 0.5: 51 of 101 points."""
        scores = evaluate_track_map(truth_of(join(track(1), track(2))), {"a": track(2)}).flat()
        assert scores["AP"] == pytest.approx(100 * 51 / 101)
        assert scores["AR"] == pytest.approx(50)

    def test_the_score_of_a_track_is_its_mean(self) -> None:
        wrong = track(7, score=0.6)
        right = track(1)
        right.scores[:] = [1.0] * 5 + [0.0] * 5
        assert evaluate_track_map(truth_of(track(1)), {"a": join(right, wrong)}).flat()["AP"] == pytest.approx(50)

    def test_the_class_of_a_track_is_that_of_its_first_box(self) -> None:
        found = track(1)
        found.class_ids[1:] = 2
        scores = evaluate_track_map(truth_of(join(track(1), track(2, 2))), {"a": found})
        assert scores.by_class["cat"]["AP_all"].tolist() == pytest.approx([1] * 10)
        assert scores.by_class["dog"]["AP_all"].tolist() == [0] * 10

    def test_area_and_length_of_tracks(self) -> None:
        """10 x 10 pixels is small; 2 frames are short, 9 are of middle length."""
        truth = truth_of(join(track(1, frames=9), track(2, frames=2)))
        scores = evaluate_track_map(truth, {"a": track(1, frames=9)}).flat()
        assert scores["AP_area_s"] == pytest.approx(100 * 51 / 101)
        assert math.isnan(scores["AP_area_m"])
        assert math.isnan(scores["AR_time_l"])
        assert scores["AP_time_s"] == 0
        assert scores["AP_time_m"] == pytest.approx(100)

    def test_track_number_zero(self) -> None:
        """In TrackEval a track of that number leaves its object free for a second one."""
        boxes = track(1)
        first, second = (make_table(boxes.frames, i * np.ones(10), boxes.bboxes, s * np.ones(10), boxes.class_ids)
                         for i, s in ((0, 0.9), (1, 0.8)))  # fmt: skip
        for found in (join(first, second), join(second, first)):
            counts = evaluate_track_map(truth_of(join(track(1), track(2))), {"a": found})
            assert counts.flat()["AR"] == pytest.approx(50)

    def test_nothing_predicted(self) -> None:
        scores = evaluate_track_map(truth_of(track(1)), {})
        assert scores.flat()["AP"] == scores.flat()["AR"] == 0

    def test_class_that_was_asked_for_but_does_not_occur(self) -> None:
        scores = evaluate_track_map(truth_of(track(1)), {"a": track(1)}, classes=["cat", "cow"])
        assert math.isnan(scores.class_rows()["cow"]["AP"])
        assert scores.flat()["AP"] == pytest.approx(100)


class TestGaps:
    """The cat is annotated in video a; a dog is predicted there, which is annotated in video b alone."""

    def score(self, **lists) -> dict[str, dict[str, float]]:
        truth = truth_of(track(1), track(1, 2))
        found = {"a": join(track(1), track(2, 2, score=0.9)), "b": track(1, 2, score=0.5)}
        return evaluate_track_map(truth, found, federation=Federation(**lists)).class_rows()

    def test_class_that_is_neither_there_nor_known_to_be_absent(self) -> None:
        assert self.score(negative={"a": frozenset(), "b": frozenset()})["dog"]["AP"] == pytest.approx(100)

    def test_class_known_to_be_absent(self) -> None:
        assert self.score(negative={"a": frozenset([2]), "b": frozenset()})["dog"]["AP"] == pytest.approx(50)

    def test_a_file_without_gaps(self) -> None:
        assert self.score()["dog"]["AP"] == pytest.approx(50)

    def test_class_that_is_not_annotated_exhaustively(self) -> None:
        assert self.score(not_exhaustive={"a": frozenset([2])})["dog"]["AP"] == pytest.approx(100)
        assert self.score(not_exhaustive={"b": frozenset([2])})["dog"]["AP"] == pytest.approx(50)

    def test_merged_classes(self) -> None:
        truth = truth_of(join(track(1), track(2, 3)))
        found = {"a": join(track(1, 3), track(2))}
        scores = evaluate_track_map(truth, found, federation=Federation(merged={3: 1}))
        assert list(scores.by_class) == ["cat"]
        assert scores.flat()["AP"] == pytest.approx(100)

    def test_read_from_the_file(self, tmp_path: Path) -> None:
        data, _ = random_tao(1)
        del data["videos"][0]["neg_category_ids"], data["videos"][1]["not_exhaustive_category_ids"]
        (tmp_path / "ann.json").write_text(json.dumps(as_cocovid(data)))
        federation = read_federation(read_cocovid(tmp_path / "ann.json"))
        names = [video["name"] for video in data["videos"]]
        assert list(federation.negative) == names[1:]
        assert federation.negative[names[1]] == frozenset(data["videos"][1]["neg_category_ids"])
        assert federation.not_exhaustive[names[1]] == frozenset()
        assert federation.merged == {20: 10}
        assert read_federation(truth_of(track(1))) == Federation()

    def test_list_that_is_none(self, tmp_path: Path) -> None:
        data, _ = random_tao(1)
        data["videos"][0]["neg_category_ids"] = "1, 2"
        (tmp_path / "ann.json").write_text(json.dumps(as_cocovid(data)))
        with pytest.raises(
            InputError, match=r"ann.json: video 'val/set0/v11': neg_category_ids is '1, 2'; it must be a l"
        ):
            read_federation(read_cocovid(tmp_path / "ann.json"))


class TestMarkedBoxes:
    def test_crowds_are_neither_found_nor_missed(self) -> None:
        crowd = track(2, score=0)
        for found in (track(1), join(track(1, score=0.5), track(2, score=0.9))):
            assert evaluate_track_map(truth_of(join(track(1), crowd)), {"a": found}).flat()["AP"] == pytest.approx(100)

    def test_one_marked_box_makes_no_crowd(self) -> None:
        boxes = track(1)
        boxes.scores[0] = 0
        assert evaluate_track_map(truth_of(boxes), {}).flat()["AR"] == 0

    def test_crowds_need_no_identity(self) -> None:
        """But then they are no tracks, and what is predicted there is wrong."""
        crowd = track(2, score=0)
        crowd.ids[:] = -1
        found = join(track(1, score=0.5), track(2, score=0.9))
        assert evaluate_track_map(truth_of(join(track(1), crowd)), {"a": found}).flat()["AP"] == pytest.approx(50)
        assert evaluate_track_map(truth_of(join(track(1), crowd)), {"a": track(1)}).flat()["AP"] == pytest.approx(100)


class TestLimit:
    def test_best_of_each_image_in_the_order_of_the_images(self) -> None:
        rows = [(3, 1, 0.1), (1, 2, 0.5), (3, 2, 0.9), (1, 1, 0.5), (3, 3, 0.4), (1, 3, 0.6), (2, 5, 0.01)]
        frames, ids, scores = (np.array(column) for column in zip(*rows))
        table = limit_per_image(make_table(frames, ids, np.ones((7, 4)), scores), 2)
        assert list(zip(table.frames, table.ids)) == [(3, 2), (3, 3), (1, 3), (1, 2), (2, 5)]

    def test_images_below_the_limit_keep_their_order(self) -> None:
        table = make_table([2, 1, 2, 1], [1, 2, 3, 4], np.ones((4, 4)), [0.1, 0.2, 0.9, 0.3])
        assert limit_per_image(table, 2).ids.tolist() == [1, 3, 2, 4]
        assert limit_per_image(table, 0) is table


def test_tracks_in_the_order_of_the_file_and_boxes_in_that_of_the_frames() -> None:
    rows = [(3, 9, 1), (1, 4, 2), (1, 9, 3), (2, 4, 1), (2, 9, 1)]
    frames, ids, classes = (np.array(column) for column in zip(*rows))
    tracks = make_tracks(make_table(frames, ids, np.ones((5, 4)), class_ids=classes))
    assert list(zip(tracks.table.ids, tracks.table.frames)) == [(9, 1), (9, 2), (9, 3), (4, 1), (4, 2)]
    assert (tracks.starts.tolist(), tracks.lengths.tolist(), tracks.classes.tolist()) == ([0, 3, 5], [3, 2], [1, 2])


def test_iou_of_tracks_against_a_plain_loop() -> None:
    rng = np.random.default_rng(0)
    sides = []
    for _ in range(2):
        frames, ids = rng.integers(1, 9, 60), rng.integers(0, 7, 60)
        _, keep = np.unique(frames * 100 + ids, return_index=True)
        boxes = np.hstack([rng.uniform(0, 30, (60, 2)), rng.uniform(5, 30, (60, 2))])
        sides.append(make_tracks(make_table(frames[keep], ids[keep], boxes[keep])))
    found, true = sides
    expected = np.zeros((len(found), len(true)))
    for i in range(len(found)):
        for j in range(len(true)):
            one = dict(zip(*(getattr(found.select([i]).table, key).tolist() for key in ("frames", "bboxes"))))
            two = dict(zip(*(getattr(true.select([j]).table, key).tolist() for key in ("frames", "bboxes"))))
            shared = sum(overlap(one[frame], two[frame]) for frame in one.keys() & two.keys())
            total = sum(w * h for _, _, w, h in (*one.values(), *two.values()))
            expected[i, j] = shared / (total - shared)
    np.testing.assert_allclose(track_iou(found, true), expected, rtol=1e-12)
    assert expected.max() > 0.05


def overlap(one: list[float], two: list[float]) -> float:
    sides = [min(one[i] + one[i + 2], two[i] + two[i + 2]) - max(one[i], two[i]) for i in (0, 1)]
    return max(sides[0], 0) * max(sides[1], 0)


class TestMistakes:
    @pytest.mark.parametrize(
        ("tracks", "options", "message"),
        [
            ({"b": track(1)}, {}, "here: no sequence 'b'; it has a"),
            ({"a": track(1, frames=11)}, {}, "a: prediction in frame 11, but the sequence has frames 1 to 10"),
            ({"a": track(1, class_id=-1)}, {}, "a: predictions without a class; track mAP is computed class by class"),
            ({"a": join(track(1), track(1))}, {}, "a: frame 1 has two predictions of identity 1"),
            ({}, {"classes": ["pig"]}, "here: no class 'pig'; it has cat, dog, cow"),
            ({}, {"classes": ["dog"]}, "here: no box of dog to score against"),
            ({}, {"max_detections": -1}, "max_detections is -1; it must be 0 (no limit) or greater"),
        ],
    )
    def test_message(self, tracks: dict, options: dict, message: str) -> None:
        with pytest.raises(InputError) as caught:
            evaluate_track_map(truth_of(track(1)), tracks, **options)
        assert str(caught.value).startswith(message)

    def test_a_class_of_which_no_box_has_an_identity(self) -> None:
        boxes = track(2, 2)
        boxes.ids[:] = -1
        with pytest.raises(InputError, match="here: a: frame 1 has a box without identity"):
            evaluate_track_map(truth_of(join(track(1), boxes)), {})

    def test_ground_truth_without_identities(self) -> None:
        boxes = track(1)
        boxes.ids[3] = -1
        with pytest.raises(InputError, match="here: a: frame 4 has a box without identity"):
            evaluate_track_map(truth_of(boxes), {})


def test_tables_and_json(tmp_path: Path) -> None:
    scores = evaluate_track_map(truth_of(join(track(1), track(2, 2))), {"a": track(1)})
    header, cat, dog, mean = (line.split() for line in scores.tables().splitlines())
    assert header[:7] == ["track", "mAP", "AP", "AP50", "AP75", "AP50_75", "AR"]
    assert cat[:5] == ["cat", "100.00", "100.00", "100.00", "100.00"]
    assert dog[1] == "0.00"
    assert mean[:4] == ["MEAN", "OF", "2", "50.00"]
    assert "-" in cat
    scores.write_json(tmp_path / "scores.json")
    data = json.loads((tmp_path / "scores.json").read_text())["track_map"]
    assert data["overall"]["AP50"] == pytest.approx(50)
    assert data["classes"]["dog"]["AP"] == 0
    assert data["classes"]["cat"]["AP_area_m"] is None


def test_very_many_classes_are_not_printed_one_by_one() -> None:
    fields = {f"{kind}_{part}": np.full(10, 0.25) for kind in ("AP", "AR") for part in ("all", "area_s")}
    scores = TrackMapScores({f"class {i}": fields for i in range(300)}, fields)
    assert len(scores.tables().splitlines()) == 2
    assert "MEAN OF 300" in scores.tables()
