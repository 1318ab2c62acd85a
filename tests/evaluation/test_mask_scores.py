"""Scores of masks worked out by hand, what is repaired and told, and mistakes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from clmot_qd.datasets.mot_text import MotTable, empty_table, join_tables, make_table
from clmot_qd.datasets.mots_text import IGNORE_CLASS, IGNORE_NAME
from clmot_qd.errors import InputError
from clmot_qd.evaluation import GroundTruth, SequenceTruth, evaluate_tracks
from clmot_qd.masks import RleMasks

SIZE = (20, 40)
CATEGORIES = {"car": 1, "pedestrian": 2, IGNORE_NAME: IGNORE_CLASS}
FRAMES = 5


def table(
    corners: Sequence[Sequence[int]], ids: Sequence[int], frames: int = FRAMES, size: Sequence[int] = SIZE
) -> MotTable:
    """Rectangles that stand still: those of all frames, pedestrians; their boxes say nothing."""
    crops = [np.ones((y2 - y1, x2 - x1), dtype=bool) for x1, y1, x2, y2 in corners] * frames
    masks = RleMasks.of_crops(crops, [(one[0], one[1]) for one in corners] * frames, size)
    numbers = np.repeat(np.arange(1, frames + 1), len(corners))
    boxes = np.full((len(crops), 4), 5)
    return make_table(numbers, np.tile(ids, frames), boxes, class_ids=np.full(len(crops), 2), masks=masks)


def truth_of(*tables: MotTable) -> GroundTruth:
    named = {chr(ord("a") + i): SequenceTruth(np.arange(1, FRAMES + 1), one) for i, one in enumerate(tables)}
    return GroundTruth("here", CATEGORIES, named)


def score(truth: MotTable, found: MotTable, protocol: str = "mots20", told: list[str] | None = None, **options):
    lines = [] if told is None else told
    return evaluate_tracks(
        truth_of(truth), {"a": found}, protocol=protocol, iou_type="segm", progress=lines.append, **options
    )


TWO = table([(0, 0, 10, 10), (20, 0, 30, 10)], [1, 2])


def test_misses_false_ones_and_overlap() -> None:
    """Object 1 is found with IoU 80 / 100, object 2 is not, and there is one false mask; all boxes are one box."""
    scores = score(TWO, table([(0, 0, 10, 8), (0, 15, 40, 20)], [7, 8]))
    flat = scores.flat()
    for front in ("", "motmetrics/"):
        assert [flat[f"{front}{key}"] for key in ("FP", "FN", "IDSW", "MT", "ML")] == [5, 5, 0, 1, 1]
        assert flat[f"{front}MOTSA"] == pytest.approx(0)
        assert flat[f"{front}MOTSP"] == pytest.approx(80)
        assert flat[f"{front}IDF1"] == pytest.approx(50)
    assert flat["sMOTSA"] == pytest.approx(100 * (5 * 0.8 - 5) / 10)
    assert flat["DetA"] == pytest.approx(100 * (16 / 19) * 5 / 15)  # of the 19 thresholds 16 are not above 0.8
    assert scores.overall("trackeval", "pedestrian")["sMOTSA"] == flat["sMOTSA"]


def test_names_in_tables_and_json(tmp_path: Path) -> None:
    scores = score(TWO, TWO, "kitti-mots", classes=["pedestrian"], backends=["trackeval", "motmetrics", "waymo"])
    header = scores.tables().splitlines()[0].split()
    assert header[2:] == [
        *("HOTA", "DetA", "AssA", "LocA", "sMOTSA", "MOTSA", "MOTSP", "IDF1"),
        *("IDSW", "FP", "FN", "MT", "ML", "Frag"),
    ]
    scores.write_json(tmp_path / "all.json")
    data = json.loads((tmp_path / "all.json").read_text())
    for backend in ("trackeval", "motmetrics", "waymo"):
        row = data[backend]["pedestrian"]["OVERALL"]
        assert (row["MOTSA"], row["MOTSP"]) == (100, 100)
        assert not {"MOTA", "MOTP", "sMOTA"} & set(row)


def test_masks_may_cross_where_boxes_are_the_same() -> None:
    """Two diagonal halves of one square: as boxes they cannot be told apart."""
    square = np.tri(10, dtype=bool)
    masks = RleMasks.of_crops([square, ~square] * FRAMES, [(0, 0)] * 2 * FRAMES, SIZE)
    halves = replace(TWO, masks=masks)
    swapped = replace(halves, ids=3 - halves.ids)
    assert score(halves, halves).flat()["MOTSA"] == score(halves, swapped).flat()["MOTSA"] == 100
    turned = replace(halves, masks=masks[np.arange(2 * FRAMES) ^ (np.arange(2 * FRAMES) >= 4)])
    assert score(halves, turned).flat()["IDSW"] == 2
    boxes = evaluate_tracks(truth_of(halves), {"a": turned}, ["pedestrian"], protocol="plain").flat()
    assert boxes["IDSW"] == 0
    assert "MOTA" in boxes


class TestRepairs:
    def overlapping(self) -> MotTable:
        """The second mask takes the lower half of the first one, and has the higher score; the third is below it."""
        found = table([(0, 0, 10, 10), (0, 5, 10, 15), (2, 6, 8, 9)], [1, 2, 3])
        return replace(found, scores=np.tile([0.5, 0.9, 0.4], FRAMES))

    @pytest.mark.parametrize("protocol", ["mots20", "bdd100k"])
    def test_a_pixel_goes_to_the_highest_score_and_that_is_told_once(self, protocol: str) -> None:
        told: list[str] = []
        truth = table([(0, 0, 10, 5), (0, 5, 10, 15)], [1, 2])
        flat = score(truth, self.overlapping(), protocol, told, classes=["pedestrian"]).flat()
        assert (flat["MOTSA"], flat["MOTSP"], flat["FP"]) == (100, 100, 0)
        assert told == [
            f"{2 * FRAMES} of {3 * FRAMES} predicted masks lost pixels to others of higher scores; "
            f"{FRAMES} predicted masks have no pixel and are left out",
            "scored a (1 of 1)",
        ]

    def test_masks_may_overlap_where_nobody_forbids_it(self) -> None:
        told: list[str] = []
        found = self.overlapping()
        flat = score(found, found, "plain", told).flat()
        assert (flat["MOTSA"], flat["IDF1"], told) == (100, 100, ["scored a (1 of 1)"])

    def test_empty_masks_neither_miss_nor_are_wrong(self) -> None:
        told: list[str] = []
        nothing = replace(TWO, masks=RleMasks.empty(SIZE, len(TWO)), ids=TWO.ids + 10)
        both = join_tables([TWO, nothing])
        flat = score(both, both, "plain", told).flat()
        assert (flat["MOTSA"], flat["FN"], flat["FP"]) == (100, 0, 0)
        count = 2 * FRAMES
        assert told[0] == (
            f"{count} predicted masks have no pixel and are left out; {count} true masks have no pixel and are left out"
        )

    def test_regions_without_a_mask_are_not_told(self) -> None:
        told: list[str] = []
        region = replace(TWO, masks=RleMasks.empty(SIZE, len(TWO)), class_ids=np.full(len(TWO), IGNORE_CLASS))
        region = replace(region, scores=np.zeros(len(TWO)))
        assert score(join_tables([TWO, region]), TWO, told=told).flat()["MOTSA"] == 100
        assert told == ["scored a (1 of 1)"]


class TestRegions:
    def with_regions(self, *corners: Sequence[int]) -> MotTable:
        regions = table(corners, [10000] * len(corners))
        classes, marks = np.full(len(regions), IGNORE_CLASS), np.zeros(len(regions))
        return join_tables([TWO, replace(regions, class_ids=classes, scores=marks)])

    @pytest.mark.parametrize(
        ("regions", "false"),
        [
            ([(0, 15, 21, 20)], 0),
            ([(0, 15, 20, 20)], FRAMES),  # half is not more than half
            ([(0, 15, 11, 20), (11, 15, 21, 20)], 0),  # together
            ([(0, 0, 10, 10)], FRAMES),
        ],
    )
    def test_more_than_half_of_the_mask(self, regions: Sequence[Sequence[int]], false: int) -> None:
        found = join_tables([TWO, table([(0, 15, 40, 20)], [9])])
        assert score(self.with_regions(*regions), found).flat()["FP"] == false

    def test_what_finds_an_object_counts_though_it_lies_in_a_region(self) -> None:
        flat = score(self.with_regions((0, 0, 40, 10)), TWO).flat()
        assert (flat["FN"], flat["FP"], flat["MOTSA"]) == (0, 0, 100)

    def test_an_ignored_object_of_the_class_is_a_region(self) -> None:
        truth = replace(TWO, scores=(TWO.ids == 1).astype(float))
        assert score(truth, TWO).flat()["FP"] == 0
        assert score(truth, TWO, "plain", classes=["pedestrian"]).flat()["FP"] == FRAMES


def test_sequences_without_predictions_or_without_truth() -> None:
    truth = truth_of(TWO, TWO, replace(empty_table(), masks=RleMasks.empty((0, 0))))
    scores = evaluate_tracks(truth, {"b": TWO, "c": TWO}, protocol="mots20", iou_type="segm", jobs=2)
    rows = scores.by_backend["trackeval"]["pedestrian"]
    assert [rows[name]["FN"] for name in "abc"] == [2 * FRAMES, 0, 0]
    assert [rows[name]["FP"] for name in "abc"] == [0, 0, 2 * FRAMES]


def test_boxes_by_the_rules_for_masks() -> None:
    """For commands that have boxes alone, and say so: each region by itself."""
    truth = join_tables([TWO, replace(TWO, class_ids=np.full(len(TWO), IGNORE_CLASS), scores=np.zeros(len(TWO)))])
    truth.bboxes[:, 0] = 20 * truth.ids
    truth.bboxes[len(TWO) :, 1] = 40
    found = join_tables(
        [truth.select(np.arange(len(TWO))), replace(truth.select(np.arange(len(TWO))), ids=TWO.ids + 5)]
    )
    found.bboxes[len(TWO) :, 1] = 42  # 3 of 5 pixels in a region
    found = replace(found, masks=None)
    flat = evaluate_tracks(truth_of(truth), {"a": found}, protocol="mots20", iou_type="bbox").flat()
    assert (flat["MOTA"], flat["FP"]) == (100, 0)
    assert evaluate_tracks(truth_of(truth), {"a": found}, ["pedestrian"], protocol="plain").flat()["FP"] == len(TWO)
    with pytest.raises(InputError, match="protocol mots20 does not score iou_type bbox; set iou_type to segm"):
        evaluate_tracks(truth_of(truth), {"a": found}, protocol="mots20")


class TestMistakes:
    @pytest.mark.parametrize(
        ("found", "options", "message"),
        [
            (replace(TWO, masks=None), {}, "a: the predictions have no masks, which iou_type segm compares; read"),
            (
                table([(0, 0, 10, 10)], [1], size=(40, 20)),
                {},
                r"a: predicted masks are of \(40, 20\) pixels \(height, width\), the true ones of \(20, 40\)",
            ),
            (TWO, {"iou_type": "mask"}, "iou_type: 'mask' is unknown; choose from bbox, segm"),
        ],
    )
    def test_message(self, found: MotTable, options: dict, message: str) -> None:
        given = {"protocol": "mots20", "iou_type": "segm"} | options
        with pytest.raises(InputError, match=message):
            evaluate_tracks(truth_of(TWO), {"a": found}, **given)

    def test_truth_without_masks(self) -> None:
        with pytest.raises(InputError, match="here: a has no masks; read the ground truth with masks"):
            score(replace(TWO, masks=None), TWO)
