"""Clips of detections for the properties of trackers: crowds, look-alikes, coincident boxes, gaps, empty frames."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import hypothesis.strategies as st
import numpy as np

from clmot_qd.trackers import BiSoftmaxTracker, JDETracker, TAOBiSoftmaxTracker

Tracker = Any
Make = Callable[[], Tracker]

JDE: dict[str, Make] = {
    "jde": JDETracker,
    "jde, appearance alone": lambda: JDETracker(motion_weight=0, lost_frames=3),
    "jde, motion alone": lambda: JDETracker(motion_weight=1, smooth_boxes=False),
    "jde, low scores": lambda: JDETracker(conf_thr=0.6, init_thr=0.7, low_conf_thr=0.1, per_class=False),
    "jde, sure": lambda: JDETracker(conf_thr=0.1, confirm_frames=3, lost_frames=0, duplicate_thr=0.8),
}
BISOFTMAX: dict[str, Make] = {
    "bisoftmax": BiSoftmaxTracker,
    "cosine": lambda: BiSoftmaxTracker(match_metric="cosine", remove_duplicates=False, memo_backdrop_frames=0),
    "softmax": lambda: BiSoftmaxTracker(match_metric="softmax", temperature=0.1, init_score_thr=0.3, with_cats=False),
    "all cues": lambda: BiSoftmaxTracker(iou_weight=1, motion="kalman", low_score_thr=0.1, confirm_frames=2),
    "overlap alone": lambda: BiSoftmaxTracker(
        appearance_weight=0, iou_weight=1, motion="kalman", low_score_thr=0.1, match_score_thr=0.2, init_score_thr=0.2
    ),
    "tao": TAOBiSoftmaxTracker,
    "tao, strict": lambda: TAOBiSoftmaxTracker(score_diff_thr=0.3, with_cats=False, match_with_cosine=False),
}
ALL = JDE | BISOFTMAX


class Frame(NamedTuple):
    """What one ``update`` is given."""

    bboxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    embeds: np.ndarray
    frame_id: int

    @property
    def rows(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        return self.bboxes, self.scores, self.labels, self.embeds

    def select(self, rows: np.ndarray) -> Frame:
        return Frame(*(values[rows] for values in self.rows), self.frame_id)


Clip = list[Frame]


@st.composite
def clips(
    draw: st.DrawFn, distinct: bool = False, steps: tuple[int, ...] = (1, 1, 1, 2, 8, 40), first: int = 0
) -> Clip:
    """Objects that move, hide, stay away, and false alarms between them.

    ``distinct``: no two boxes, scores or looks are equal, so that nothing is decided by a tie.
    """
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    objects, frames = draw(st.integers(0, 7)), draw(st.integers(1, 14))
    seen, noise = draw(st.sampled_from([0.5, 0.85, 1.0])), draw(st.sampled_from([0.01, 0.2, 1.0]))
    spread = draw(st.sampled_from([20, 120, 600]))
    looks, centres, speeds = (
        rng.standard_normal((objects, 4)),
        rng.uniform(0, spread, (objects, 2)),
        rng.normal(0, 4, (objects, 2)),
    )
    halves, labels = rng.uniform(5, 60, (objects, 2)), rng.integers(0, 2, objects)
    ties = not distinct and draw(st.booleans())
    precision = draw(st.sampled_from([np.float32, np.float64]))
    clip, frame_id = [], first
    for _ in range(frames):
        here, alarms = np.flatnonzero(rng.random(objects) < seen), int(rng.integers(0, 3))
        if draw(st.integers(0, 6)) == 6:
            here, alarms = here[:0], 0
        centre = np.vstack((centres[here] + rng.normal(0, 1, (len(here), 2)), rng.uniform(0, spread, (alarms, 2))))
        half = np.vstack((halves[here], rng.uniform(5, 60, (alarms, 2))))
        vectors = np.vstack((looks[here] + rng.normal(0, noise, (len(here), 4)), rng.standard_normal((alarms, 4))))
        scores = rng.uniform(0.02, 1, len(centre))
        if ties:
            centre, half, vectors, scores = (tied(rng, values) for values in (centre, half, vectors, scores))
        frame = (
            np.hstack((centre - half, centre + half)),
            scores,
            np.concatenate((labels[here], rng.integers(0, 2, alarms))),
        )
        clip.append(Frame(*frame, vectors.astype(precision), frame_id))
        step = draw(st.sampled_from(steps))
        centres, frame_id = centres + speeds * min(step, 8), frame_id + step
    return clip


def tied(rng: np.random.Generator, values: np.ndarray) -> np.ndarray:
    """Some rows become copies of the first, and some (of looks and scores that is allowed) become round numbers."""
    values = values.copy()
    values[rng.random(len(values)) < 0.5] = values[:1]
    return values


def run(tracker: Tracker, clip: Clip) -> list[Any]:
    return [tracker.update(*frame) for frame in clip]


def living(tracker: Tracker) -> np.ndarray:
    """The ids that the tracker still remembers, shown or not."""
    return tracker._state.ids if isinstance(tracker, JDETracker) else tracker._memory.ids


def assert_same(found: Any, expected: Any, exactly: bool = True) -> None:
    for name, values in vars(expected).items():
        if exactly or values.dtype.kind == "i":
            np.testing.assert_array_equal(getattr(found, name), values, err_msg=name)
        else:
            np.testing.assert_allclose(getattr(found, name), values, atol=1e-3, rtol=1e-5, err_msg=name)
