"""CLMOT: one-shot tracking whose embeddings are trained by contrasting two views of one frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmdet.models.mot import BaseMOTModel
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample, TrackDataSample
from mmengine.structures import InstanceData
from torch import Tensor, nn

from clmot_qd.errors import InputError
from clmot_qd.models.losses import within_image_contrast


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
class CLMOT(BaseMOTModel):
    """Centre-based detector and embeddings, contrastive training without identities, tracking frame by frame.

    Training (CL-MOT Fig. 3), on inputs (N, 2, 3, H, W), view 0 = key (a), view 1 = reference (b)::

        key, ref (N, 3, H, W)      -> backbone, neck -> features (N, c, H/4, W/4) each
        key features               -> heat map, size, offset -> detection losses, on the key view only
        features at centre cells   -> E_a, E_b (n, C) -> unit length -> projector, if any
        B = E_a + E_b              -> contrastive loss between objects of the same image only
        detection, embedding       -> task weighting -> losses

    With one view (N, 1, 3, H, W) and ``id_head`` it is the supervised baseline of the paper: identities are classified.

    Test, frame by frame: boxes, scores, labels, embeddings -> ``tracker.update``; the tracker is reset when a new video
    begins.

    Args:
        detector: A detector with ``backbone``, ``neck`` and a :class:`CenterEmbedHead` as ``bbox_head``.
        tracker: A tracker of ``clmot_qd.trackers``; None for training or detection alone.
        loss_embed: A pair loss; Eq. (5) by default. None leaves the contrast out.
        contrast_average: ``'image'``: mean of the images' losses, Eq. (5); ``'batch'``: one mean over all anchors of
            the batch, as released.
        projector: Projection head, see :class:`Projector`.
        id_head: :class:`IdentityClassifier` of the supervised baseline.
        task_weighting: How detection and embedding losses are balanced.
        view_batching: ``'separate'``: each view is a batch of its own, so BatchNorm sees the views one after the other,
            as released; ``'joint'``: both views in one batch of 2N, faster on GPUs.
        data_preprocessor: ``TrackDataPreprocessor``.
        init_cfg: As everywhere in mmengine.
    """

    def __init__(
        self,
        detector: dict,
        tracker: dict | None = None,
        loss_embed: dict | None = dict(type="TripletPairLoss", margin=0.3, mining="hard"),  # noqa: B006
        contrast_average: str = "image",
        projector: dict | None = None,
        id_head: dict | None = None,
        task_weighting: dict = dict(type="FixedTaskWeighting"),  # noqa: B006
        view_batching: str = "separate",
        data_preprocessor: dict | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(data_preprocessor, init_cfg)
        if view_batching not in ("separate", "joint"):
            raise InputError(f"view_batching must be 'separate' or 'joint', got {view_batching!r}")
        self.detector = MODELS.build(detector)
        self.tracker = MODELS.build(tracker) if tracker else None
        self.loss_embed = MODELS.build(loss_embed) if loss_embed else None
        self.contrast_average = contrast_average
        self.projector = MODELS.build(projector) if projector else None
        self.id_head = MODELS.build(id_head) if id_head else None
        self.task_weighting = MODELS.build(task_weighting)
        self.view_batching = view_batching
        self._last_frame: tuple[Any, int] | None = None

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
        views = inputs.shape[1]
        if self.loss_embed is not None and views != 2:
            raise InputError(
                f"the contrastive loss needs two views of each image, the pipeline gives {views}: add "
                "WithinFrameTwoView to train_pipeline, or set loss_embed=None"
            )
        samples = [[sample[view] for sample in data_samples] for view in range(views)]
        feats = self._extract_views(inputs)
        detection = self.detector.bbox_head.loss(feats[0], samples[0])
        if self.loss_embed is None and self.id_head is None:
            # A detector alone; the term keeps the branch in the graph, which distributed training asks for.
            idle = sum(p.sum() for p in self.detector.bbox_head.embed_head.parameters())
            return self.task_weighting({**detection, "loss_embed_idle": 0.0 * idle}, {})
        embedded = [self._embed_objects(*view) for view in zip(feats, samples)]
        embedding = {}
        if self.loss_embed is not None:
            embeds, ids, image = (torch.cat(parts) for parts in zip(*embedded))
            if self.projector is not None:
                embeds = self.projector(embeds)
            embedding["loss_embed"] = within_image_contrast(
                self.loss_embed, embeds, ids, image, average=self.contrast_average
            )
        if self.id_head is not None:
            key_embeds, key_ids, _ = embedded[0]
            embedding["loss_id"] = self.id_head(key_embeds, key_ids)
        return self.task_weighting(detection, embedding)

    def _extract_views(self, inputs: Tensor) -> list[tuple[Tensor, ...]]:
        """(N, T, 3, H, W) -> T tuples of feature maps (N, c, h, w)."""
        views = inputs.unbind(1)
        if self.view_batching == "separate":
            return [self.detector.extract_feat(view) for view in views]
        joint = self.detector.extract_feat(torch.cat(views))
        chunks = [level.chunk(len(views)) for level in joint]
        return [tuple(level[i] for level in chunks) for i in range(len(views))]

    def _embed_objects(
        self, feats: Sequence[Tensor], samples: Sequence[DetDataSample]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Embeddings of one view's objects at their centre cells.

        Returns:
            Unit embeddings (n, C), identities (n,), image index (n,); objects without a centre on the map are left out.
        """
        head = self.detector.bbox_head
        centers = head.locate(feats, samples)
        embeds = F.normalize(head.embed_at(feats, centers.image, centers.cell).float(), dim=1)
        ids = [torch.as_tensor(s.gt_instances.instances_ids, device=embeds.device).reshape(-1) for s in samples]
        starts = torch.tensor([0, *(len(i) for i in ids[:-1])], device=embeds.device).cumsum(0)
        return embeds, torch.cat(ids)[starts[centers.image] + centers.index].long(), centers.image

    # ------------------------------------------------------------------------------------------------------ inference
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
            ``pred_track_instances`` (instances_id, bboxes, scores, labels, detection_index), on the CPU.
        """
        frames = [frame for sample in data_samples for frame in sample.video_data_samples]
        feats = self.detector.extract_feat(inputs.flatten(0, 1))
        detections = self.detector.bbox_head.predict(feats, frames, rescale=rescale)
        for frame, detected in zip(frames, detections):
            frame.pred_instances = detected
            if self.tracker is not None:
                frame.pred_track_instances = self._track(self.tracker, frame, detected)
        return list(data_samples)

    def _track(self, tracker: Any, frame: DetDataSample, detected: InstanceData) -> InstanceData:
        """Hand one frame's detections to the tracker, which starts afresh with each video."""
        video, frame_id = frame.metainfo.get("video_id"), int(frame.metainfo.get("frame_id", 0))
        if self._last_frame is None or self._last_frame[0] != video or frame_id <= self._last_frame[1]:
            tracker.reset()
        self._last_frame = (video, frame_id)
        arrays = [detected[name].float().cpu().numpy() for name in ("bboxes", "scores", "embeds")]
        bboxes, scores, embeds = arrays
        tracks = tracker.update(bboxes, scores, detected.labels.cpu().numpy(), embeds, frame_id)
        return InstanceData(
            instances_id=torch.from_numpy(tracks.instances_id).long(),
            bboxes=torch.from_numpy(tracks.bboxes).float(),
            scores=torch.from_numpy(tracks.scores).float(),
            labels=torch.from_numpy(tracks.labels).long(),
            detection_index=torch.from_numpy(tracks.detection_index).long(),
        )

    @torch.no_grad()
    def embed_boxes(self, images: Tensor, bboxes: Sequence[Tensor]) -> list[Tensor]:
        """Embeddings of boxes from anywhere (another detector, annotations, a file), read at their centres.

        Args:
            images: (N, 3, H, W), preprocessed.
            bboxes: Per image (n_i, 4) xyxy, network-input pixels. A centre outside the picture is read at its border.

        Returns:
            Per image (n_i, C), not normalised.
        """
        feats = self.detector.extract_feat(images)
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
