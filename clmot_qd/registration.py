"""Everything a configuration can name, registered in mmdet's registries by importing it here.

:mod:`clmot_qd.lazy_registration` imports it at the first look-up in one of them.
"""

from mmdet.registry import MODELS

import clmot_qd.datasets.coco_detection
import clmot_qd.datasets.coco_identity
import clmot_qd.datasets.pair_dataset
import clmot_qd.datasets.samplers
import clmot_qd.datasets.transforms
import clmot_qd.datasets.video_dataset
import clmot_qd.engine
import clmot_qd.evaluation.detection_metric
import clmot_qd.evaluation.tao_metric
import clmot_qd.evaluation.track_eval_metric
import clmot_qd.models
from clmot_qd.trackers import BiSoftmaxTracker, JDETracker, TAOBiSoftmaxTracker

# The trackers know numpy and scipy only, so they cannot register themselves. ``force``: a reload registers again.
MODELS.register_module(module=BiSoftmaxTracker, force=True)
MODELS.register_module(module=JDETracker, force=True)
MODELS.register_module(module=TAOBiSoftmaxTracker, force=True)
