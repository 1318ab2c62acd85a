"""QuasiDenseHead: which regions of the two views are contrasted, and their embeddings (QDTrack section 3.2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from mmdet.models.task_modules import SamplingResult
from mmdet.registry import MODELS, TASK_UTILS
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import bbox2roi
from mmengine.model import BaseModule
from mmengine.structures import InstanceData
from torch import Tensor

from clmot_qd.errors import InputError

BACKGROUND = -1


class Regions(NamedTuple):
    """The regions of one view of a batch, with what they show."""

    embeds: Tensor  # (R, C), not normalised
    ids: Tensor  # (R,) identity of the object a region lies on, BACKGROUND without one
    image: Tensor  # (R,) index of the image in the batch


@MODELS.register_module()
class QuasiDenseHead(BaseModule):
    """Regions of interest -> embeddings, and the choice of regions for training.

    ::

        proposals of a view (P, 4)   -> assigner: on an object (IoU > 0.7), background (IoU < 0.3), or neither
        assigned proposals           -> sampler: up to 128 on objects (key), 256 half and half (reference)
        regions (R, 4)               -> RoIAlign over the pyramid (R, c, 7, 7) -> embed_head -> embeds (R, C)

    The key view contributes its regions on objects (V anchors), the reference view all of its regions (K targets). Two
    regions match if they lie on objects of one identity, whatever that number is; mmdet 3.3 leaves identity 0 out.
    Each view is assigned against its own objects and its own ignored regions; mmdet 3.3 takes the key's ignored regions
    for both. Public sources of the same algorithm: SysCV/qdtrack and mmdet's ``QuasiDenseTrackHead``, with whose
    parameter names (``embed_head.*``) the weights agree.

    Args:
        roi_extractor: Over the levels of the detector's neck, e.g. ``SingleRoIExtractor``.
        embed_head: mmdet's ``QuasiDenseEmbedHead`` (its own losses are not used), or any module (R, c, h, w) -> (R, C).
        train_cfg: ``assigner``, ``key_sampler``, ``ref_sampler`` of mmdet's registry, and ``candidates``:
            ``'proposals'`` (quasi-dense, the default) or ``'gt'`` (sparse matching of Table 4: the annotated boxes
            alone).
        test_cfg: Not used; part of mmdet's interface.
        init_cfg: As everywhere in mmengine.

    Raises:
        InputError: A key of ``train_cfg`` is missing or unknown.
    """

    def __init__(
        self,
        roi_extractor: dict[str, Any],
        embed_head: dict[str, Any],
        train_cfg: dict[str, Any] | None = None,
        test_cfg: dict[str, Any] | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.roi_extractor = MODELS.build(roi_extractor)
        self.embed_head = MODELS.build(embed_head)
        if train_cfg is not None:
            self._build_sampling(dict(train_cfg))

    def _build_sampling(self, train_cfg: dict[str, Any]) -> None:
        self.candidates = train_cfg.pop("candidates", "proposals")
        if self.candidates not in ("proposals", "gt"):
            raise InputError(f"track_head.train_cfg.candidates: {self.candidates!r} is not 'proposals' or 'gt'")
        parts = ("assigner", "key_sampler", "ref_sampler")
        for key in parts:
            if key not in train_cfg:
                raise InputError(f"track_head.train_cfg: has no key '{key}'; see _base_/models/qdtrack_*.py")
        for key in train_cfg:
            if key not in parts:
                raise InputError(f"track_head.train_cfg: unknown key '{key}'; it takes candidates, {', '.join(parts)}")
        self.assigner, self.key_sampler, self.ref_sampler = (_built(key, train_cfg[key]) for key in parts)

    # ------------------------------------------------------------------------------------------------------ training
    def key_regions(
        self, feats: Sequence[Tensor], proposals: Sequence[Tensor], samples: Sequence[DetDataSample]
    ) -> Regions:
        """The anchors: regions of the key view that lie on objects.

        Args:
            feats: Maps of the neck, each (N, c, h, w).
            proposals: Per image (P, 4) xyxy, network-input pixels.
            samples: ``gt_instances`` (bboxes, labels, instances_ids) and, if any, ``ignored_instances`` are read.
        """
        sampled = self._sample(self.key_sampler, proposals, samples)
        return self._embed(feats, [s.pos_priors for s in sampled], [_positive_ids(*p) for p in zip(sampled, samples)])

    def ref_regions(
        self, feats: Sequence[Tensor], proposals: Sequence[Tensor], samples: Sequence[DetDataSample]
    ) -> Regions:
        """The targets: regions of the reference view on objects and on the background; arguments as for the key."""
        sampled = self._sample(self.ref_sampler, proposals, samples)
        ids = [_with_background(_positive_ids(s, sample), len(s.neg_priors)) for s, sample in zip(sampled, samples)]
        return self._embed(feats, [s.priors for s in sampled], ids)

    def _sample(
        self, sampler: Any, proposals: Sequence[Tensor], samples: Sequence[DetDataSample]
    ) -> list[SamplingResult]:
        results = []
        for boxes, sample in zip(proposals, samples):
            # Sparse matching: no candidate but the annotated boxes, which the sampler adds (add_gt_as_proposals).
            candidates = InstanceData(priors=boxes if self.candidates == "proposals" else boxes[:0])
            truth, ignored = sample.gt_instances, sample.get("ignored_instances")
            assigned = self.assigner.assign(candidates, truth, ignored)
            results.append(sampler.sample(assigned, candidates, truth))
        return results

    def _embed(self, feats: Sequence[Tensor], boxes: list[Tensor], ids: list[Tensor]) -> Regions:
        counts = torch.tensor([len(b) for b in boxes], device=feats[0].device)
        image = torch.repeat_interleave(torch.arange(len(counts), device=counts.device), counts)
        return Regions(self.predict(feats, boxes), torch.cat(ids), image)

    # ----------------------------------------------------------------------------------------------------- inference
    def predict(self, feats: Sequence[Tensor], bboxes: Sequence[Tensor]) -> Tensor:
        """Embeddings of boxes.

        Args:
            feats: Maps of the neck, each (N, c, h, w).
            bboxes: Per image (n_i, 4) xyxy, network-input pixels.

        Returns:
            (sum of n_i, C), not normalised, image by image.
        """
        regions = self.roi_extractor(feats[: self.roi_extractor.num_inputs], bbox2roi(list(bboxes)))
        return self.embed_head(regions)


def _built(key: str, config: dict[str, Any]) -> Any:
    """Build an assigner or a sampler; what the registry says of a wrong one becomes an InputError naming the key."""
    try:
        return TASK_UTILS.build(config)
    except (KeyError, TypeError) as error:
        said = str(error.args[0] if error.args else error).strip().splitlines()[0]
        raise InputError(f"track_head.train_cfg.{key}: {said}") from error


def _positive_ids(sampled: SamplingResult, sample: DetDataSample) -> Tensor:
    """Identities of the sampled regions that lie on objects. -> (P,)."""
    ids = torch.as_tensor(sample.gt_instances.instances_ids, device=sampled.pos_priors.device).reshape(-1).long()
    return ids[sampled.pos_assigned_gt_inds]


def _with_background(ids: Tensor, background: int) -> Tensor:
    return torch.cat([ids, ids.new_full((background,), BACKGROUND)])
