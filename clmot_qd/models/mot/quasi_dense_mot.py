"""QuasiDenseMOT: any mmdet detector with embeddings trained on quasi-dense pairs of regions (QDTrack)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample, TrackDataSample
from mmengine.structures import InstanceData
from torch import Tensor

from clmot_qd.errors import InputError
from clmot_qd.geometry import boxes_to_network, scaling_of
from clmot_qd.models.heads.quasi_dense_head import Regions
from clmot_qd.models.losses import cross_view_contrast, unit_rows
from clmot_qd.models.mixed_precision import keep_outputs_in_float32
from clmot_qd.models.mot.detector_counts import share_counts
from clmot_qd.models.mot.proposals import TwoStageProposals, proposals_of
from clmot_qd.models.mot.tracking_model import Config, Feats, TrackingModel
from clmot_qd.ops import fast_cpu_operators

# Eq. (7): gamma_1 = 0.25 for the embedding loss, gamma_2 = 1 for the auxiliary one.
QDTRACK_LOSSES = (
    dict(type="MultiPositivePairLoss", loss_weight=0.25),
    dict(type="CosineMarginPairLoss", neg_pos_ub=3, pos_margin=0.0, neg_margin=0.1, hard_mining=True, loss_weight=1.0),
)
# Pixels; so far away nothing is pooled but zeros.
FARTHEST_CORNER = 1e6
# Many boxes that overlap: an NMS as for detections would leave one region per object.
DENSE_PROPOSALS = dict(
    nms_pre=1000, min_bbox_size=0, score_thr=0.0, nms=dict(type="nms", iou_threshold=0.9), max_per_img=1000
)


@MODELS.register_module()
class QuasiDenseMOT(TrackingModel):
    """Region embeddings by quasi-dense contrastive learning on any detector, tracking by appearance.

    Training (QDTrack Fig. 2), on inputs (N, 2, 3, H, W), view 0 = key, view 1 = reference::

        key, ref (N, 3, H, W)      -> detector.extract_feat -> levels (N, c, h, w) each
        key levels                 -> detection losses, on the key view only; proposals (P, 4)
        ref levels                 -> proposals (P, 4)
        key proposals, boxes       -> regions on objects -> anchors (V, C)
        ref proposals, boxes       -> regions on objects and background -> targets (K, C)
        anchors x targets          -> pair losses between regions of one image pair only

    A detector with mask heads (Mask R-CNN) has their losses among its own, and its tracks have masks.

    The views may be two frames with identities (the paper), or one frame twice without any. mmdet's ``QDTrack`` differs
    in what ``docs/paper_qdtrack.md`` lists; parameter names agree, so its weights fit.

    Args:
        detector: A two-stage detector, or one with a dense head, which then proposes its own top boxes.
        track_head: :class:`QuasiDenseHead`.
        tracker: See :class:`TrackingModel`.
        loss_embed: See there; Eqs. (5) and (6) by default.
        contrast_average: See there.
        unit_embeds: See there; the paper compares plain dot products.
        projector: See there.
        id_head: See there; the identities of the key view's regions are classified.
        task_weighting: See there.
        view_batching: See there.
        freeze_detector: Train the embeddings alone (TAO recipe): the detector gets no gradient, has no losses, and
            stays in evaluation mode, so that BatchNorm statistics stay as well.
        train_masks_only: Train the mask heads alone ("frozen" in Table 6): boxes, embeddings and identities stay those
            of the checkpoint that training starts from. One view is enough; of two, the key view is used.
        predict_masks: False tracks boxes alone, the same ones; then mask heads that make masks in a way of their own
            (HTC, PointRend, Mask Scoring R-CNN) may be there as well.
        dense_proposals: For dense detectors, ``nms_pre``, ``score_thr``, ``nms``, ``max_per_img`` of the boxes proposed
            in training.
        public_detections: The detector's box heads take the given boxes of each test frame (``proposals`` of the
            sample, original-image pixels, see ``LoadPublicDetections``) instead of its own proposals: the protocol of
            MOTChallenge's public detections.
        data_preprocessor: ``TrackDataPreprocessor``.
        init_cfg: As everywhere in mmengine.
    """

    parts = ("track_head",)

    def __init__(
        self,
        detector: Config,
        track_head: Config,
        tracker: Config | None = None,
        loss_embed: Config | list[Config] | None = QDTRACK_LOSSES,  # type: ignore[assignment]
        contrast_average: str = "image",
        unit_embeds: bool = False,
        projector: Config | None = None,
        id_head: Config | None = None,
        task_weighting: Config = dict(type="FixedTaskWeighting"),  # noqa: B006
        view_batching: str = "separate",
        freeze_detector: bool = False,
        train_masks_only: bool = False,
        predict_masks: bool = True,
        dense_proposals: Config = DENSE_PROPOSALS,
        public_detections: bool = False,
        data_preprocessor: Config | None = None,
        init_cfg: Config | list[Config] | None = None,
    ) -> None:
        super().__init__(
            detector,
            tracker,
            loss_embed,
            contrast_average,
            unit_embeds,
            projector,
            id_head,
            task_weighting,
            view_batching,
            data_preprocessor,
            init_cfg,
        )
        self.track_head = MODELS.build(track_head)
        fast_cpu_operators(self.track_head)
        keep_outputs_in_float32(self.detector)
        share_counts(self.detector)
        self.predict_masks = predict_masks
        self.proposals = proposals_of(self.detector, dense_proposals, with_masks=predict_masks)
        self.public_detections = public_detections
        self.freeze_detector = freeze_detector
        if freeze_detector:
            if not len(self.loss_embed) and self.id_head is None:
                raise InputError("freeze_detector=True: with loss_embed=None and id_head=None nothing is left to train")
            self.freeze_module("detector")
        self.train_masks_only = train_masks_only
        if train_masks_only:
            self._freeze_all_but_masks()

    def _freeze_all_but_masks(self) -> None:
        if self.proposals.masks is None:
            raise InputError("train_masks_only=True: model.detector has no mask head; take Mask R-CNN")
        if self.freeze_detector:
            raise InputError("train_masks_only=True: leaves nothing to freeze_detector=True, which trains embeddings")
        self.requires_grad_(False)
        for head in self.proposals.masks.heads:
            head.requires_grad_(True)

    def train(self, mode: bool = True) -> QuasiDenseMOT:
        """As everywhere, except that what is frozen stays in evaluation mode (mmdet's goes back to training)."""
        super().train(mode)
        if self.freeze_detector:
            self.detector.eval()
        if self.train_masks_only:
            for part in self.children():
                part.eval()
            for head in self.proposals.masks.heads if self.proposals.masks else ():
                head.train(mode)
        return self

    # ------------------------------------------------------------------------------------------------------ training
    @property
    def needs_pairs(self) -> bool:
        """See :class:`TrackingModel`."""
        return super().needs_pairs and not self.train_masks_only

    def loss(self, inputs: Tensor, data_samples: Sequence[TrackDataSample], **kwargs: Any) -> dict[str, Tensor]:
        """Losses of a batch.

        Args:
            inputs: (N, T, 3, H, W), T = 2 views, or 1 for the supervised baseline.
            data_samples: N samples of T frames with ``gt_instances`` (bboxes, labels, instances_ids, and masks for a
                detector with mask heads, in the key view alone); not changed.
            kwargs: Not used; part of mmdet's interface.

        Returns:
            Named losses; their sum is minimised.
        """
        images, samples = self.split_views(inputs, data_samples)
        # Without pair losses nobody looks at the reference view.
        views = self.extract_views(images if self.needs_pairs else images[:1])
        feats = next(views)
        detection: dict[str, Any] = {}
        if self.train_masks_only:
            return self._mask_loss(feats, samples[0])
        if self.freeze_detector:
            proposals = self.proposals.propose(feats, samples[0])
        else:
            detection, proposals = self.proposals.loss_and_propose(feats, samples[0])
        if not len(self.loss_embed) and self.id_head is None:
            # A detector alone; the term keeps the head in the graph, which distributed training asks for.
            idle = sum(p.sum() for p in self.track_head.parameters())
            return self.task_weighting({**detection, "loss_embed_idle": 0.0 * idle}, {})
        anchors = self.track_head.key_regions(feats, proposals, samples[0])
        embedding: dict[str, Tensor] = {}
        if len(self.loss_embed):
            ref_feats = next(views)
            ref_proposals = self.proposals.propose(ref_feats, samples[1])
            targets = self.track_head.ref_regions(ref_feats, ref_proposals, samples[1])
            embedding |= self.pair_losses(partial(self._contrast, self._prepared(anchors), self._prepared(targets)))
        if self.id_head is not None:
            embedding["loss_id"] = self.id_head(anchors.embeds, anchors.ids)
        return self.task_weighting(detection, embedding)

    def _extract(self, images: Tensor) -> Feats:
        frozen = self.freeze_detector or self.train_masks_only
        with torch.set_grad_enabled(torch.is_grad_enabled() and not frozen):
            return super()._extract(images)

    def _mask_loss(self, feats: Feats, samples: Sequence[DetDataSample]) -> dict[str, Tensor]:
        """The losses of the mask heads on regions of the frozen detector, without a weight of tasks."""
        assert self.proposals.masks is not None
        return self.proposals.masks.loss(feats, self.proposals.propose(feats, samples), samples)

    def _prepared(self, regions: Regions) -> Regions:
        """The embeddings as the pair losses see them."""
        embeds = unit_rows(regions.embeds.float()) if self.unit_embeds else regions.embeds
        return regions._replace(embeds=embeds if self.projector is None else self.projector(embeds))

    def _contrast(self, anchors: Regions, targets: Regions, loss: Any) -> Tensor:
        return cross_view_contrast(
            loss,
            anchors.embeds,
            targets.embeds,
            anchors.ids,
            targets.ids,
            anchors.image,
            targets.image,
            average=self.contrast_average,
        )

    # ------------------------------------------------------------------------------------------------------ inference
    def detect(self, feats: Feats, frames: Sequence[DetDataSample]) -> list[InstanceData]:
        """Boxes of the detector with their regions' embeddings and mask grids; see :meth:`TrackingModel.detect`."""
        given = [_given_boxes(frame, feats[0]) for frame in frames] if self.public_detections else None
        found = self.proposals.detect(feats, frames, given)
        embeds = self.track_head.predict(feats, [result.bboxes for result in found])
        for result, part in zip(found, embeds.split([len(result) for result in found])):
            result.embeds = part
        if self.proposals.masks is not None and self.gives_masks:
            for result, grids in zip(found, self.proposals.masks.grids(feats, found)):
                result.mask_grids = grids
        return found

    @property
    def mask_thr(self) -> float | None:
        """See :class:`TrackingModel`."""
        return None if self.proposals.masks is None else self.proposals.masks.threshold

    def regress(self, feats: Feats, frame: DetDataSample, bboxes: Tensor) -> Tensor:
        """See :meth:`TrackingModel.regress`."""
        if not isinstance(self.proposals, TwoStageProposals):
            return super().regress(feats, frame, bboxes)
        return self.proposals.regress(feats, bboxes, frame.metainfo["img_shape"])

    @torch.no_grad()
    def embed_boxes(self, images: Tensor, bboxes: Sequence[Tensor], feats: Feats | None = None) -> list[Tensor]:
        """Embeddings of boxes from anywhere (another detector, annotations, a file).

        Args:
            images: (N, 3, H, W), preprocessed.
            bboxes: Per image (n_i, 4) xyxy, network-input pixels.
            feats: ``detector.extract_feat(images)``, if that is known already.

        Returns:
            Per image (n_i, C), not normalised.
        """
        feats = self.detector.extract_feat(images) if feats is None else feats
        boxes = [_poolable(box.to(images.device).float()) for box in bboxes]
        return list(self.track_head.predict(feats, boxes).split([len(box) for box in boxes]))

    def _forward(
        self, inputs: Tensor, data_samples: Sequence[TrackDataSample], **kwargs: Any
    ) -> tuple[Feats, list[Tensor], Tensor]:
        """Feature levels, proposals per image, and the embeddings of all proposals, without post-processing."""
        frames = [frame for sample in data_samples for frame in sample.video_data_samples]
        feats = self.detector.extract_feat(inputs.flatten(0, 1))
        proposals = self.proposals.propose(feats, frames)
        return feats, proposals, self.track_head.predict(feats, proposals)


def _given_boxes(frame: DetDataSample, like: Tensor) -> Tensor:
    """The given boxes of a frame in network-input pixels. -> (P, 4)."""
    if "proposals" not in frame:
        raise InputError(
            f"frame {frame.metainfo.get('frame_id')}: no public detections: add LoadPublicDetections to the test "
            "pipeline, or set model.public_detections=False"
        )
    boxes = frame.proposals.bboxes.to(device=like.device, dtype=torch.float32)
    return _poolable(boxes_to_network(boxes, *scaling_of(frame.metainfo)))


def _poolable(boxes: Tensor) -> Tensor:
    """Boxes from elsewhere as RoIAlign can take them: finite, the second corner not before the first. (P, 4)."""
    first, second = boxes.nan_to_num().clamp(-FARTHEST_CORNER, FARTHEST_CORNER).split(2, dim=1)
    return torch.cat([first, torch.maximum(first, second)], dim=1)
