"""HOTA, CLEAR and Identity on TAO: TrackEval's numbers, and each rule by hand."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import pytest
from tao_scenes import as_cocovid, random_tao, run_trackeval

from clmot_qd.datasets.mot_text import MotTable, make_table
from clmot_qd.errors import InputError
from clmot_qd.evaluation import GroundTruth, SequenceTruth, evaluate_tracks, read_cocovid
from clmot_qd.evaluation.formats import read_predictions
from clmot_qd.evaluation.scores import CLASS_MEAN, DETECTION_AVERAGE
from clmot_qd.evaluation.track_map_filter import judged
from clmot_qd.evaluation.track_map_input import Federation

FAMILIES = {"HOTA": "HOTA DetA AssA LocA", "CLEAR": "MOTA MOTP", "Identity": "IDF1 IDP IDR"}
COUNTS = {"IDSW": "IDSW", "FP": "CLR_FP", "FN": "CLR_FN", "MT": "MT", "ML": "ML", "Frag": "Frag"}


@pytest.mark.parametrize("limit", [300, 4])
@pytest.mark.parametrize("seed", range(4))
def test_equals_trackeval_on_the_same_files(seed: int, limit: int, tmp_path: Path) -> None:
    data, found = random_tao(seed)
    (tmp_path / "ann.json").write_text(json.dumps(as_cocovid(data)))
    (tmp_path / "pred.json").write_text(json.dumps(found))
    truth = read_cocovid(tmp_path / "ann.json")
    merged, tracks = judged(truth, read_predictions(tmp_path / "pred.json", truth), limit)
    ours = evaluate_tracks(merged, tracks, backends=["trackeval"], protocol="plain")
    theirs = run_trackeval(tmp_path, copy.deepcopy(data), found, limit)[0]["COMBINED_SEQ"]
    rows = {CLASS_MEAN: "cls_comb_cls_av", DETECTION_AVERAGE: "cls_comb_det_av"}
    rows |= {name: name for name in ours.by_backend["trackeval"]}
    assert set(rows.values()) == set(theirs)
    for row, name in rows.items():
        scores = ours.overall("trackeval", row)
        for family, keys in FAMILIES.items():
            for key in keys.split():
                assert scores[key] == pytest.approx(100 * np.mean(theirs[name][family][key]), abs=1e-9), (row, key)
        for key, field in COUNTS.items():
            assert scores[key] == theirs[name]["CLEAR"][field], (row, key)
    assert 0 < ours.overall("trackeval", DETECTION_AVERAGE)["HOTA"] < 100


def boxes(*rows: tuple[int, int, int, float], score: float = 1.0) -> MotTable:
    """(frame, identity, class, x) -> a 10 x 10 box there."""
    frames, ids, classes, x = (np.array(column) for column in zip(*rows))
    sides = np.column_stack([x, 0 * x, 0 * x + 10, 0 * x + 10])
    return make_table(frames, ids, sides, np.full(len(rows), score), classes)


TRUE = boxes((1, 1, 1, 0), (2, 1, 1, 0), (2, 2, 2, 50))
TRUTH = GroundTruth("here", {"cat": 1, "dog": 2, "cow": 3}, {"a": SequenceTruth(np.arange(1, 4), TRUE)})
FOUND = boxes((1, 1, 1, 0), (1, 2, 1, 90), (1, 3, 2, 0), (1, 4, 3, 0), (2, 1, 1, 8), (2, 3, 2, 52), (3, 3, 2, 0))
NOTHING = frozenset[int]()


def kept(**lists) -> list[tuple[int, int]]:
    table = judged(TRUTH, {"a": FOUND}, federation=Federation(**lists))[1]["a"]
    return list(zip(table.frames.tolist(), table.ids.tolist()))


def test_frames_without_boxes_are_not_judged() -> None:
    assert kept() == [(1, 1), (1, 2), (1, 3), (1, 4), (2, 1), (2, 3)]


def test_classes_that_are_not_in_the_frame() -> None:
    assert kept(negative={"a": NOTHING}) == [(1, 1), (1, 2), (2, 1), (2, 3)]
    assert kept(negative={"a": frozenset([3])}) == [(1, 1), (1, 2), (1, 4), (2, 1), (2, 3)]


def test_classes_that_are_not_annotated_exhaustively() -> None:
    """The cat of frame 1 is found, that of frame 2 overlaps too little, and the dog of frame 1 is not annotated."""
    assert kept(not_exhaustive={"a": frozenset([1])}) == [(1, 1), (1, 3), (1, 4), (2, 3)]
    assert kept(not_exhaustive={"a": frozenset([2])}) == [(1, 1), (1, 2), (1, 4), (2, 1), (2, 3)]
    both = {"negative": {"a": frozenset([3])}, "not_exhaustive": {"a": frozenset([3])}}
    assert kept(**both) == [(1, 1), (1, 2), (2, 1), (2, 3)]


def test_merged_classes_and_missing_sequences() -> None:
    truth, tracks = judged(TRUTH, {}, federation=Federation(merged={2: 3}))
    assert truth.sequences["a"].boxes.class_ids.tolist() == [1, 1, 3]
    assert len(tracks["a"]) == 0


def test_mistakes() -> None:
    with pytest.raises(InputError, match="a: prediction in frame 9, but the sequence has frames 1 to 3"):
        judged(TRUTH, {"a": boxes((9, 1, 1, 0))})
