"""CenterEmbedHead: objects as points, with an appearance embedding at each point (CL-MOT sections 3.2 and 3.3)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmdet.models.dense_heads import CenterNetHead
from mmdet.models.utils import (
    get_local_maximum,
    get_topk_from_heatmap,
    transpose_and_gather_feat,
    unpack_gt_instances,
)
from mmdet.registry import MODELS
from mmengine.structures import InstanceData
from torch import Tensor, nn

from clmot_qd.errors import InputError
from clmot_qd.geometry import boxes_to_original, scaling_of
from clmot_qd.models.heads.center_targets import Centers, draw_gaussians, gaussian_radius, locate_centers
from clmot_qd.models.process_counts import shared_count

HEATMAP_BIAS = -2.19  # sigmoid(-2.19) is about 0.1: few cells are centres (Lin et al., focal loss; CL-MOT release)
PROBABILITY_MARGIN = 1e-4  # keeps the logarithms of the focal loss finite in any precision


@MODELS.register_module()
class CenterEmbedHead(CenterNetHead):
    """CenterNet head with a fourth branch: an embedding map read at object centres.

    ::

        feature (N, in, H/4, W/4)
        heat map branch   3x3 -> ReLU -> 1x1 -> sigmoid   (N, classes, H/4, W/4)
        size branch       3x3 -> ReLU -> 1x1              (N, 2, H/4, W/4)   width, height in cells
        offset branch     3x3 -> ReLU -> 1x1              (N, 2, H/4, W/4)   centre minus cell
        embedding branch  3x3 -> ReLU -> 1x1              (N, C, H/4, W/4)   not normalised

    What differs from mmdet's ``CenterNetHead``: the embedding branch; targets are drawn for all objects at once, with
    the radius of the CL-MOT release by choice, and objects whose centre leaves the map are left out (the parent indexes
    out of bounds); size and offset are compared at the centre cells, so that two objects in one cell both count; the
    heat map is clamped before the focal loss; decoding returns the cell of each box, drops boxes under a score and
    undoes our letterbox (the parent wants a ``border`` that its own Resize does not write).

    The embedding branch is evaluated only at the cells that are asked for (:meth:`embed_at`): the same numbers as the
    map's, at a thousandth of the cost. :meth:`forward` gives the whole map.

    Args:
        in_channels: Channels of the feature map.
        feat_channels: Channels between the two convolutions of each branch.
        num_classes: Number of classes.
        embed_channels: C, size of an embedding.
        radius_overlap: IoU that sets the Gaussian radius; larger is a smaller radius.
        radius_formula: ``'cornernet'`` (as released) or ``'exact'``, see :func:`gaussian_radius`.
        loss_center_heatmap: Focal loss, CL-MOT Eq. (1).
        loss_wh: L1 of the size, Eq. (3), mean over objects and both coordinates.
        loss_offset: L1 of the offset, likewise.
        train_cfg: Unused, part of the detector's interface.
        test_cfg: ``topk`` boxes at most, ``local_maximum_kernel`` of the peak search, ``score_thr`` below which boxes
            are dropped.
        init_cfg: Not used, as in the parent: :meth:`init_weights` does it all.
    """

    def __init__(
        self,
        in_channels: int,
        feat_channels: int,
        num_classes: int,
        embed_channels: int = 512,
        radius_overlap: float = 0.7,
        radius_formula: str = "cornernet",
        loss_center_heatmap: dict = dict(type="GaussianFocalLoss", loss_weight=1.0),  # noqa: B006
        loss_wh: dict = dict(type="L1Loss", loss_weight=0.1),  # noqa: B006
        loss_offset: dict = dict(type="L1Loss", loss_weight=1.0),  # noqa: B006
        train_cfg: dict | None = None,
        test_cfg: dict | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(
            in_channels,
            feat_channels,
            num_classes,
            loss_center_heatmap=loss_center_heatmap,
            loss_wh=loss_wh,
            loss_offset=loss_offset,
            train_cfg=train_cfg,
            test_cfg=test_cfg,
            init_cfg=init_cfg,
        )
        if radius_formula not in ("cornernet", "exact"):
            raise InputError(f"radius_formula must be 'cornernet' or 'exact', got {radius_formula!r}")
        self.embed_channels = embed_channels
        self.radius_overlap = radius_overlap
        self.radius_formula = radius_formula
        self.embed_head = self._build_head(in_channels, feat_channels, embed_channels)

    def init_weights(self) -> None:
        """Biases 0, heat map bias -2.19, weights as torch draws them (the release's choice, not the parent's)."""
        for branch in (self.heatmap_head, self.wh_head, self.offset_head, self.embed_head):
            for module in branch.modules():
                if isinstance(module, nn.Conv2d) and module.bias is not None:
                    module.reset_parameters()
                    nn.init.zeros_(module.bias)
        nn.init.constant_(self.heatmap_head[-1].bias, HEATMAP_BIAS)

    # ------------------------------------------------------------------------------------------------ forward passes
    def forward(self, feats: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor], list[Tensor], list[Tensor]]:
        """Feature maps -> (heatmaps after the sigmoid, sizes, offsets, embeds), each a list with one map."""
        return (*self.forward_detection(feats), [self.embed_head(feats[0])])

    def forward_detection(self, feats: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        """The first three results of :meth:`forward`, without the embedding map."""
        heatmap, size, offset = self.forward_single(feats[0])
        return [heatmap], [size], [offset]

    def forward_single(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The three maps; in half precision the sigmoid, and at test time the last layer too, compute in float32.

        Half a precision's step at a score of 0.4 is 0.001, which makes ties of peaks and moves boxes over thresholds.
        In training a sure false peak would round to 1, where the loss has no gradient.
        """
        if not torch.is_autocast_enabled(x.device.type):
            return super().forward_single(x)
        branches = (self.heatmap_head, self.wh_head, self.offset_head)
        if self.training:
            heatmap, size, offset = (branch(x).float() for branch in branches)
        else:
            hidden = [branch[:-1](x) for branch in branches]
            with torch.autocast(x.device.type, enabled=False):
                heatmap, size, offset = (branch[-1](maps.float()) for branch, maps in zip(branches, hidden))
        return heatmap.sigmoid(), size, offset

    def embed_at(self, feats: Sequence[Tensor], image: Tensor, cell: Tensor) -> Tensor:
        """Embeddings at chosen cells: equal to gathering from the embedding map, without computing the map.

        Args:
            feats: Feature maps, the first (N, in, H, W).
            image: (n,) index into the batch.
            cell: (n,) flat cell ``y * W + x``.

        Returns:
            (n, C), not normalised.
        """
        spatial, _, pointwise = self.embed_head
        feat = feats[0]
        padded = F.pad(feat, (1, 1, 1, 1)).permute(0, 2, 3, 1)
        width = feat.shape[-1]
        y, x = torch.div(cell, width, rounding_mode="floor"), cell % width
        step = torch.arange(3, device=cell.device)
        patches = padded[image[:, None, None], y[:, None, None] + step[:, None], x[:, None, None] + step[None, :]]
        hidden = F.linear(patches.flatten(1), spatial.weight.permute(0, 2, 3, 1).flatten(1), spatial.bias)
        return F.linear(hidden.relu(), pointwise.weight.flatten(1), pointwise.bias)

    # ------------------------------------------------------------------------------------------------------ training
    def locate(self, feats: Sequence[Tensor], batch_data_samples: Sequence) -> Centers:
        """Where the ground truth of ``batch_data_samples`` (DetDataSample) sits on the feature map."""
        instances = [sample.gt_instances for sample in batch_data_samples]
        return locate_centers(
            [item.bboxes for item in instances],
            [item.labels for item in instances],
            feats[0].shape[-2:],
            batch_data_samples[0].metainfo["batch_input_shape"],
        )

    def loss(self, x: Sequence[Tensor], batch_data_samples: Sequence) -> dict[str, Tensor]:
        """Detection losses alone; the embedding loss needs two views and is the model's (``CLMOT``)."""
        instances, ignored, metas = unpack_gt_instances(batch_data_samples)
        return self.loss_by_feat(*self.forward_detection(x), instances, metas, ignored)

    def loss_by_feat(
        self,
        heatmaps: Sequence[Tensor],
        sizes: Sequence[Tensor],
        offsets: Sequence[Tensor],
        batch_gt_instances: Sequence[InstanceData],
        batch_img_metas: Sequence[dict],
        batch_gt_instances_ignore: Sequence[InstanceData] | None = None,
    ) -> dict[str, Tensor]:
        """CL-MOT Eqs. (1) to (3) on one view: focal loss over the map, L1 at the centre cells.

        Args:
            heatmaps: One (N, classes, H, W) after the sigmoid.
            sizes: One (N, 2, H, W) in cells.
            offsets: One (N, 2, H, W) in cells.
            batch_gt_instances: Boxes and labels per image, network-input pixels.
            batch_img_metas: ``batch_input_shape`` of the first is read.
            batch_gt_instances_ignore: Not used, as in the parent.

        Returns:
            ``loss_center_heatmap``, ``loss_wh``, ``loss_offset``.
        """
        heatmap = heatmaps[0].float().clamp(PROBABILITY_MARGIN, 1 - PROBABILITY_MARGIN)
        centers = locate_centers(
            [item.bboxes for item in batch_gt_instances],
            [item.labels for item in batch_gt_instances],
            heatmap.shape[-2:],
            batch_img_metas[0]["batch_input_shape"],
        )
        radius = gaussian_radius(centers.size, self.radius_overlap, self.radius_formula)
        target = draw_gaussians(heatmap.shape, centers, radius)
        # Eq. (1) divides by the number of objects; two objects in one cell are one peak.
        counts = torch.stack([target.eq(1).sum(), target.new_tensor(2 * len(centers.cell))])
        peaks, elements = shared_count(counts)
        return dict(
            loss_center_heatmap=self.loss_center_heatmap(heatmap, target, avg_factor=peaks),
            loss_wh=self.loss_wh(_read(sizes[0], centers), centers.size, avg_factor=elements),
            loss_offset=self.loss_offset(_read(offsets[0], centers), centers.offset, avg_factor=elements),
        )

    # ----------------------------------------------------------------------------------------------------- inference
    def predict(self, x: Sequence[Tensor], batch_data_samples: Sequence, rescale: bool = False) -> list[InstanceData]:
        """Boxes with scores, labels and embeddings, best first, for each image.

        Args:
            x: Feature maps.
            batch_data_samples: DetDataSample per image; ``batch_input_shape`` and, with ``rescale``, ``scale_factor``
                (w, h) and ``pad_param`` (top, bottom, left, right) are read from its metainfo.
            rescale: Boxes in original-image pixels instead of network-input pixels.

        Returns:
            InstanceData per image: bboxes (n, 4) xyxy, scores (n,), labels (n,), embeds (n, C) not normalised.
        """
        metas = [sample.metainfo for sample in batch_data_samples]
        # float32: half precision cannot hold the pixels of a large picture.
        heatmap, size, offset = (maps[0].float() for maps in self.forward_detection(x))
        decoded = decode_centers(
            heatmap,
            size.clamp(min=0),  # an untrained branch gives negative sizes, hence corners in the wrong order
            offset,
            topk=self.test_cfg["topk"],
            kernel=self.test_cfg["local_maximum_kernel"],
        )
        # Everything of all images at once: what a GPU has to be asked for is how many boxes there are.
        image, rank = (decoded.scores > self.test_cfg.get("score_thr", 0.0)).nonzero(as_tuple=True)
        counts = torch.bincount(image, minlength=len(metas)).tolist()
        embeds = self.embed_at(x, image, decoded.cells[image, rank])
        fields = (decoded.bboxes[image, rank], decoded.scores[image, rank], decoded.labels[image, rank], embeds)
        results = []
        for meta, boxes, scores, labels, embeds in zip(metas, *(field.split(counts) for field in fields)):
            height, width = meta["batch_input_shape"]
            stride = boxes.new_tensor([width / x[0].shape[-1], height / x[0].shape[-2]]).repeat(2)
            bboxes = boxes * stride
            if rescale:
                bboxes = boxes_to_original(bboxes, *scaling_of(meta))
            results.append(InstanceData(bboxes=bboxes, scores=scores, labels=labels, embeds=embeds))
        return results


