"""What the demo data set is drawn for: positions do not tell who is who, a mean colour does not, a close look does."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import cv2
import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from clmot_qd.datasets.demo.looks import luma, sample_pairs
from clmot_qd.datasets.demo.scene import DemoFrame, DemoScene
from clmot_qd.datasets.demo_scenes import DROP_BELOW, IGNORE_BELOW, DemoSettings, build_scene
from clmot_qd.trackers.similarity import pairwise_iou


@pytest.fixture(scope="module")
def walked() -> list[DemoFrame]:
    """Forty frames of a test sequence as they are shipped."""
    return list(build_scene(DemoSettings(test_frames=40), "test", 0))


def labelled(frame: DemoFrame) -> np.ndarray:
    return np.flatnonzero(frame.visibility >= IGNORE_BELOW)


def same_identity_ious(frames: list[DemoFrame]) -> tuple[np.ndarray, np.ndarray]:
    """For each figure seen in two consecutive frames: IoU with itself, largest IoU with anybody else."""
    own, wrong = [], []
    for before, after in pairwise(frames):
        old, new = labelled(before), labelled(after)
        overlap = pairwise_iou(after.boxes[new], before.boxes[old])
        for row, column in zip(*np.nonzero(new[:, None] == old)):
            own.append(overlap[row, column])
            wrong.append(np.delete(overlap[row], column).max(initial=0.0))
    return np.array(own), np.array(wrong)


def patch(frame: DemoFrame, figure: int, size: tuple[int, int]) -> np.ndarray:
    """Unit vector of the colours inside a figure's box, at ``size`` (w, h)."""
    x0, y0, x1, y1 = np.round(frame.boxes[figure]).astype(int)
    inset = (x1 - x0) // 5
    crop = cv2.cvtColor(frame.image[y0:y1, x0 + inset : x1 - inset], cv2.COLOR_BGR2LAB).astype(np.float32) - 128
    vector = cv2.resize(crop, size, interpolation=cv2.INTER_AREA).ravel()
    return vector / np.linalg.norm(vector)


def share_of_right_matches(frames: list[DemoFrame], cost: Callable[[DemoFrame, DemoFrame], np.ndarray]) -> float:
    """Share of the figures seen in two consecutive frames that an optimal assignment keeps apart."""
    right = total = 0
    for before, after in pairwise(frames):
        old, new = labelled(before), labelled(after)
        rows, columns = linear_sum_assignment(cost(before, after))
        right += int((new[rows] == old[columns]).sum())
        total += len(np.intersect1d(old, new))
    return right / total


def appearance(size: tuple[int, int]) -> Callable[[DemoFrame, DemoFrame], np.ndarray]:
    def cost(before: DemoFrame, after: DemoFrame) -> np.ndarray:
        old, new = ([patch(frame, figure, size) for figure in labelled(frame)] for frame in (before, after))
        return 1 - np.stack(new) @ np.stack(old).T

    return cost


def overlap_cost(before: DemoFrame, after: DemoFrame) -> np.ndarray:
    return 1 - pairwise_iou(after.boxes[labelled(after)], before.boxes[labelled(before)])


def test_boxes_of_consecutive_frames_do_not_tell_who_is_who(walked: list[DemoFrame]) -> None:
    own, wrong = same_identity_ious(walked)
    assert len(own) > 300
    assert np.median(own) < 0.3
    assert (wrong > own).mean() > 0.3
    assert share_of_right_matches(walked, overlap_cost) < 0.7


def test_a_close_look_tells_who_is_who_and_the_mean_colour_does_not(walked: list[DemoFrame]) -> None:
    """Raw pixels, unaligned, are a poor embedding; they must still do better than position or mean colour."""
    close_look = share_of_right_matches(walked, appearance((8, 20)))
    assert close_look > 0.62
    assert close_look > share_of_right_matches(walked, appearance((1, 1))) + 0.15
    assert close_look > share_of_right_matches(walked, overlap_cost) + 0.05


def test_a_lower_speed_is_easy_for_motion() -> None:
    own, wrong = same_identity_ious(list(build_scene(DemoSettings(test_frames=20, speed=0.2), "test", 0)))
    assert np.median(own) > 0.6
    assert (wrong > own).mean() < 0.2


def test_the_street_is_busy_and_people_hide_each_other(walked: list[DemoFrame]) -> None:
    counts = [len(labelled(frame)) for frame in walked]
    assert 8 <= np.mean(counts) <= 12
    visibility = np.stack([frame.visibility for frame in walked])
    assert (visibility > 0.9).mean() > 0.35
    assert ((visibility > 0.25) & (visibility < 0.9)).mean() > 0.2
    hidden = visibility < DROP_BELOW
    assert hidden.any()
    assert (hidden[:-1] & ~hidden[1:]).any(), "somebody comes back from a full occlusion"


def test_light_flickers_and_the_sensor_is_noisy() -> None:
    scene = DemoScene(sample_pairs(np.random.default_rng(0), 2), 12, (160, 96), np.random.default_rng(0), speed=0.01)
    frames = np.stack([frame.image.astype(float) for frame in scene])
    brightness = frames.mean(axis=(1, 2, 3))
    assert brightness.std() / brightness.mean() > 0.02


def test_pairs_look_alike_but_not_the_same() -> None:
    rng = np.random.default_rng(7)
    same_pattern = []
    for _ in range(20):
        looks = sample_pairs(rng, 12)
        for first, second in zip(looks[::2], looks[1::2]):
            assert (first.build, first.height, first.hairstyle, first.garment, first.bag) == (
                second.build,
                second.height,
                second.hairstyle,
                second.garment,
                second.bag,
            )
            assert np.abs(np.subtract(first.top, second.top)).max() < 20
            accents = np.abs(np.subtract(first.accent, second.accent)).max()
            assert first.pattern != second.pattern or accents > 40
            same_pattern.append(first.pattern == second.pattern)
            assert abs(luma(first.accent) - luma(first.top)) > 40
            assert abs(luma(second.accent) - luma(second.top)) > 30
    assert 0.1 < np.mean(same_pattern) < 0.35, "most pairs differ in pattern, some in its colour alone"


def test_an_odd_number_of_figures_leaves_one_without_a_twin() -> None:
    scene = build_scene(DemoSettings(figures=5, test_frames=1, width=160, height=96), "test", 0)
    assert len(scene.render(0).boxes) == 5
