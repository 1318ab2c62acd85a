"""TAOBiSoftmaxTracker against loops written from its description, and where it differs from its parent."""

from typing import Any

import numpy as np
import pytest
from bisoftmax_scene import LOOKS, Scene, Seen, ids
from test_bisoftmax_oracle import random_stream

from clmot_qd.errors import InputError
from clmot_qd.trackers import BiSoftmaxTracker, TAOBiSoftmaxTracker
from clmot_qd.trackers.similarity import pairwise_iou


class NaiveTracker:
    """The TAO tracker with one dictionary per track and a loop wherever there is a sum."""

    def __init__(self, memory: int = 10, difference: float = 1.0, cosine: bool = True) -> None:
        self.memory, self.difference, self.cosine = memory, difference, cosine
        self.tracks: dict[int, dict[str, Any]] = {}
        self.count = 0

    def similarity(self, row: dict[str, Any], rows: list[dict[str, Any]], track: dict[str, Any]) -> float:
        def power(a: dict[str, Any], b: dict[str, Any]) -> float:
            return float(np.exp(a["embed"] @ b["embed"])) if a["label"] == b["label"] else 0.0

        over_tracks = sum(power(row, other) for other in self.tracks.values()) + 1e-6
        over_rows = sum(power(other, track) for other in rows) + 1e-6
        soft = (power(row, track) / over_tracks + power(row, track) / over_rows) / 2
        if not self.cosine:
            return soft
        lengths = np.linalg.norm(row["embed"]) * np.linalg.norm(track["embed"])
        cosine = row["embed"] @ track["embed"] / lengths if row["label"] == track["label"] else 0.0
        return float(soft + cosine) / 2

    def update(self, boxes: Any, scores: Any, labels: Any, embeds: Any, frame: int) -> dict[int, int]:
        """-> {row: id}."""
        rows: list[dict[str, Any]] = []
        order = sorted(range(len(boxes)), key=lambda i: -scores[i])
        for place, i in enumerate(order):
            better = [j for j in order[:place] if labels[j] == labels[i]]
            overlaps = any(pairwise_iou(boxes[[i]].astype(float), boxes[[j]].astype(float))[0, 0] > 0.3 for j in better)
            if scores[i] >= 0.5 or not overlaps:
                rows.append({"row": i, "score": scores[i], "label": labels[i], "embed": embeds[i].astype(float)})
        table = {(id(row), key): self.similarity(row, rows, self.tracks[key]) for row in rows for key in self.tracks}
        result, taken = {}, set()
        for row in rows:
            choices = [(0.0 if key in taken else table[id(row), key], -key) for key in self.tracks]
            best, key = max(choices) if choices else (0.0, 0)
            if best > 0.5 and abs(row["score"] - self.tracks[-key]["score"]) < self.difference:
                taken.add(-key)
                result[row["row"]] = -key
        known = set(result.values())
        for row in rows:
            track = self.tracks.get(result.get(row["row"], -1))
            if track is not None:
                track["embed"] = 0.2 * track["embed"] + 0.8 * row["embed"]
                track["score"] = 0.5 * track["score"] + 0.5 * row["score"]
                track["frame"] = frame
            elif row["score"] > 1e-4:
                result[row["row"]] = self.count
                self.tracks[self.count] = {**row, "frame": frame}
                self.count += 1
        assert known <= set(self.tracks)
        self.tracks = {key: track for key, track in self.tracks.items() if frame - track["frame"] < self.memory}
        return result


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("difference", "cosine"), [(1.0, True), (0.2, True), (1.0, False)])
def test_equals_the_loops(seed: int, difference: float, cosine: bool) -> None:
    tracker = TAOBiSoftmaxTracker(score_diff_thr=difference, match_with_cosine=cosine)
    naive, continued = NaiveTracker(difference=difference, cosine=cosine), 0
    for frame, (boxes, scores, labels, embeds) in enumerate(random_stream(seed, 30)):
        before = naive.count
        tracks = tracker.update(boxes, scores, labels, embeds / 2, frame)
        expected = naive.update(boxes, scores, labels, embeds / 2, frame)
        assert dict(zip(tracks.detection_index.tolist(), ids(tracks))) == expected, frame
        continued += sum(identity < before for identity in expected.values())
    assert continued > 50


def tao_scene(**arguments: Any) -> Scene:
    return Scene(TAOBiSoftmaxTracker(**arguments))


def test_nearly_everything_is_tracked() -> None:
    scene = tao_scene()
    assert ids(scene.see(Seen(0, 100, 0.01), Seen(1, 300, 0.0001))) == [0]
    assert ids(scene.see(Seen(0, 100, 0.01))) == [0]


