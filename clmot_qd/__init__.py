"""clmot_qd: multi-object tracking with contrastive appearance features, as an MMDetection plugin.

Importing it registers every module in mmdet's registries, so a configuration needs one line:
``custom_imports = dict(imports=['clmot_qd'])``. Without mmdet only the parts that need no network can be used:
``clmot_qd.trackers``, the readers and the evaluation.
"""

from importlib.util import find_spec

__version__ = "0.4.0"

# A check, not a try: an mmdet that is there but broken must say so.
if find_spec("mmdet") is not None:
    from clmot_qd import registration  # noqa: F401
