"""CLMOT: one-shot tracking whose embeddings are trained by contrasting two views of one frame."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample, TrackDataSample
from mmengine.structures import InstanceData
from torch import Tensor, nn

from clmot_qd.models.losses import unit_rows, within_image_contrast
from clmot_qd.models.mot.tracking_model import Config, Feats, TrackingModel


@MODELS.register_module()
class Projector(nn.Sequential):
    """Projection head of CL-MOT Table 4, z = W2 relu(W1 b): used by the loss alone and dropped at test time.

    It is part of the model, hence of its checkpoint (the public release kept it in the loss and lost it on resume).

    Args:
        in_channels: C, size of an embedding.
        out_channels: Z, size of its projection.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(
            nn.Linear(in_channels, in_channels), nn.ReLU(inplace=True), nn.Linear(in_channels, out_channels)
        )


@MODELS.register_module()
class CLMOT(TrackingModel):
    """Centre-based detector and embeddings, contrastive training without identities, tracking frame by frame.

    Training (CL-MOT Fig. 3), on inputs (N, 2, 3, H, W), view 0 = key (a), view 1 = reference (b)::

        key, ref (N, 3, H, W)      -> backbone, neck -> features (N, c, H/4, W/4) each
        key features               -> heat map, size, offset -> detection losses, on the key view only
        features at centre cells   -> E_a, E_b (n, C) -> unit length -> projector, if any
        B = E_a + E_b              -> contrastive loss between objects of the same image only
        detection, embedding       -> task weighting -> losses

    With one view (N, 1, 3, H, W) and ``id_head`` it is the supervised baseline of the paper: identities are classified.

    Test, frame by frame: boxes, scores, labels, embeddings -> tracker; it starts afresh when a new video begins.

    Args:
        detector: A detector with ``backbone``, ``neck`` and a :class:`CenterEmbedHead` as ``bbox_head``.
        tracker: See :class:`TrackingModel`.
        loss_embed: A pair loss or a list of them; Eq. (5) by default. None leaves the contrast out.
        contrast_average: ``'image'``: mean of the images' losses, Eq. (5); ``'batch'``: one mean over all anchors of
            the batch, as released.
        unit_embeds: Compare embeddings of length 1, as the paper. False for losses on plain dot products
            (``MultiPositivePairLoss``), whose trackers compare dot products as well.
        projector: Projection head, see :class:`Projector`.
        id_head: :class:`IdentityClassifier` of the supervised baseline.
        task_weighting: How detection and embedding losses are balanced.
        view_batching: See :class:`TrackingModel`.
        data_preprocessor: ``TrackDataPreprocessor``.
        init_cfg: As everywhere in mmengine.
    """

    def __init__(
        self,
        detector: Config,
        tracker: Config | None = None,
        loss_embed: Config | list[Config] | None = dict(type="TripletPairLoss", margin=0.3, mining="hard"),  # noqa: B006
        contrast_average: str = "image",
        unit_embeds: bool = True,
        projector: Config | None = None,
        id_head: Config | None = None,
        task_weighting: Config = dict(type="FixedTaskWeighting"),  # noqa: B006
        view_batching: str = "separate",
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

    # ------------------------------------------------------------------------------------------------------ training
    def loss(self, inputs: Tensor, data_samples: Sequence[TrackDataSample], **kwargs: Any) -> dict[str, Tensor]:
        """Losses of a batch.

        Args:
            inputs: (N, T, 3, H, W), T = 2 views, or 1 for the supervised baseline.
            data_samples: N samples of T frames with ``gt_instances`` (bboxes, labels, instances_ids).
            kwargs: Not used; part of mmdet's interface.

        Returns:
            Named losses; their sum is minimised.
        """
        images, samples = self.split_views(inputs, data_samples)
        # Without pair losses nobody looks at the reference view.
        views = self.extract_views(images if len(self.loss_embed) else images[:1])
        feats = next(views)
        detection = self.detector.bbox_head.loss(feats, samples[0])
        if not len(self.loss_embed) and self.id_head is None:
            # A detector alone; the term keeps the branch in the graph, which distributed training asks for.
            idle = sum(p.sum() for p in self.detector.bbox_head.embed_head.parameters())
            return self.task_weighting({**detection, "loss_embed_idle": 0.0 * idle}, {})
        embedded = [self._embed_objects(feats, samples[0])]
        embedded += [self._embed_objects(*view) for view in zip(views, samples[1:])]
        embedding: dict[str, Tensor] = {}
        if len(self.loss_embed):
            embeds, ids, image = (torch.cat(parts) for parts in zip(*embedded))
            if self.projector is not None:
                embeds = self.projector(embeds)
            contrast = partial(within_image_contrast, embeds=embeds, ids=ids, image=image)
            embedding |= self.pair_losses(partial(contrast, average=self.contrast_average))
        if self.id_head is not None:
            key_embeds, key_ids, _ = embedded[0]
            embedding["loss_id"] = self.id_head(key_embeds, key_ids)
        return self.task_weighting(detection, embedding)

    def _embed_objects(
        self, feats: Sequence[Tensor], samples: Sequence[DetDataSample]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Embeddings of one view's objects at their centre cells.

        Returns:
            Embeddings (n, C), identities (n,), image index (n,); objects without a centre on the map are left out.
        """
        head = self.detector.bbox_head
        centers = head.locate(feats, samples)
        embeds = head.embed_at(feats, centers.image, centers.cell).float()
        if self.unit_embeds:
            embeds = unit_rows(embeds)
        ids = [torch.as_tensor(s.gt_instances.instances_ids, device=embeds.device).reshape(-1) for s in samples]
        starts = torch.tensor([0, *(len(i) for i in ids[:-1])], device=embeds.device).cumsum(0)
        return embeds, torch.cat(ids)[starts[centers.image] + centers.index].long(), centers.image

    # ------------------------------------------------------------------------------------------------------ inference
    def detect(self, feats: Feats, frames: Sequence[DetDataSample]) -> list[InstanceData]:
        """The head's boxes with the embeddings at their centres; see :meth:`TrackingModel.detect`."""
        return self.detector.bbox_head.predict(feats, frames, rescale=False)

    @torch.no_grad()
    def embed_boxes(self, images: Tensor, bboxes: Sequence[Tensor], feats: Feats | None = None) -> list[Tensor]:
        """Embeddings of boxes from anywhere (another detector, annotations, a file), read at their centres.

        Args:
            images: (N, 3, H, W), preprocessed.
            bboxes: Per image (n_i, 4) xyxy, network-input pixels. A centre outside the picture is read at its border.
            feats: ``detector.extract_feat(images)``, if that is known already.

        Returns:
            Per image (n_i, C), not normalised.
        """
        feats = self.detector.extract_feat(images) if feats is None else feats
        height, width = feats[0].shape[-2:]
        counts = torch.tensor([len(b) for b in bboxes], device=images.device)
        flat = torch.cat(list(bboxes)).to(images.device).float()
        scale = flat.new_tensor([width / images.shape[-1], height / images.shape[-2]])
        x, y = ((flat[:, :2] + flat[:, 2:]) / 2 * scale).floor().long().unbind(1)
        cell = y.clamp(0, height - 1) * width + x.clamp(0, width - 1)
        image = torch.repeat_interleave(torch.arange(len(counts), device=cell.device), counts)
        return list(self.detector.bbox_head.embed_at(feats, image, cell).split(counts.tolist()))

    def _forward(self, inputs: Tensor, data_samples: Any = None, **kwargs: Any) -> tuple[list[Tensor], ...]:
        """Head outputs of all frames: (N, T, 3, H, W) -> (heatmaps, sizes, offsets, embeds), maps of N * T images."""
        return self.detector.bbox_head(self.detector.extract_feat(inputs.flatten(0, 1)))
