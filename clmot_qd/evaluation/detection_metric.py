"""The metric of the test loop for boxes: average precision over the classes that really occur."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from logging import WARNING
from pathlib import Path
from typing import Any

import numpy as np
from mmdet.registry import METRICS
from mmengine.logging import print_log

from clmot_qd.errors import InputError
from clmot_qd.evaluation.detection_ap import Detections, detection_ap, read_detection_truth
from clmot_qd.evaluation.gathering import GatheringMetric
from clmot_qd.evaluation.track_eval_metric import to_numpy
from clmot_qd.geometry import xyxy_to_xywh


@METRICS.register_module()
class VideoDetectionMetric(GatheringMetric):
    """COCO's AP of the detections in video frames or still pictures.

    What differs from mmdet's ``CocoVideoMetric``: only classes that the model knows **and** that have a box in the
    annotation file are averaged (there, MOT17's 13 classes count although a model knows pedestrians alone); label i is
    ``metainfo.classes[i]`` whatever the order of the file; ``ignore`` counts like ``iscrowd``; every frame counts once,
    however many a sample holds and however often a sampler gives it out; percentages, not rounded.

    A data sample is a ``TrackDataSample`` with any number of frames, or a ``DetDataSample`` (objects or dicts), with
    ``pred_instances`` (``bboxes (n, 4)`` xyxy in pixels of the original image, ``scores (n,)``, ``labels (n,)``) and
    ``img_id`` in the metainfo.

    Args:
        ann_file: COCO or CocoVID annotation file.
        classes: Names of the classes to average; None takes the model's. Those without a box are left out.
        max_detections: Best detections of an image and class that count; 100 is COCO's number, crowds need more.
        out_file: JSON file for all numbers; None writes nothing.
        collect_device: See ``mmengine.evaluator.BaseMetric``, like the next two.
        prefix: Put before all keys; default ``detection``. Keys: ``AP``, ``AP50``, ``AP75``, ``AP_s``, ``AP_m``,
            ``AP_l``, ``AR``, and with several classes ``NAME/AP`` and so on.
        collect_dir: Folder that all machines share, for results of several processes; None takes the network.

    Raises:
        InputError: An argument or the file is wrong.
    """

    default_prefix = "detection"

    def __init__(
        self,
        ann_file: str,
        classes: Sequence[str] | None = None,
        max_detections: int = 100,
        out_file: str | None = None,
        collect_device: str = "cpu",
        prefix: str | None = None,
        collect_dir: str | None = None,
    ) -> None:
        """Read the annotation file and check what can be checked without detections."""
        super().__init__(collect_device, prefix, collect_dir)
        self.truth = read_detection_truth(ann_file)
        self.classes = None if classes is None else tuple(classes)
        self.truth.occurring(tuple(self.truth.categories) if self.classes is None else self.classes)
        if max_detections < 1:
            raise InputError(f"VideoDetectionMetric: max_detections is {max_detections}; it must be at least 1")
        self.max_detections = max_detections
        self.out_file = None if out_file is None else Path(out_file)
        self._warned = False

    @property
    def dataset_meta(self) -> dict | None:
        """Meta information of the data set; its ``classes`` say what the labels mean."""
        return self._dataset_meta

    @dataset_meta.setter
    def dataset_meta(self, dataset_meta: dict | None) -> None:
        self._dataset_meta = dataset_meta
        known = self._label_names()
        self.truth.occurring(known)
        for name in self.classes or ():
            if name not in known:
                raise InputError(f"VideoDetectionMetric: classes has {name!r}, but the model's are {', '.join(known)}")

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Keep (image, boxes, scores, classes) of every frame.

        Raises:
            InputError: An image that the annotation file does not have, a label that is no class.
        """
        for sample in data_samples:
            for frame in _frames(sample):
                image = int(_get(frame, "img_id"))
                if image not in self.truth.image_ids:
                    what = f"detections in image {image}, which the file does not have"
                    raise InputError(f"{self.truth.source}: {what}; test on the data that ann_file describes")
                self.results.append((image, self._read(frame, image)))

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Score, print the table, write the file; of a frame that was tested twice the first result counts."""
        found: dict[int, Detections] = {}
        for image, detections in results:
            found.setdefault(image, detections)
        scores = detection_ap(self.truth, found, self.classes or self._label_names(), self.max_detections)
        print_log(f"\n{scores.table()}", logger="current")
        if self.out_file is not None:
            scores.write_json(self.out_file)
            print_log(f"written to {self.out_file}", logger="current")
        return scores.flat()

    def _label_names(self) -> Sequence[str]:
        names = (self._dataset_meta or {}).get("classes") or self.classes
        return names if names is not None else tuple(self.truth.categories)

    def _read(self, frame: Any, image: int) -> Detections:
        found = _get(frame, "pred_instances")
        if not list(found.keys()):  # what some models leave of a frame without detections
            return Detections(np.empty((0, 4)), np.empty(0), np.empty(0, np.int64))
        corners, scores = (to_numpy(_get(found, key)).astype(np.float64) for key in ("bboxes", "scores"))
        names, labels = self._label_names(), to_numpy(_get(found, "labels")).astype(np.int64)
        if len(labels) and not 0 <= labels.min() <= labels.max() < len(names):
            place = f"{self.truth.source}: image {image}"
            raise InputError(f"{place}: a label is not in 0..{len(names) - 1}; the classes are {', '.join(names)}")
        numbers = np.array([self.truth.categories[name] for name in names], dtype=np.int64)[labels]
        good = np.isfinite(scores) & np.isfinite(corners).all(axis=1) & (corners[:, 2:] > corners[:, :2]).all(axis=1)
        self._warn(good, image)
        bboxes = xyxy_to_xywh(corners)
        return Detections(bboxes[good], scores[good], numbers[good])

    def _warn(self, good: np.ndarray, image: int) -> None:
        if not good.all() and not self._warned:
            self._warned = True
            line = f"image {image}: a detection is not finite or has no area; such boxes are left out"
            print_log(line, logger="current", level=WARNING)


def _frames(sample: Any) -> Iterable[Any]:
    """Return the frames of a sample: those of a video, or the picture itself."""
    frames = _look_up(sample, "video_data_samples")
    return [sample] if frames is None else frames


def _look_up(item: Any, key: str) -> Any:
    return item.get(key) if isinstance(item, Mapping) else getattr(item, key, None)


def _get(item: Any, key: str) -> Any:
    """Return a field of a data sample, be it an object or a dictionary."""
    value = _look_up(item, key)
    if value is None:
        raise InputError(f"VideoDetectionMetric: a data sample has no {key}; it needs a model that detects boxes")
    return value
