"""One score threshold for a command line, whatever the tracker and the detector call theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clmot_qd.errors import InputError

if TYPE_CHECKING:
    from mmengine.config import Config

# Arguments of each tracker that say which detections begin and continue tracks.
TRACKER_ARGUMENTS = {
    "JDETracker": ("conf_thr",),
    "BiSoftmaxTracker": ("init_score_thr", "obj_score_thr"),
    "TAOBiSoftmaxTracker": ("init_score_thr", "obj_score_thr"),
}


def score_options(config: Config, threshold: float) -> dict[str, float]:
    """Keys of ``config`` to change so that detections above ``threshold`` are tracked and others are not.

    The detector's own limit goes down with it where it would drop them beforehand.

    Raises:
        InputError: The tracker is not one of ours; its thresholds mean other things.
    """
    tracker = (config.model.get("tracker") or {}).get("type")
    if tracker not in TRACKER_ARGUMENTS:
        raise InputError(
            f"--conf-thr: {tracker} has no single score threshold: give --cfg-options model.tracker.KEY=VALUE instead"
        )
    options = {f"model.tracker.{argument}": threshold for argument in TRACKER_ARGUMENTS[tracker]}
    rules: dict[str, Any] = config.model.detector.get("test_cfg") or {}
    place = "model.detector.test_cfg." + ("rcnn." if "rcnn" in rules else "")
    limit = rules.get("rcnn", rules).get("score_thr", 0.0)
    if limit > threshold:
        options[place + "score_thr"] = threshold
    return options
