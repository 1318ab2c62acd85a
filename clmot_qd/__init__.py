"""clmot_qd: multi-object tracking with contrastive appearance features, as an MMDetection plugin.

Importing it lets mmdet's registries find everything in it, so a configuration needs one line:
``custom_imports = dict(imports=['clmot_qd'])``. It takes milliseconds, since mmdet, mmcv and torch are imported when a
registry is used, not before; ``clmot_qd.trackers``, the readers and the evaluation never need them.
"""

from clmot_qd.lazy_registration import register_on_use

__version__ = "0.7.0"

register_on_use()
