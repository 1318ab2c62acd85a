"""Scores of tracks: HOTA, CLEAR and Identity by trackeval, CLEAR and Identity by py-motmetrics as second opinion.

The metric for mmengine's test loop is :class:`clmot_qd.evaluation.track_eval_metric.TrackEvalMetric`; it stands apart
because it needs mmdet, while everything here needs numpy and scipy alone.
"""

from .evaluate import TrackScores, evaluate_tracks
from .ground_truth import GroundTruth, SequenceTruth, read_cocovid, read_mot_root
from .mots_truth import read_mots_root
from .protocols import IOU_TYPES, MOT_DISTRACTORS, PROTOCOLS, Protocol
from .result_files import read_results, read_truth, write_results

__all__ = [
    "IOU_TYPES",
    "MOT_DISTRACTORS",
    "PROTOCOLS",
    "GroundTruth",
    "Protocol",
    "SequenceTruth",
    "TrackScores",
    "evaluate_tracks",
    "read_cocovid",
    "read_mot_root",
    "read_mots_root",
    "read_results",
    "read_truth",
    "write_results",
]
