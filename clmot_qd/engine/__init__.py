"""What hooks into mmengine's training, validation and test loops."""

from .checkpoint_hook import WholeCheckpointHook
from .epoch_loop import ResumableEpochLoop
from .exact_resume_hook import ExactResumeHook
from .finite_loss_hook import FiniteLossHook
from .rejected_detections_hook import RejectedDetectionsHook
from .visualization_hook import TrackingVisualizationHook

__all__ = [
    "ExactResumeHook",
    "FiniteLossHook",
    "RejectedDetectionsHook",
    "ResumableEpochLoop",
    "TrackingVisualizationHook",
    "WholeCheckpointHook",
]