def decode_centers(heatmap: Tensor, size: Tensor, offset: Tensor, topk: int, kernel: int = 3) -> InstanceData:
    """The ``topk`` peaks of each image's heat maps as boxes (CenterNet's decoding).

    Args:
        heatmap: (N, classes, H, W) after the sigmoid.
        size: (N, 2, H, W) in cells.
        offset: (N, 2, H, W) in cells.
        topk: Peaks per image, over all classes.
        kernel: A peak is the largest value of its ``kernel`` x ``kernel`` neighbourhood.

    Returns:
        InstanceData with bboxes (N, k, 4) xyxy in cells, scores, labels and flat cells (N, k), best first.
    """
    peaks = get_local_maximum(heatmap, kernel=kernel)
    topk = min(topk, peaks[0].numel())
    scores, cells, labels, y, x = get_topk_from_heatmap(peaks, k=topk)
    center = torch.stack([x, y], -1) + transpose_and_gather_feat(offset, cells)
    half = transpose_and_gather_feat(size, cells) / 2
    return InstanceData(bboxes=torch.cat([center - half, center + half], -1), scores=scores, labels=labels, cells=cells)


def _read(maps: Tensor, centers: Centers) -> Tensor:
    """(N, c, H, W) at the centre cells -> (n, c)."""
    return maps.flatten(2)[centers.image, :, centers.cell].float()
