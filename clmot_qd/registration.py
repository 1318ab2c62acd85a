"""Everything a configuration can name, registered in mmdet's registries by importing it here."""

from mmdet.registry import MODELS
from mmengine.config.utils import MODULE2PACKAGE

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
from clmot_qd.checkpoints import allow_log_history
from clmot_qd.trackers import BiSoftmaxTracker, JDETracker, TAOBiSoftmaxTracker

# The trackers know numpy and scipy only, so they cannot register themselves. ``force``: a reload registers again.
MODELS.register_module(module=BiSoftmaxTracker, force=True)
MODELS.register_module(module=JDETracker, force=True)
MODELS.register_module(module=TAOBiSoftmaxTracker, force=True)

# Without it the stock --resume cannot read a stock checkpoint on torch 2.6 and later.
allow_log_history()

# Lets a configuration inherit from a packaged one: _base_ = "clmot_qd::clmot/clmot_dla34_40e_mot17.py". mmengine knows
# the OpenMMLab packages alone, so this works once the package is imported, as its own commands do.
MODULE2PACKAGE.setdefault("clmot_qd", "clmot_qd")
