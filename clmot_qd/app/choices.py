"""The trackers that a visitor can choose, and the few settings that the page shows of each.

What a visitor sends are a choice and three values; the arguments of trackers come from here and the operator's
configuration alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from clmot_qd.errors import InputError

OWN, JDE, BISOFTMAX, COSINE, BYTE, OCSORT = "own", "jde", "bisoftmax", "cosine", "bytetrack", "oc-sort"
TITLES = {
    OWN: "Recommended",
    JDE: "JDE: Kalman motion and appearance",
    BISOFTMAX: "Bi-softmax: appearance, each must prefer the other",
    COSINE: "Cosine: appearance, the most alike",
    BYTE: "ByteTrack: motion, in two rounds of scores",
    OCSORT: "OC-SORT: motion, corrected after gaps",
}
STOCK = (BYTE, OCSORT)
"""mmdet's; they need the package lap."""

APPEARANCE, BOTH, MOTION = "appearance", "appearance and position", "position alone"
_CUES_OF = {"JDETracker": (BOTH, MOTION), "BiSoftmaxTracker": (APPEARANCE, BOTH, MOTION)}
# Weights of BiSoftmaxTracker, as in the rows of QDTrack's Table 5.
_WEIGHTS: dict[str, dict[str, Any]] = {
    APPEARANCE: dict(appearance_weight=1.0, iou_weight=0.0, motion=None),
    BOTH: dict(appearance_weight=1.0, iou_weight=1.0, motion="kalman"),
    MOTION: dict(appearance_weight=0.0, iou_weight=1.0, motion="kalman"),
}
_SCORE = {"JDETracker": "conf_thr", "BiSoftmaxTracker": "init_score_thr", "OCSORTTracker": "obj_score_thr"}
_SCORE_DEFAULT = {"JDETracker": 0.4, "BiSoftmaxTracker": 0.8, "ByteTracker": 0.6, "OCSORTTracker": 0.3}
_SCORE_MEANING = {
    "JDETracker": "Least score of a detection that is used.",
    "BiSoftmaxTracker": "Least score of a detection that begins a track.",
    "ByteTracker": "Least score of a detection that is used in the first round; weaker ones can only continue tracks.",
    "OCSORTTracker": "Least score of a detection that is used.",
}
_FRAMES = {"JDETracker": "lost_frames", "BiSoftmaxTracker": "memo_tracklet_frames"}
_FRAMES_DEFAULT = {"JDETracker": 30, "BiSoftmaxTracker": 10}
_STOCK_FRAMES, _STOCK_FRAMES_DEFAULT = "num_frames_retain", 30
MOST_FRAMES = 1000


@dataclass(frozen=True)
class Settings:
    """What a visitor chooses of a tracker; None: there is no such setting, or it stays as it is.

    Attributes:
        score_thr: Least score of a detection, see :func:`score_meaning`.
        lost_frames: Frames for which a track that is not seen is remembered.
        cues: ``APPEARANCE``, ``BOTH`` or ``MOTION``: what a detection and a track are compared by.
    """

    score_thr: float | None = None
    lost_frames: int | None = None
    cues: str | None = None


@dataclass(frozen=True)
class ChosenTracker:
    """A tracker to build.

    Attributes:
        config: Its class under ``type``, and its arguments.
        with_embeds: Whether it is given embeddings.
        unchanged: It is the configuration's own in every respect.
    """

    config: dict[str, Any]
    with_embeds: bool
    unchanged: bool


def offered_trackers() -> tuple[str, ...]:
    """The choices that can run here."""
    return tuple(kind for kind in TITLES if kind not in STOCK or find_spec("lap") is not None)


def offered_cues(own: Mapping[str, Any], kind: str, temperature: float | None = None) -> tuple[str, ...]:
    """What the choice's tracker can compare by; empty where there is nothing to choose."""
    return _CUES_OF.get(_started(own, kind, temperature)["type"], ())


def score_meaning(own: Mapping[str, Any], kind: str, temperature: float | None = None) -> str:
    """What the score threshold of a choice's tracker does, in words."""
    return _SCORE_MEANING.get(_started(own, kind, temperature)["type"], "")


def least_frames(own: Mapping[str, Any], kind: str, temperature: float | None = None) -> int:
    """The shortest memory of lost tracks that a choice's tracker can have."""
    return int(_started(own, kind, temperature)["type"] == "BiSoftmaxTracker")


def default_settings(own: Mapping[str, Any], kind: str, temperature: float | None = None) -> Settings:
    """The settings that a choice begins with.

    Args:
        own: The tracker of the operator's configuration.
        kind: One of ``TITLES``.
        temperature: See :func:`choose_tracker`.
    """
    return _settings_of(_started(own, kind, temperature))


def choose_tracker(
    own: Mapping[str, Any], kind: str, settings: Settings, temperature: float | None = None
) -> ChosenTracker:
    """The tracker that a visitor chose.

    Args:
        own: The tracker of the operator's configuration.
        kind: One of ``TITLES``.
        settings: Values that are None leave the tracker as it begins.
        temperature: Of the bi-softmax over embeddings of unit length; None: over dot products.

    Raises:
        InputError: An unknown choice, one that cannot run here, or a value out of its range.
    """
    if kind not in offered_trackers():
        raise InputError("this tracker is not offered here: choose one of the list")
    started = _started(own, kind, temperature)
    begun = _settings_of(started)
    _check(settings, offered_cues(own, kind, temperature), least_frames(own, kind, temperature))
    changed = _changed(started, begun, settings)
    by_motion = started["type"] == "JDETracker" and settings.cues == MOTION
    return ChosenTracker(changed, not by_motion, unchanged=changed == dict(own) and not by_motion)


