"""The graph of CLMOT: pictures in, decoded boxes with the embeddings at their centres out."""

from __future__ import annotations

from torch import Tensor, nn

from clmot_qd.models import CLMOT
from clmot_qd.models.heads.center_embed_head import decode_centers

Outputs = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]
"""boxes (n, 4) xyxy in network-input pixels, scores (n,), labels (n,), embeds (n, C), image_index (n,)."""


class CenterGraph(nn.Module):
    """What :meth:`CLMOT.detect` computes, as a function of tensors alone.

    Rows of all pictures follow each other, best first within a picture; ``image_index`` tells them apart.

    Args:
        model: The model, in evaluation mode.
        stride: Pixels per cell of its feature map.
    """

    def __init__(self, model: CLMOT, stride: int) -> None:
        super().__init__()
        self.detector = model.detector
        self.stride = stride

    def forward(self, images: Tensor) -> Outputs:
        """(N, 3, H, W), normalised."""
        head = self.detector.bbox_head
        rules = head.test_cfg
        feats = self.detector.extract_feat(images)
        heatmap, size, offset = (maps[0] for maps in head.forward_detection(feats))
        found = decode_centers(
            heatmap, size.clamp(min=0), offset, topk=rules["topk"], kernel=rules["local_maximum_kernel"]
        )
        keep = found.scores > rules.get("score_thr", 0.0)
        image = keep.nonzero()[:, 0]
        embeds = head.embed_at(feats, image, found.cells[keep])
        return found.bboxes[keep] * self.stride, found.scores[keep], found.labels[keep], embeds, image
