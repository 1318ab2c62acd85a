"""From a key frame in its video to the key/reference pair that shares an object with it."""

from __future__ import annotations

from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform
from mmdet.registry import TRANSFORMS

from clmot_qd.errors import InputError

from .two_view import collate_views


@TRANSFORMS.register_module()
class ReferenceFrame(BaseTransform):
    """Picks the reference of a key frame, uniformly among its neighbours that show one of its objects.

    QDTrack, Sec. 3.2: "we randomly select a reference image from its temporal neighborhood", within k frames. A pair
    without a common object teaches the embeddings nothing; mmdet 3.3 (``UniformRefFrameSample``) trains on them all the
    same. Where no neighbour has a common object the result is None, for which data sets take another key frame. A
    video of one frame is a still image, and is its own reference.

    Input: what :class:`CocoPairDataset` gives: ``images`` (the frames of the video), ``key_frame_id`` (position of the
    key), ``video_id``. Output: every key of the frames as a list ``[key, ref]``, ``key_frame_flags`` = [True, False].

    Args:
        frame_range: the reference is at most so many annotated frames away: 3 in the paper and on BDD100K, 10 on MOT17
            and 1 on TAO in the release.

    Raises:
        InputError: ``frame_range`` below 1, or the data set gives no video.
    """

    def __init__(self, frame_range: int = 3) -> None:
        """Keep the range."""
        if frame_range < 1:
            raise InputError(f"ReferenceFrame: frame_range must be 1 or more, not {frame_range}")
        self.frame_range = frame_range

    def transform(self, results: dict) -> dict[str, list] | None:
        """Pick the reference; see the class."""
        if "images" not in results or "key_frame_id" not in results:
            raise InputError(
                "ReferenceFrame: the data set gives no key frame with its video: use CocoPairDataset "
                "(WithinFrameTwoView is the transform for single images)"
            )
        frames, position = results["images"], results["key_frame_id"]
        key = frames[position]
        ref = self._reference(frames, position, _identities(key))
        if ref is None:
            return None
        sample = collate_views([key, ref])
        length = len(frames)
        sample.update(video_id=[results["video_id"]] * 2, ori_video_length=[length] * 2)
        return sample

    def _reference(self, frames: Any, position: int, identities: set[int]) -> dict | None:
        if len(frames) == 1:
            return frames[position] if identities else None
        first, last = max(0, position - self.frame_range), min(len(frames), position + self.frame_range + 1)
        neighbours = [index for index in range(first, last) if index != position]
        # numpy's global stream is the one that data workers are seeded with.
        for index in np.random.permutation(neighbours):  # noqa: NPY002
            frame = frames[int(index)]
            if identities & _identities(frame):
                return frame
        return None

    def __repr__(self) -> str:
        """Name and argument."""
        return f"{type(self).__name__}(frame_range={self.frame_range})"


@TRANSFORMS.register_module()
class RequireCommonObject(BaseTransform):
    """Lets a pair pass if both views still show a common object, else gives None, for which data sets take another.

    Belongs after the steps that drop objects (crops, affine maps), just before packing. Works on identities as they
    stand in ``gt_instances_ids``, whatever the source of the pair.
    """

    def transform(self, results: dict) -> dict | None:
        """Check; see the class."""
        key, ref = (set(np.asarray(ids)[~np.asarray(ignored, dtype=bool)].tolist()) for ids, ignored in _views(results))
        return results if key & ref else None

    def __repr__(self) -> str:
        """Name."""
        return f"{type(self).__name__}()"


def _views(results: dict) -> list[tuple[Any, Any]]:
    if "gt_instances_ids" not in results or len(results["gt_instances_ids"]) != 2:
        raise InputError("RequireCommonObject: takes two views with identities: put it after the pair is made")
    return list(zip(results["gt_instances_ids"], results["gt_ignore_flags"]))


def _identities(frame: dict) -> set[int]:
    """Identities of the objects of a frame that are not ignored."""
    return {instance["instance_id"] for instance in frame["instances"] if not instance["ignore_flag"]}