def _started(own: Mapping[str, Any], kind: str, temperature: float | None) -> dict[str, Any]:
    """A tracker before a visitor changes it; thresholds follow the configuration's own, which knows its detector."""
    begun = _settings_of(own)
    score = 0.5 if begun.score_thr is None else begun.score_thr
    frames = _STOCK_FRAMES_DEFAULT if begun.lost_frames is None else begun.lost_frames
    if kind == OWN or (kind == JDE and own["type"] == "JDETracker"):
        return dict(own)
    if kind == JDE:
        return dict(type="JDETracker", conf_thr=score, lost_frames=frames)
    if kind in (BISOFTMAX, COSINE):
        return _bisoftmax(own, kind, score, frames, temperature)
    begin = min(score + 0.1, 1.0)  # motion alone follows false detections more easily than it follows looks
    shared = dict(motion=dict(type="KalmanFilter"), init_track_thr=begin, num_frames_retain=frames)
    if kind == BYTE:
        thresholds = dict(high=score, low=min(0.1, score))
        overlaps = dict(high=0.1, low=0.5, tentative=0.3)
        return dict(type="ByteTracker", obj_score_thrs=thresholds, match_iou_thrs=overlaps, **shared)
    return dict(type="OCSORTTracker", obj_score_thr=score, match_iou_thr=0.3, **shared)


def _bisoftmax(
    own: Mapping[str, Any], kind: str, score: float, frames: int, temperature: float | None
) -> dict[str, Any]:
    metric = "cosine" if kind == COSINE else "bisoftmax"
    if own["type"] == "BiSoftmaxTracker":
        temperature = own.get("temperature", temperature)
        kept = {**own, "match_metric": metric}
    else:
        # Such a tracker shows a track from its first detection on, so that a new one needs a higher score.
        thresholds = dict(init_score_thr=min(score + 0.1, 1.0), obj_score_thr=score)
        kept = dict(type="BiSoftmaxTracker", match_metric=metric, memo_tracklet_frames=max(frames, 1), **thresholds)
    kept.pop("temperature", None)
    return kept if temperature is None or kind == COSINE else {**kept, "temperature": temperature}


def _settings_of(tracker: Mapping[str, Any]) -> Settings:
    """What the page shows of a tracker; nothing of one that it does not know."""
    name = tracker["type"]
    if name not in _SCORE_DEFAULT:
        return Settings()
    frames = tracker.get(_FRAMES.get(name, _STOCK_FRAMES), _FRAMES_DEFAULT.get(name, _STOCK_FRAMES_DEFAULT))
    score = tracker.get("obj_score_thrs", {}).get("high") if name == "ByteTracker" else tracker.get(_SCORE[name])
    return Settings(_SCORE_DEFAULT[name] if score is None else score, frames, _cues_of(tracker))


def _cues_of(tracker: Mapping[str, Any]) -> str | None:
    if tracker["type"] == "JDETracker":
        return BOTH
    if tracker["type"] != "BiSoftmaxTracker":
        return None
    if not tracker.get("appearance_weight", 1.0):
        return MOTION
    return BOTH if tracker.get("iou_weight", 0.0) else APPEARANCE


def _check(settings: Settings, cues: Sequence[str], least: int) -> None:
    score, frames = settings.score_thr, settings.lost_frames
    if score is not None and not 0 <= score <= 1:
        raise InputError(f"the score threshold is {score}: it must lie between 0 and 1")
    if frames is not None and not least <= frames <= MOST_FRAMES:
        raise InputError(f"lost tracks are kept for {frames} frames: it must be {least} to {MOST_FRAMES}")
    if settings.cues is not None and settings.cues not in cues:
        raise InputError("this tracker does not compare in that way: choose one of the list")


def _changed(tracker: dict[str, Any], begun: Settings, wanted: Settings) -> dict[str, Any]:
    """The tracker with those values that differ from what it begins with."""
    name, changed = tracker["type"], dict(tracker)
    if name not in _SCORE_DEFAULT:
        return changed  # the page hides settings that it does not know, and sends some value
    if wanted.score_thr is not None and wanted.score_thr != begun.score_thr:
        changed |= _with_score(tracker, wanted.score_thr)
    if wanted.lost_frames is not None and wanted.lost_frames != begun.lost_frames:
        changed[_FRAMES.get(name, _STOCK_FRAMES)] = wanted.lost_frames
    if wanted.cues is not None and wanted.cues != begun.cues and name == "BiSoftmaxTracker":
        changed |= _WEIGHTS[wanted.cues]
    return changed


def _with_score(tracker: Mapping[str, Any], score: float) -> dict[str, Any]:
    """Arguments for another least score; thresholds that must lie above or below it go along."""
    name = tracker["type"]
    if name == "JDETracker":
        others = {"init_thr": max, "low_conf_thr": min}
    elif name == "BiSoftmaxTracker":
        others = {"obj_score_thr": min}
    else:
        others = {"init_track_thr": max}
    moved = {key: pick(tracker[key], score) for key, pick in others.items() if tracker.get(key) is not None}
    if name == "ByteTracker":
        low = min(tracker["obj_score_thrs"]["low"], score)
        return {**moved, "obj_score_thrs": dict(high=score, low=low)}
    return {**moved, _SCORE[name]: score}
