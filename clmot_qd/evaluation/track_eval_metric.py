"""The metric of the test loop: collects the tracks of all frames, scores them at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from logging import WARNING
from pathlib import Path
from typing import Any

import numpy as np
from mmdet.registry import METRICS
from mmengine.logging import print_log

from clmot_qd.datasets.mot_text import (
    BoolArray,
    FloatArray,
    IntArray,
    MotTable,
    empty_table,
    find_duplicate,
    join_tables,
    make_table,
)
from clmot_qd.errors import InputError
from clmot_qd.evaluation.backends import require_backends
from clmot_qd.evaluation.evaluate import evaluate_tracks
from clmot_qd.evaluation.formats.registry import FORMATS, require_formats, write_results_in
from clmot_qd.evaluation.gathering import GatheringMetric
from clmot_qd.evaluation.ground_truth import read_cocovid
from clmot_qd.evaluation.mask_tables import Repairs, require_same_size
from clmot_qd.evaluation.protocols import get_protocol, require_iou_type
from clmot_qd.evaluation.scores import TrackScores
from clmot_qd.evaluation.track_map_scores import TrackMapScores
from clmot_qd.geometry import xyxy_to_xywh
from clmot_qd.masks import RleMasks, make_disjoint

_BITMAP_DIMS = 3
_LEAST_SIDE = 1e-4  # pixels; what is smaller is no box, and a result file could not tell its side from 0


@METRICS.register_module()
class TrackEvalMetric(GatheringMetric):
    """HOTA, CLEAR and Identity over any list of classes.

    What differs from mmdet's ``MOTChallengeMetric``: ground truth comes from the annotation file, not through the
    pipeline; frames may be numbered in any way and videos may end early; boxes are not rounded; every class can be
    scored; ``iou_thr`` is used; and what is wrong in the configuration is found before testing starts. Frames that a
    sampler gave out twice are recognised by their number, and count once.

    A data sample is a ``TrackDataSample`` (as object or dict) with any number of frames. Each frame has
    ``pred_track_instances`` with ``instances_id (n,)``, ``bboxes (n, 4)`` xyxy in pixels of the original image,
    ``scores (n,)`` and ``labels (n,)``, from models with masks also ``masks`` in pixels of the original image, n
    :class:`~clmot_qd.masks.RleMasks` or bitmaps (n, H, W); and in its metainfo the ``video_id`` and ``frame_id`` of the
    annotation file.

    Args:
        ann_file: CocoVID annotation file.
        classes: Names of the classes to score. None takes those of a protocol of several classes, otherwise all that
            have boxes in ``ann_file``, with ``format_only`` all that it lists, or those of a protocol that has regions.
            Predictions of other classes are left out.
        distractors: Names of the classes on which predictions are neither right nor wrong; None takes those of the
            protocol, as far as the file has them.
        backends: The first one's numbers get the plain keys (``HOTA``, ``MOTA``, ``IDF1`` ...), see
            :meth:`clmot_qd.evaluation.TrackScores.flat`.
        iou_thr: Least IoU of a match; None takes the protocol's.
        out_dir: Folder for result files (see ``out_format``) and metrics.json; None writes nothing.
        format_only: Write the result files and score nothing, for test sets without ground truth.
        collect_device: See ``mmengine.evaluator.BaseMetric``, like the next two.
        prefix: Put before all keys; default ``track``.
        collect_dir: Folder that all machines share, for results of several processes; None takes the network.
        protocol: One of :data:`clmot_qd.evaluation.PROTOCOLS`: ``mot``, ``mot20``, ``bdd100k``, ``mots20``,
            ``kitti-mots``, ``waymo``, ``plain``.
        out_format: What is written to ``out_dir``: one or several of ``mot`` (SEQUENCE.txt), ``bdd100k``, ``tao``,
            ``cocovid`` (a file FORMAT.json each), ``mots``, ``bdd100k-bitmasks`` (masks, a folder FORMAT each). None
            takes ``mot``, with ``segm`` also ``mots``.
        iou_type: What overlaps: ``bbox``, or ``segm`` for masks, which ``ann_file`` and the model must have then. Their
            scores are called ``MOTSA``, ``MOTSP``, ``sMOTSA``. Where the protocol asks for disjoint masks, those of all
            classes of a frame compete for its pixels, also if ``classes`` asks for a few.

    Raises:
        InputError: An argument or the file is wrong, or a backend is not installed.
    """

    default_prefix = "track"

    def __init__(
        self,
        ann_file: str,
        classes: Sequence[str] | None = ("pedestrian",),
        distractors: Sequence[str] | None = None,
        backends: Sequence[str] = ("trackeval", "motmetrics"),
        iou_thr: float | None = None,
        out_dir: str | None = None,
        format_only: bool = False,
        collect_device: str = "cpu",
        prefix: str | None = None,
        collect_dir: str | None = None,
        protocol: str = "mot",
        out_format: str | Sequence[str] | None = None,
        iou_type: str = "bbox",
    ) -> None:
        """Read the ground truth and check everything that can be checked without predictions."""
        super().__init__(collect_device, prefix, collect_dir)
        self.protocol = get_protocol(protocol)
        require_iou_type(iou_type, self.protocol)
        self.iou_type = iou_type
        self.truth = read_cocovid(ann_file, masks=iou_type == "segm" and not format_only)
        self.classes = self._all_classes(format_only) if classes is None else tuple(classes)
        self.distractors = distractors
        self.backends = tuple(backends)
        self.iou_thr = iou_thr
        self.out_dir = None if out_dir is None else Path(out_dir)
        usual = ("mot", "mots") if iou_type == "segm" else ("mot",)
        self.out_format = require_formats(usual if out_format is None else out_format)
        self.format_only = format_only
        asked = f"the evaluator ({type(self).__name__}) is to score it: set classes of val_evaluator and test_evaluator"
        self._numbers = dict(zip(self.classes, self.truth.class_numbers(self.classes, asked)))
        self._warned = False
        if format_only:
            if out_dir is None:
                raise InputError("TrackEvalMetric: format_only needs out_dir, the folder for the result files")
            return
        self._check_truth()
        require_backends(self.backends)

    @property
    def dataset_meta(self) -> dict | None:
        """Meta information of the data set; its ``classes`` say what the labels of predictions mean."""
        return self._dataset_meta

    @dataset_meta.setter
    def dataset_meta(self, dataset_meta: dict | None) -> None:
        self._dataset_meta = dataset_meta
        known = self._label_names()
        for name in self.classes:
            if name not in known:
                raise InputError(f"TrackEvalMetric: classes has {name!r}, but the model's are {', '.join(known)}")

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Keep (sequence, frame number, tracks, repaired masks) of every frame.

        Raises:
            InputError: A frame that the annotation file does not have, a model that does not track, an identity that
                stands twice in a frame, tracks without the masks that are to be scored or written.
        """
        for sample in data_samples:
            for frame in _get(sample, "video_data_samples"):
                sequence, number = self._locate(frame)
                self.results.append((sequence, number, *self._read(frame, sequence, number)))

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Score, print the tables, write the files; empty if ``format_only``."""
        tracks = self._gather(results)
        if self.out_dir is not None:
            only = self.classes[0] if len(self.classes) == 1 else None
            write_results_in(self.out_dir, self.out_format, self.truth, tracks, only)
        if self.format_only:
            print_log(f"result files written to {self.out_dir}", logger="current")
            return {}
        scores = self._score(tracks)
        print_log(f"\n{scores.tables()}", logger="current")
        if self.out_dir is not None:
            scores.write_json(self.out_dir / "metrics.json")
            print_log(f"result files and metrics.json written to {self.out_dir}", logger="current")
        return scores.flat()

    def _check_truth(self) -> None:
        """Check that there is something to score against."""
        self.truth.distractor_numbers(self.distractors)
        self.truth.require_scorable(self.classes)
        if self.protocol.easier_levels:
            self.truth.require_difficulties()

    def _score(self, tracks: Mapping[str, MotTable]) -> TrackScores | TrackMapScores:
        """Compute the numbers; a subclass may compute others."""
        return evaluate_tracks(
            self.truth,
            tracks,
            self.classes,
            self.distractors,
            self.backends,
            self.iou_thr,
            progress=lambda line: print_log(line, logger="current"),
            protocol=self.protocol.name,
            iou_type=self.iou_type,
        )

    def _all_classes(self, format_only: bool) -> tuple[str, ...]:
        if len(self.protocol.classes) > 1 or (format_only and self.protocol.regions):
            return self.protocol.classes
        return tuple(self.truth.categories) if format_only else self.truth.occurring_classes()

    def _label_names(self) -> Sequence[str]:
        return (self._dataset_meta or {}).get("classes") or self.classes

    def _locate(self, frame: Any) -> tuple[str, int]:
        """Return sequence and frame number of a frame."""
        place = int(_get(frame, "video_id")), int(_get(frame, "frame_id"))
        if place not in self.truth.frame_index:
            what = f"prediction for video_id {place[0]}, frame_id {place[1]}, which the file does not have"
            raise InputError(f"{self.truth.source}: {what}; test on the data that ann_file describes")
        return self.truth.frame_index[place]

    def _read(self, frame: Any, sequence: str, number: int) -> tuple[MotTable, Repairs]:
        """Return the predictions that count, and what happened to the masks of all."""
        tracks, place = _get(frame, "pred_track_instances"), f"{sequence}, frame {number}"
        if not list(tracks.keys()):  # what some models leave of a frame without detections
            return empty_table(), Repairs()
        ids, labels = (to_numpy(_get(tracks, key)).astype(np.int64) for key in ("instances_id", "labels"))
        corners, scores = (to_numpy(_get(tracks, key)).astype(np.float64) for key in ("bboxes", "scores"))
        if find_duplicate(np.zeros_like(ids), ids) is not None:
            raise InputError(f"{place}: the tracker gives an identity twice: {sorted(ids.tolist())}")
        bboxes = xyxy_to_xywh(corners)
        numbers, scored = self._class_numbers(labels, place)
        named = numbers if len(self.classes) > 1 else None
        masks, repairs = self._disjoint(self._masks(tracks, sequence, place), scores)
        table = make_table(np.full(len(ids), number), ids, bboxes, scores, named, masks=masks)
        return table.select(scored & self._are_boxes(bboxes, place)), repairs

    def _masks(self, tracks: Any, sequence: str, place: str) -> RleMasks | None:
        """Return the masks of all predictions, if somebody will look at them."""
        masks = _encoded(tracks.get("masks"), place) if self._wants_masks() else None
        if masks is None and self.iou_type == "segm":
            raise InputError(f"{place}: the tracks have no masks to score with iou_type segm; take a model with masks")
        if masks is None and self.out_dir is not None and len(_get(tracks, "bboxes")):
            self._refuse_formats_of_masks(place)
        true = self.truth.sequences[sequence].boxes.masks
        if masks is not None and true is not None:
            require_same_size(masks, true.size, "the true ones", place)
        return masks

    def _refuse_formats_of_masks(self, place: str) -> None:
        """Say now that tracks without masks cannot be written, rather than after the last frame."""
        of_masks = [name for name in self.out_format if FORMATS[name].of_masks]
        if of_masks:
            others = ",".join(name for name in self.out_format if name not in of_masks) or "mot"
            what = f"the tracks have no masks, which out_format {of_masks[0]!r} is made of"
            raise InputError(f"{place}: {what}; set test_evaluator.out_format={others}, or take a model with masks")

    def _wants_masks(self) -> bool:
        kept = self.out_dir is not None and any(FORMATS[name].keeps_masks for name in self.out_format)
        return kept or self.iou_type == "segm"

    def _disjoint(self, masks: RleMasks | None, scores: FloatArray) -> tuple[RleMasks | None, Repairs]:
        """Give each pixel to one mask if the protocol asks for that, before classes that are not scored go."""
        if masks is None or self.iou_type != "segm" or not self.protocol.disjoint_masks:
            return masks, Repairs()
        parts = make_disjoint(masks, scores)
        return parts.masks, Repairs(trimmed=int(parts.trimmed.sum()), predicted=len(masks))

    def _class_numbers(self, labels: IntArray, place: str) -> tuple[IntArray, BoolArray]:
        """Return (n,) class numbers of the annotation file and (n,) whether the class is one to score."""
        names = self._label_names()
        if len(labels) and not 0 <= labels.min() <= labels.max() < len(names):
            raise InputError(f"{place}: a label is not in 0..{len(names) - 1}; the classes are {', '.join(names)}")
        numbers = np.array([self._numbers.get(name, -1) for name in names], dtype=np.int64)
        scored = np.array([name in self._numbers for name in names])
        return numbers[labels], scored[labels]

    def _are_boxes(self, bboxes: FloatArray, place: str) -> BoolArray:
        """Return the mask (n,) of finite boxes with an area, and warn once of others."""
        good = np.all(np.isfinite(bboxes), axis=1) & np.all(bboxes[:, 2:] >= _LEAST_SIDE, axis=1)
        if not good.all() and not self._warned:
            self._warned = True
            line = f"{place}: a track's box is not finite or has no area; such boxes are left out"
            print_log(line, logger="current", level=WARNING)
        return good

    def _gather(self, results: list) -> dict[str, MotTable]:
        """Join the frames of each sequence; of a frame that was tested twice the first result counts."""
        by_sequence: dict[str, dict[int, MotTable]] = {name: {} for name in self.truth.sequences}
        repairs = Repairs()
        for sequence, number, table, changed in results:
            if number not in by_sequence[sequence]:
                by_sequence[sequence][number] = table
                repairs += changed
        if str(repairs):
            print_log(str(repairs), logger="current", level=WARNING)
        return {name: join_tables(list(frames.values())) for name, frames in by_sequence.items()}


def _get(item: Any, key: str) -> Any:
    """Return a field of a data sample, be it an object or a dictionary."""
    value = item.get(key) if isinstance(item, Mapping) else getattr(item, key, None)
    if value is None:
        raise InputError(f"TrackEvalMetric: a data sample has no {key}; it needs a tracking model on a video data set")
    return value


def _encoded(masks: Any, place: str) -> RleMasks | None:
    """Return the masks of a frame as run lengths; mmdet's own models give them as bitmaps (n, H, W).

    Raises:
        InputError: They are something else.
    """
    if masks is None or isinstance(masks, RleMasks):
        return masks
    if isinstance(masks, (list, tuple)) or (bitmaps := to_numpy(masks)).ndim != _BITMAP_DIMS:
        what = f"masks are a {type(masks).__name__} that holds no bitmaps (n, height, width)"
        raise InputError(f"{place}: {what}; give these, or clmot_qd.masks.RleMasks")
    return RleMasks.of_bitmaps(bitmaps)


def to_numpy(values: Any) -> np.ndarray:
    """Return an array of a tensor, an array or a list."""
    return values.detach().cpu().numpy() if hasattr(values, "detach") else np.asarray(values)
