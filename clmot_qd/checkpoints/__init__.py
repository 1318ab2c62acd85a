"""Checkpoints: files read safely, other projects' key names turned into ours, and what fits a model and what does not.

Our keys, of both models: ``detector.*``, as mmdet names the parts of a detector. ``QuasiDenseMOT`` adds
``track_head.embed_head.*``: the keys of mmdet's and MMTracking's QDTrack are ours as they stand.
"""

from clmot_qd.checkpoints.adapting import adapt_to_model, install_foreign_keys_hook, rename_foreign
from clmot_qd.checkpoints.fitting import FitReport, compare_with_model
from clmot_qd.checkpoints.reading import Checkpoint, read_checkpoint, read_state_dict
from clmot_qd.checkpoints.sources import OURS, SOURCES, convert_state_dict, is_detector_alone, recognise_source
from clmot_qd.checkpoints.unpickling import allow_log_history, load_safely_in, trust_checkpoints

__all__ = [
    "OURS",
    "SOURCES",
    "Checkpoint",
    "FitReport",
    "adapt_to_model",
    "allow_log_history",
    "compare_with_model",
    "convert_state_dict",
    "install_foreign_keys_hook",
    "is_detector_alone",
    "load_safely_in",
    "read_checkpoint",
    "read_state_dict",
    "recognise_source",
    "rename_foreign",
    "trust_checkpoints",
]
