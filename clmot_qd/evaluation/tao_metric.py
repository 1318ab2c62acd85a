"""The metric of the test loop for TAO: track mAP at 3D IoU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mmdet.registry import METRICS
from mmengine.logging import print_log

from clmot_qd.datasets.mot_text import MotTable
from clmot_qd.errors import InputError
from clmot_qd.evaluation.formats.registry import with_class
from clmot_qd.evaluation.track_eval_metric import TrackEvalMetric
from clmot_qd.evaluation.track_map import MAX_DETECTIONS, evaluate_track_map
from clmot_qd.evaluation.track_map_scores import TrackMapScores


@METRICS.register_module()
class TrackMapMetric(TrackEvalMetric):
    """Track mAP, see :func:`clmot_qd.evaluation.track_map.evaluate_track_map`.

    Samples, frames and files are the parent's. What differs: the numbers; all classes of the model that the annotation
    file lists are collected and written, since all of them share TAO's limit of predictions per image.

    Args:
        ann_file: CocoVID annotation file. Its videos may have ``neg_category_ids`` and ``not_exhaustive_category_ids``.
        classes: Names of the classes to score; None takes all that have boxes in ``ann_file``.
        max_detections: Best predictions of an image that count; TAO's number is 300, 0 takes all.
        out_dir: Folder for the result files and metrics.json; None writes nothing.
        format_only: Write the result files and score nothing.
        out_format: As in the parent.
        collect_device: See ``mmengine.evaluator.BaseMetric``, like the next two.
        prefix: Put before all keys; default ``track``. For the keys see
            :meth:`~clmot_qd.evaluation.track_map_scores.TrackMapScores.flat`.
        collect_dir: Folder that all machines share, for results of several processes; None takes the network.

    Raises:
        InputError: An argument or the file is wrong.
    """

    def __init__(
        self,
        ann_file: str,
        classes: Sequence[str] | None = None,
        max_detections: int = MAX_DETECTIONS,
        out_dir: str | None = None,
        format_only: bool = False,
        out_format: str | Sequence[str] = "tao",
        collect_device: str = "cpu",
        prefix: str | None = None,
        collect_dir: str | None = None,
    ) -> None:
        """Read the ground truth and check everything that can be checked without predictions."""
        self.scored_classes = None if classes is None else tuple(classes)
        self.max_detections = max_detections
        super().__init__(
            ann_file,
            classes=None,
            distractors=(),
            backends=("trackeval",),
            out_dir=out_dir,
            format_only=format_only,
            collect_device=collect_device,
            prefix=prefix,
            collect_dir=collect_dir,
            protocol="plain",
            out_format=out_format,
        )
        if max_detections < 0:
            raise InputError(f"TrackMapMetric: max_detections is {max_detections}; it must be 0 (no limit) or greater")

    @property
    def dataset_meta(self) -> dict | None:
        """Meta information of the data set; its ``classes`` say what the labels of predictions mean."""
        return self._dataset_meta

    @dataset_meta.setter
    def dataset_meta(self, dataset_meta: dict | None) -> None:
        self._dataset_meta = dataset_meta
        known = self._label_names()
        for name in self.scored_classes or ():
            if name not in known:
                raise InputError(f"TrackMapMetric: classes has {name!r}, but the model's are {', '.join(known)}")
        if not set(known) & set(self.truth.categories):
            raise InputError(f"{self.truth.source}: none of the model's classes is listed: {', '.join(known)}")

    def _all_classes(self, format_only: bool) -> tuple[str, ...]:
        return tuple(self.truth.categories)

    def _check_truth(self) -> None:
        self.truth.require_scorable(
            self.truth.occurring_classes() if self.scored_classes is None else self.scored_classes
        )

    def _score(self, tracks: Mapping[str, MotTable]) -> TrackMapScores:
        if len(self.classes) == 1:
            tracks = with_class(tracks, self.truth.categories[self.classes[0]])
        return evaluate_track_map(
            self.truth,
            tracks,
            self.scored_classes,
            self.max_detections,
            progress=lambda line: print_log(line, logger="current"),
        )