def test_other_classes_take_no_share() -> None:
    """Two tracks, one look, two labels: to the parent the row of the detection is 1/2 and 1/2, its mean with 1 0.75."""
    for tracker, expected in (
        (BiSoftmaxTracker(match_score_thr=0.8), 2),
        (TAOBiSoftmaxTracker(match_score_thr=0.8), 0),
    ):
        scene = Scene(tracker)
        scene.see(Seen(0, 100, 0.95, label=0), Seen(0, 300, 0.9, label=1))
        assert ids(scene.see(Seen(0, 500, 0.9, label=0))) == [expected]


def test_an_only_choice_must_still_look_alike() -> None:
    """Bi-softmax says 1, the cosine 0: a mean of 0.5 is not above the threshold. Without the cosine it is a match."""
    for cosine, expected in ((True, [1]), (False, [0])):
        scene = tao_scene(match_with_cosine=cosine)
        scene.see(Seen(0, 100))
        assert ids(scene.see(Seen(1, 100))) == expected


def test_a_track_is_continued_by_a_similar_score_only_and_its_score_is_a_moving_average() -> None:
    for score, expected in ((0.45, [0]), (0.35, [1])):  # the track has 0.5 * 0.9 + 0.5 * 0.7 = 0.8; difference 0.4
        scene = tao_scene(score_diff_thr=0.4)
        scene.see(Seen(0, 100, 0.9))
        tracks = scene.see(Seen(0, 100, 0.7))
        np.testing.assert_allclose(tracks.scores, [0.7])
        np.testing.assert_allclose(scene.tracker._memory.scores, [0.8])
        assert ids(scene.see(Seen(0, 100, score))) == expected
    for difference, expected in ((0.5, [1]), (0.51, [0])):
        scene = tao_scene(score_diff_thr=difference)
        scene.see(Seen(0, 100, 1.0))
        assert ids(scene.see(Seen(0, 100, 0.5))) == expected
    scene = tao_scene(score_momentum=0.2)
    scene.see(Seen(0, 100, 0.9))
    scene.see(Seen(0, 100, 0.4))
    np.testing.assert_allclose(scene.tracker._memory.scores, [0.8])


def test_duplicates_are_low_scores_within_a_class() -> None:
    for score, label, x, expected in (
        (0.49, 0, 105, 1),
        (0.5, 0, 105, 2),
        (0.49, 1, 105, 2),
        (0.49, 0, 125, 2),
    ):
        assert len(tao_scene().see(Seen(0, 100), Seen(1, x, score, label))) == expected
    assert len(tao_scene(with_cats=False).see(Seen(0, 100), Seen(1, 105, 0.49, 1))) == 1
    assert len(tao_scene(distractor_iou_thr=0.2).see(Seen(0, 100), Seen(1, 125, 0.49))) == 1
    assert len(tao_scene(distractor_score_thr=0.3).see(Seen(0, 100), Seen(1, 105, 0.49))) == 2


def test_what_may_not_continue_a_track_may_start_one() -> None:
    scene = tao_scene(obj_score_thr=0.5)
    scene.see(Seen(0, 100))
    assert ids(scene.see(Seen(0, 100, 0.5))) == [1]


def test_the_parents_arguments_reach_it() -> None:
    for memory, expected in ((2, [0]), (1, [1])):
        scene = tao_scene(memo_tracklet_frames=memory)
        scene.see(Seen(0, 100))
        scene.nothing()
        assert ids(scene.see(Seen(0, 100))) == expected
    scene = tao_scene(memo_momentum=0.3)
    scene.see(Seen(0, 100))
    scene.see(Seen(0, 100), embeds=LOOKS[:1] / 2)
    np.testing.assert_allclose(scene.tracker._memory.embeds, LOOKS[:1] * (0.7 + 0.15))
    for temperature, expected in ((None, [2, 3]), (0.07, [0, 1])):  # unit vectors at a cosine of 0.8
        scene, looks = tao_scene(temperature=temperature, match_score_thr=0.8), np.array([[1.0, 0.0], [0.8, 0.6]])
        scene.see(Seen(0, 100, 0.95), Seen(0, 300), embeds=looks)
        assert ids(scene.see(Seen(0, 100, 0.95), Seen(0, 300), embeds=looks)) == expected


def test_there_are_no_backdrops() -> None:
    scene = tao_scene(init_score_thr=0.5)
    scene.see(Seen(0, 100), Seen(1, 300, 0.4))
    assert len(scene.tracker._backdrops) == 0


@pytest.mark.filterwarnings("error")
def test_embeddings_of_any_length() -> None:
    for length in (1e-3, 1e3):
        scene = tao_scene()
        for _ in range(2):
            assert ids(scene.see(Seen(0, 100, 0.95), Seen(1, 300), embeds=LOOKS[:2] * length)) == [0, 1]


@pytest.mark.parametrize(
    "name", ["score_momentum", "score_diff_thr", "distractor_score_thr", "distractor_iou_thr", "init_score_thr"]
)
def test_arguments_out_of_range_are_named(name: str) -> None:
    with pytest.raises(InputError, match=rf"^{name}: expected a number from 0 to 1, got 1.5$"):
        TAOBiSoftmaxTracker(**{name: 1.5})
