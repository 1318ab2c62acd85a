"""Loading one frame, with a one-line message for a file that is no picture."""

from __future__ import annotations

import cv2
from mmcv.transforms import LoadImageFromFile
from mmdet.registry import TRANSFORMS

from clmot_qd.errors import InputError


@TRANSFORMS.register_module()
class LoadFrame(LoadImageFromFile):
    """mmcv's ``LoadImageFromFile``, except that a bad file is the user's to mend and is named in one line.

    The parent lets through whatever the reader raises (an assertion, an OpenCV error without the path, a file error),
    and takes an image whose size contradicts the annotation file: boxes of a picture that was resized, or turned by
    its EXIF orientation, would then lie elsewhere. Arguments and keys are the parent's.

    Raises:
        InputError: the file cannot be read as an image, or its size is not the ``width`` x ``height`` that the
            annotation file states (not checked where ``results`` has none, as in inference on arrays).
    """

    def transform(self, results: dict) -> dict | None:
        """Read ``results['img_path']`` into ``img`` (H, W, 3) uint8 BGR, and set ``img_shape`` and ``ori_shape``."""
        path = results["img_path"]
        try:
            loaded = super().transform(results)
        except (OSError, AssertionError, cv2.error) as error:
            reason = "no such file" if isinstance(error, FileNotFoundError) else "missing, damaged or no image"
            raise InputError(f"{path}: cannot be read ({reason}): replace it or take it out of ann_file") from error
        if loaded is not None:
            _check_size(loaded)
        return loaded


def _check_size(results: dict) -> None:
    height, width = results["ori_shape"]
    stated = results.get("width", width), results.get("height", height)
    if stated != (width, height):
        raise InputError(
            f"{results['img_path']}: the image is {width}x{height}, but ann_file says {stated[0]}x{stated[1]}: "
            "correct width and height there (and the boxes, if they belong to another size)"
        )
