"""Everything a configuration can name, registered in mmdet's registries by importing it here."""

from mmdet.registry import MODELS

from clmot_qd.trackers import JDETracker

# The trackers know numpy and scipy only, so they cannot register themselves. ``force``: a reload registers again.
MODELS.register_module(module=JDETracker, force=True)
