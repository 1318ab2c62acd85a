"""Detection data with global identities: what the supervised baseline (identity classification) reads."""

from __future__ import annotations

from typing import Any, ClassVar

from mmdet.registry import DATASETS

from clmot_qd.errors import InputError

from .coco_checks import IDENTITY_KEYS, UsedKeys
from .coco_detection import CocoDetectionDataset
from .video_dataset import UNKNOWN_IDENTITY

NO_IDENTITY = 0
"""Number of an object that belongs to no identity; ``IdentityClassifier`` leaves it out."""


@DATASETS.register_module()
class CocoIdentityDataset(CocoDetectionDataset):
    """Single frames whose instances carry ``instance_id``, renumbered 1 ... :attr:`num_ids`.

    mmdet's ``CocoDataset`` drops the identities. Here the identities of the objects in use (classes asked for, not
    ignored) get contiguous numbers in the order of their ids in the file, so that id - 1 is a class index for a
    classifier with ``num_ids`` outputs. Read them with ``LoadTrackAnnotations``. The numbers are those of the whole
    file, whatever ``filter_cfg`` or ``indices`` leave.

    Args:
        first_id: number of the first identity; for classification over several concatenated sets, 1 + the identities of
            the sets before this one.
        require_ids: False takes objects without ``instance_id``, of which person search sets such as PRW and CUHK-SYSU
            have many: they get :data:`NO_IDENTITY`, teach the detector and are no class of the classifier.

    Raises:
        InputError: ``require_ids``, and an object in use has no ``instance_id`` (or a negative one); and all of the
            parent's.
    """

    also_read: ClassVar[UsedKeys] = IDENTITY_KEYS

    def __init__(self, *args: Any, first_id: int = 1, require_ids: bool = True, **kwargs: Any) -> None:
        """Take ``first_id`` and ``require_ids``; the rest is the parent's."""
        self.first_id = first_id
        self.require_ids = require_ids
        super().__init__(*args, **kwargs)

    def parse_data_info(self, raw_data_info: dict) -> dict:
        """Parse one image; every instance has the ``instance_id`` of the file."""
        parsed = super().parse_data_info({**raw_data_info, "raw_ann_info": []})
        for annotation in raw_data_info["raw_ann_info"]:
            # One at a time: the parent does not say which annotations it left out.
            kept = super().parse_data_info({**raw_data_info, "raw_ann_info": [annotation]})["instances"]
            for instance in kept:
                identity = UNKNOWN_IDENTITY if instance["ignore_flag"] else self._identity(annotation)
                parsed["instances"].append({**instance, "instance_id": identity})
        return parsed

    def _identity(self, annotation: dict) -> int:
        identity = annotation.get("instance_id")
        if identity is not None and identity >= 0:
            return identity
        if self.require_ids:
            raise InputError(
                f"{self.ann_file}: annotation {annotation['id']} has no instance_id, which identity classification "
                "needs: add identities, set require_ids=False, or train without them (WithinFrameTwoView)"
            )
        return UNKNOWN_IDENTITY

    def load_data_list(self) -> list[dict]:
        """Load all images, renumber the identities and count them."""
        data_list = super().load_data_list()
        instances = [instance for info in data_list for instance in info["instances"]]
        identities = sorted({instance["instance_id"] for instance in instances} - {UNKNOWN_IDENTITY})
        numbers = {identity: number for number, identity in enumerate(identities, start=self.first_id)}
        numbers[UNKNOWN_IDENTITY] = NO_IDENTITY
        for instance in instances:
            instance["instance_id"] = numbers[instance["instance_id"]]
        self.num_ids = len(identities)
        return data_list
