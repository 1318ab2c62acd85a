"""Plain detection data: what training without identity labels reads."""

from __future__ import annotations

from mmdet.datasets import CocoDataset
from mmdet.registry import DATASETS

from .coco_checks import CheckedAnnotations


@DATASETS.register_module()
class CocoDetectionDataset(CheckedAnnotations, CocoDataset):
    """mmdet's ``CocoDataset`` with the checks of :class:`CheckedAnnotations`; identity labels are not read.

    A CocoVID file is a COCO file too: its frames are the images.

    Args:
        check_files: see :class:`CheckedAnnotations`. Everything else is the parent's.

    Raises:
        InputError: a mistake in ``ann_file``, ``metainfo.classes`` or ``data_prefix``, when the data set is built.
    """

    def load_data_list(self) -> list[dict]:
        """Load as the parent does, then check that the image files are there."""
        data_list = super().load_data_list()
        self._check_files(info["img_path"] for info in data_list)
        return data_list
