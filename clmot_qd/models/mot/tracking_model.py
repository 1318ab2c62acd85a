"""What CLMOT and QuasiDenseMOT share: two views in, frames through detector and tracker, embedding losses by config."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from mmdet.models.mot import BaseMOTModel
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample, TrackDataSample
from mmengine.structures import InstanceData
from torch import Tensor, nn

from clmot_qd.checkpoints import install_foreign_keys_hook
from clmot_qd.errors import InputError
from clmot_qd.geometry import boxes_to_network, boxes_to_original, scaling_of
from clmot_qd.models.folding import fold_frozen_norms, unfold_norms
from clmot_qd.models.losses.pair_loss import build_pair_losses
from clmot_qd.models.mot.mask_pasting import give_masks
from clmot_qd.models.mot.video_tracker import VideoTracker
from clmot_qd.models.process_counts import shared_log
from clmot_qd.ops import fast_cpu_operators

# A data set may give a whole video as one sample, whose feature maps would not fit into memory together.
FRAMES_AT_ONCE = 8

# Trackers of mmdet whose ``track`` calls parts of the model: class -> attribute.
STOCK_NEEDS = {
    "QuasiDenseTracker": "track_head",
    "SORTTracker": "reid",
    "StrongSORTTracker": "cmc",  # whether or not it has reid
    "MaskTrackRCNNTracker": "MaskTrackRCNN.track_head",  # which has methods that ours has not
}

Feats = Sequence[Tensor]
Config = dict[str, Any]


class TrackingModel(BaseMOTModel):
    """Detector, embeddings and tracker; a subclass says how boxes get their embeddings and how these are trained.

    Test, frame by frame: boxes, scores, labels, embeddings -> tracker, which starts afresh with every video.

    Args:
        detector: Any detector the subclass understands.
        tracker: One of ``clmot_qd.trackers`` or of mmdet's (``ByteTracker``, ``OCSORTTracker``, ...); None for training
            or detection alone.
        loss_embed: A pair loss, or a list of pair losses that are added (``loss_embed``, ``loss_embed_aux``, ...); None
            leaves the contrast out.
        contrast_average: ``'image'``: mean of the images' losses; ``'batch'``: one mean over all anchors of the batch.
        unit_embeds: Scale the embeddings to length 1 before any loss.
        projector: Projection head of the pair losses, see :class:`Projector`; dropped at test time.
        id_head: :class:`IdentityClassifier` of the supervised baseline.
        task_weighting: How detection and embedding losses are balanced.
        view_batching: ``'separate'``: each view is a batch of its own, so a BatchNorm that trains sees the views one
            after the other, as released; ``'joint'``: both views in one batch of 2N, faster on GPUs, and the same
            numbers where BatchNorm is frozen. Separate views need less memory.
        data_preprocessor: ``TrackDataPreprocessor``.
        init_cfg: As everywhere in mmengine.
    """

    parts: tuple[str, ...] = ()
    """Attributes of the subclass that trackers of mmdet may ask for."""
    predict_masks = True  # of a model with mask heads; False computes boxes alone, which are the same ones

    def __init__(
        self,
        detector: Config,
        tracker: Config | None,
        loss_embed: Config | list[Config] | None,
        contrast_average: str,
        unit_embeds: bool,
        projector: Config | None,
        id_head: Config | None,
        task_weighting: Config,
        view_batching: str,
        data_preprocessor: Config | None,
        init_cfg: Config | list[Config] | None,
    ) -> None:
        super().__init__(data_preprocessor, init_cfg)
        if view_batching not in ("separate", "joint"):
            raise InputError(f"view_batching must be 'separate' or 'joint', got {view_batching!r}")
        self.view_batching = view_batching
        self.detector = MODELS.build(detector)
        self.tracker = MODELS.build(tracker) if tracker else None
        self.loss_embed = build_pair_losses(loss_embed)
        self.contrast_average = contrast_average
        self.unit_embeds = unit_embeds
        self.projector = MODELS.build(projector) if projector else None
        self.id_head = MODELS.build(id_head) if id_head else None
        self.task_weighting = MODELS.build(task_weighting)
        self._video_tracker = VideoTracker(self.tracker) if self.tracker is not None else None
        self._require_parts_for_tracker()
        install_foreign_keys_hook(self)
        fast_cpu_operators(self)

    def _require_parts_for_tracker(self) -> None:
        """Refuse mmdet's trackers that use parts of the model which this one does not have."""
        owner = next((kind for kind in type(self.tracker).__mro__ if "track" in vars(kind)), object)
        needs = STOCK_NEEDS.get(owner.__name__)
        if needs == "reid" and not getattr(self.tracker, "with_reid", True):
            needs = None  # SORT by motion alone
        if needs and self._video_tracker is not None and self._video_tracker.is_stock and needs not in self.parts:
            raise InputError(
                f"model.tracker: mmdet's {type(self.tracker).__name__} works with a model that has '{needs}', which "
                f"{type(self).__name__} does not have; take BiSoftmaxTracker, JDETracker, ByteTracker, OCSORTTracker "
                "or SORTTracker with reid=None"
            )

    def train(self, mode: bool = True) -> TrackingModel:
        """As everywhere; a change of mode begins another run over the data, so that the tracker starts afresh.

        Training folds frozen BatchNorm into the convolutions, see :func:`fold_frozen_norms`; evaluation does not.
        """
        if self._video_tracker is not None and mode != self.training:
            self._video_tracker.forget()
        (fold_frozen_norms if mode else unfold_norms)(self)
        return super().train(mode)

    # ------------------------------------------------------------------------------------------------------ training
    def split_views(
        self, inputs: Tensor, data_samples: Sequence[TrackDataSample]
    ) -> tuple[list[Tensor], list[list[DetDataSample]]]:
        """(N, T, 3, H, W) -> per view its images (N, 3, H, W) and samples, the key view first.

        mmdet's frame samplers order the frames by time, so the key may be the second; ours put it first.

        Raises:
            InputError: There are pair losses, but not two views.
        """
        views = inputs.shape[1]
        if self.needs_pairs and views != 2:
            raise InputError(
                f"the pair losses need two views of each image, the pipeline gives {views}: add WithinFrameTwoView or "
                "ReferenceFrame to train_pipeline, or set loss_embed=None"
            )
        order = torch.tensor([_key_first(sample, views) for sample in data_samples], device=inputs.device)
        rows = torch.arange(len(inputs), device=inputs.device)
        images = [inputs[rows, order[:, view]] for view in range(views)]
        samples = [[s[int(order[n, view])] for n, s in enumerate(data_samples)] for view in range(views)]
        return images, samples

    @property
    def needs_pairs(self) -> bool:
        """Whether training contrasts two views."""
        return bool(len(self.loss_embed))

    def extract_views(self, views: Sequence[Tensor]) -> Iterator[Feats]:
        """Feature maps of one view after the other.

        Separate views are computed when they are asked for. What is computed later is freed earlier in the backward
        pass: with the key's losses before the reference view, its maps are gone when theirs need room.

        Args:
            views: T times (N, 3, H, W).

        Yields:
            T tuples of maps (N, c, h, w).
        """
        if self.view_batching == "separate":
            yield from map(self._extract, views)
        else:
            yield from zip(*(level.chunk(len(views)) for level in self._extract(torch.cat(list(views)))))

    def _extract(self, images: Tensor) -> Feats:
        """(N, 3, H, W) -> feature maps (N, c, h, w) for the losses."""
        return self.detector.extract_feat(images)

    def pair_losses(self, contrast: Callable[[nn.Module], Tensor]) -> dict[str, Tensor]:
        """Every pair loss by its name; ``contrast`` applies one of them to the embeddings of a batch."""
        return {name: contrast(loss) for name, loss in self.loss_embed.items()}

    def parse_losses(self, losses: dict[str, Any]) -> tuple[Tensor, dict[str, Tensor]]:
        """As everywhere; of several processes the log has the means, which are the losses of the whole batch."""
        total, log = super().parse_losses(losses)
        return total, shared_log(log)

    # ------------------------------------------------------------------------------------------------------ inference
    @abstractmethod
    def detect(self, feats: Feats, frames: Sequence[DetDataSample]) -> list[InstanceData]:
        """Per frame bboxes (n, 4), network-input pixels, scores, labels, embeds (n, C); maybe mask_grids (n, h, w)."""

    @property
    def mask_thr(self) -> float | None:
        """Least probability of a pixel of a mask; None of a model without mask heads whose masks can be tracked."""
        return None

    @property
    def gives_masks(self) -> bool:
        """Whether what is found has masks."""
        return self.predict_masks and self.mask_thr is not None

    def regress(self, feats: Feats, frame: DetDataSample, bboxes: Tensor) -> Tensor:
        """Boxes of the last frame, moved by the detector to where their objects are now; network-input pixels.

        Raises:
            InputError: The detector cannot do that.
        """
        raise InputError(
            f"{type(self).__name__}: the tracker's regression cue needs a two-stage detector with a box head; "
            "set model.tracker.regression=False"
        )

    @torch.no_grad()
    def predict(
        self, inputs: Tensor, data_samples: Sequence[TrackDataSample], rescale: bool = True, **kwargs: Any
    ) -> list[TrackDataSample]:
        """Track the frames of ``data_samples`` in their order.

        Args:
            inputs: (N, T, 3, H, W).
            data_samples: N samples of T frames; ``frame_id`` and ``video_id`` are read from the frames' metainfo.
            rescale: Boxes in original-image pixels instead of network-input pixels.
            kwargs: Not used; part of mmdet's interface.

        Returns:
            The samples; each frame has gained ``pred_instances`` (bboxes, scores, labels, embeds) and, with a tracker,
            ``pred_track_instances`` (instances_id, bboxes, scores, labels, detection_index), on the CPU. Masks
            (:class:`RleMasks`), of a model that gives them, are in the latter, or in the former if it is alone.
        """
        frames = [frame for sample in data_samples for frame in sample.video_data_samples]
        images = inputs.flatten(0, 1)
        for start in range(0, len(frames), FRAMES_AT_ONCE):
            part = slice(start, start + FRAMES_AT_ONCE)
            self._predict_part(images[part], frames[part], rescale)
        return list(data_samples)

    def _predict_part(self, images: Tensor, frames: Sequence[DetDataSample], rescale: bool) -> None:
        """Detect in all these frames at once, track one after the other; the results go into the frames."""
        feats = self.detector.extract_feat(images)
        for index, (frame, detected) in enumerate(zip(frames, self.detect(feats, frames))):
            one = slice(index, index + 1)
            self.associate(frame, detected, images[one], [level[one] for level in feats], rescale)

    @torch.no_grad()
    def associate(
        self,
        frame: DetDataSample,
        detected: InstanceData,
        image: Tensor | None,
        feats: Feats | None,
        rescale: bool = True,
    ) -> None:
        """Track the next frame; ``pred_instances`` and ``pred_track_instances`` go into it, see :meth:`predict`.

        Args:
            frame: ``frame_id`` and ``video_id`` are read from its metainfo.
            detected: What :meth:`detect` found in it.
            image: (1, 3, H, W), preprocessed; only trackers of mmdet look at it.
            feats: Its feature maps (1, C, h, w); only trackers of mmdet and the regression cue look at them.
            rescale: See :meth:`predict`.
        """
        frame.pred_instances = _in_original_pixels(detected, frame) if rescale else detected
        if self._video_tracker is not None:
            frame.pred_track_instances = self._track(self._video_tracker, frame, detected, image, feats, rescale)
        if self.mask_thr is not None and "mask_grids" in detected:
            give_masks(frame, frame.metainfo["ori_shape" if rescale else "img_shape"], self.mask_thr)

    def _track(
        self, tracker: VideoTracker, frame: DetDataSample, detected: InstanceData, image: Any, feats: Any, rescale: bool
    ) -> InstanceData:
        if not tracker.is_stock:
            return tracker.track(frame, partial(self._regress, feats or (), frame, rescale))
        tracked = self._track_stock(tracker, frame, detected, image, feats)
        return _in_original_pixels(tracked, frame) if rescale else tracked

    @property
    def tracker_sees_images(self) -> bool:
        """Whether :meth:`associate` needs image and feature maps."""
        tracker = self._video_tracker
        return tracker is not None and (tracker.is_stock or getattr(self.tracker, "needs_regression", False))

    def _track_stock(
        self, tracker: VideoTracker, frame: DetDataSample, detected: InstanceData, image: Any, feats: Any
    ) -> InstanceData:
        """One frame through a tracker of mmdet, in network-input pixels: those that look at the picture scale boxes by
        ``scale_factor`` alone, which is wrong where a letterbox padded it."""
        view = frame.clone()
        view.pred_instances = detected
        return tracker.track_stock(view, dict(model=self, img=image, feats=feats, data_sample=view, rescale=False))

    @torch.no_grad()
    def _regress(self, feats: Feats, frame: DetDataSample, rescale: bool, bboxes: Any) -> Any:
        """The tracker's side of :meth:`regress`: numpy (m, 4) in the pixels of its detections, in and out."""
        boxes = torch.as_tensor(bboxes, dtype=torch.float32, device=feats[0].device).reshape(-1, 4)
        if not rescale:
            return self.regress(feats, frame, boxes).cpu().numpy()
        scaling = scaling_of(frame.metainfo)
        moved = self.regress(feats, frame, boxes_to_network(boxes, *scaling))
        return boxes_to_original(moved, *scaling).cpu().numpy()


def _in_original_pixels(found: InstanceData, frame: DetDataSample) -> InstanceData:
    """The same instances with their boxes mapped from the network input to the original image."""
    mapped = found.clone()
    mapped.bboxes = boxes_to_original(found.bboxes, *scaling_of(frame.metainfo))
    return mapped


def _key_first(sample: TrackDataSample, views: int) -> list[int]:
    """Positions of the views of a sample, the key first."""
    key = sample.metainfo.get("key_frames_inds", [0])[0]
    return [key, *(view for view in range(views) if view != key)]
