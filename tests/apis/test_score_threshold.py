"""One threshold for every tracker of ours, and the detector's limit below it."""

from __future__ import annotations

import pytest

from clmot_qd.apis.running import load_config
from clmot_qd.apis.score_threshold import score_options
from clmot_qd.errors import InputError


@pytest.mark.parametrize(
    ("name", "threshold", "expected"),
    [
        ("clmot_tiny_demo", 0.3, {"model.tracker.conf_thr": 0.3}),
        ("clmot_tiny_demo", 0.02, {"model.tracker.conf_thr": 0.02, "model.detector.test_cfg.score_thr": 0.02}),
        ("qdtrack_tiny_demo", 0.3, {"model.tracker.init_score_thr": 0.3, "model.tracker.obj_score_thr": 0.3}),
        (
            "qdtrack_tiny_demo",
            0.02,
            {
                "model.tracker.init_score_thr": 0.02,
                "model.tracker.obj_score_thr": 0.02,
                "model.detector.test_cfg.rcnn.score_thr": 0.02,
            },
        ),
    ],
)
def test_keys_of_each_tracker(name: str, threshold: float, expected: dict[str, float]) -> None:
    assert score_options(load_config(name), threshold) == expected
    assert load_config(name, expected).model.tracker.type  # the keys exist


def test_stock_trackers_are_sent_to_their_own_keys() -> None:
    with pytest.raises(InputError, match="ByteTracker"):
        score_options(load_config("clmot_dla34_bytetrack_40e_mot17-half"), 0.3)
