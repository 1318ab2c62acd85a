"""CenterEmbedHead and its targets, against naive loops, the recorded decoder and the printed tables."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.models.utils.gaussian_target import gaussian_radius as mmdet_radius
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData

from clmot_qd.models.heads import CenterEmbedHead
from clmot_qd.models.heads.center_embed_head import decode_centers
from clmot_qd.models.heads.center_targets import draw_gaussians, gaussian_radius, locate_centers

STRIDE = 4


def head_of(classes: int = 1, embed_channels: int = 6, **kwargs: object) -> CenterEmbedHead:
    torch.manual_seed(0)
    head = CenterEmbedHead(8, 8, classes, embed_channels, test_cfg=dict(topk=20, local_maximum_kernel=3), **kwargs)
    head.init_weights()
    return head


def sample_of(boxes: list[list[float]], labels: list[int] | None = None, shape: tuple[int, int] = (64, 96)):
    sample = DetDataSample(metainfo=dict(batch_input_shape=shape, img_shape=shape))
    sample.gt_instances = InstanceData(
        bboxes=torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        labels=torch.tensor(labels or [0] * len(boxes), dtype=torch.long),
    )
    return sample


# -------------------------------------------------------------------------------------------------------------- targets
# (h, w) -> radius with the release's roots at overlap 0.7 and with the proper roots at 0.7 and 0.3, measured by running
# the public code.
RADII = [
    ((4, 2), 0.74, 0.22, 0.58),
    ((20, 8), 3.17, 0.92, 2.42),
    ((40, 16), 6.34, 1.83, 4.83),
    ((80, 32), 12.69, 3.67, 9.67),
    ((120, 50), 19.57, 5.67, 15.0),
    ((152, 272), 53.66, 15.80, 42.75),
]


@pytest.mark.parametrize(("size", "released", "exact7", "exact3"), RADII)
def test_radius_table(size: tuple[int, int], released: float, exact7: float, exact3: float) -> None:
    height, width = size
    boxes = torch.tensor([[float(width), float(height)]])
    assert gaussian_radius(boxes, 0.7, "cornernet").item() == pytest.approx(released, abs=0.006)
    assert gaussian_radius(boxes, 0.7, "exact").item() == pytest.approx(exact7, abs=0.006)
    assert gaussian_radius(boxes, 0.3, "exact").item() == pytest.approx(exact3, abs=0.006)


def test_the_released_radius_counts_whole_cells() -> None:
    sizes = torch.tensor([[1.2, 3.5], [2.0, 4.0]])
    torch.testing.assert_close(*gaussian_radius(sizes).unbind())
    assert gaussian_radius(sizes, 0.7, "exact").unique().numel() == 2


def test_exact_radius_equals_mmdet() -> None:
    sizes = torch.rand(50, 2, generator=torch.Generator().manual_seed(1)) * 60 + 1
    expected = [mmdet_radius([h, w], min_overlap=0.5) for w, h in sizes]
    torch.testing.assert_close(
        gaussian_radius(sizes, 0.5, "exact"), torch.stack([torch.as_tensor(e) for e in expected])
    )


def test_a_sure_false_peak_is_corrected_in_half_precision_too() -> None:
    """A score of 0.999 rounds to 1 in bfloat16."""
    head = head_of().train()
    torch.nn.init.constant_(head.heatmap_head[-1].bias, 7.0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        losses = head.loss([torch.zeros(1, 8, 16, 24)], [sample_of([])])
    losses["loss_center_heatmap"].backward()
    assert head.heatmap_head[-1].bias.grad.item() > 1


def naive_heatmap(boxes: list[np.ndarray], labels: list[list[int]], shape: tuple[int, int, int, int]) -> np.ndarray:
    """Eq. (2), object by object and cell by cell."""
    heatmap = np.zeros(shape)
    for image, (image_boxes, image_labels) in enumerate(zip(boxes, labels)):
        for (x1, y1, x2, y2), label in zip(image_boxes, image_labels):
            cx, cy = math.floor((x1 + x2) / (2 * STRIDE)), math.floor((y1 + y2) / (2 * STRIDE))
            size = torch.tensor([[(x2 - x1) / STRIDE, (y2 - y1) / STRIDE]], dtype=torch.float32)
            radius = int(gaussian_radius(size).item())
            sigma = (2 * radius + 1) / 6
            for y in range(max(0, cy - radius), min(shape[2], cy + radius + 1)):
                for x in range(max(0, cx - radius), min(shape[3], cx + radius + 1)):
                    value = math.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * sigma**2))
                    heatmap[image, label, y, x] = max(heatmap[image, label, y, x], value)
    return heatmap


def test_heatmaps_of_a_batch_equal_the_naive_loop() -> None:
    rng = np.random.default_rng(3)
    boxes, labels = [], []
    for count in (7, 0, 12):
        corner = rng.uniform(0, [70, 40], (count, 2))
        boxes.append(np.concatenate([corner, corner + rng.uniform(4, 24, (count, 2))], 1).astype(np.float32))
        labels.append(rng.integers(0, 2, count).tolist())
    centers = locate_centers(
        [torch.from_numpy(b) for b in boxes], [torch.tensor(i).long() for i in labels], (16, 24), (64, 96)
    )
    actual = draw_gaussians((3, 2, 16, 24), centers, gaussian_radius(centers.size))
    np.testing.assert_allclose(actual.numpy(), naive_heatmap(boxes, labels, (3, 2, 16, 24)), atol=1e-6)


def test_cells_and_offsets_follow_section_4_1() -> None:
    centers = locate_centers([torch.tensor([[10.0, 9.0, 23.0, 30.0]])], [torch.tensor([0])], (16, 24), (64, 96))
    assert centers.cell.item() == math.floor(39 / 8) * 24 + math.floor(33 / 8)
    np.testing.assert_allclose(centers.offset[0], [33 / 8 - 4, 39 / 8 - 4])
    np.testing.assert_allclose(centers.size[0], [13 / 4, 21 / 4])


@pytest.mark.parametrize(
    "box",
    [[-30, 0, 10, 20], [90, 10, 120, 30], [5, 60, 20, 90], [10, 10, 10, 30], [math.nan, 1, 2, 3], [0, 0, math.inf, 5]],
    ids=["left", "right", "below", "no width", "nan", "inf"],
)
def test_boxes_without_a_centre_on_the_map_are_left_out(box: list[float]) -> None:
    centers = locate_centers([torch.tensor([box, [8, 8, 24, 40]])], [torch.tensor([0, 0])], (16, 24), (64, 96))
    assert centers.index.tolist() == [1]


# --------------------------------------------------------------------------------------------------------------- losses
def losses_of(head: CenterEmbedHead, samples: list, seed: int = 0) -> dict[str, torch.Tensor]:
    feats = (torch.randn(len(samples), 8, 16, 24, generator=torch.Generator().manual_seed(seed)),)
    return head.loss(feats, samples)


def test_losses_equal_the_naive_equations() -> None:
    head = head_of()
    samples = [sample_of([[8, 8, 24, 40], [50, 20, 66, 60]]), sample_of([[30, 10, 50, 50]])]
    feats = (torch.randn(2, 8, 16, 24, generator=torch.Generator().manual_seed(0)),)
    heatmap, size, offset = (maps[0].detach().double().numpy() for maps in head.forward_detection(feats))
    boxes = [s.gt_instances.bboxes.numpy() for s in samples]
    target = naive_heatmap(boxes, [[0] * len(b) for b in boxes], (2, 1, 16, 24))
    focal, l1_size, l1_offset, count = 0.0, 0.0, 0.0, 0
    for index in np.ndindex(target.shape):
        p, t = heatmap[index], target[index]
        focal -= (1 - p) ** 2 * math.log(p) if t == 1 else (1 - t) ** 4 * p**2 * math.log(1 - p)
    for image, image_boxes in enumerate(boxes):
        for x1, y1, x2, y2 in image_boxes:
            cx, cy = (x1 + x2) / 8, (y1 + y2) / 8
            cell = image, slice(None), math.floor(cy), math.floor(cx)
            l1_size += np.abs(size[cell] - [(x2 - x1) / 4, (y2 - y1) / 4]).sum()
            l1_offset += np.abs(offset[cell] - [cx % 1, cy % 1]).sum()
            count += 1
    losses = head.loss(feats, samples)
    assert losses["loss_center_heatmap"].item() == pytest.approx(focal / count, rel=1e-4)
    assert losses["loss_wh"].item() == pytest.approx(0.1 * l1_size / (2 * count), rel=1e-4)
    assert losses["loss_offset"].item() == pytest.approx(l1_offset / (2 * count), rel=1e-4)


@pytest.mark.parametrize("count", [0, 1, 200, 1000])
def test_any_number_of_objects_gives_finite_losses_and_gradients(count: int) -> None:
    head = head_of()
    corner = np.random.default_rng(0).uniform(-10, 90, (count, 2))
    boxes = np.concatenate([corner, corner + 12], 1).tolist()
    losses = losses_of(head, [sample_of(boxes), sample_of([])])
    sum(losses.values()).backward()
    assert all(math.isfinite(v.item()) for v in losses.values())
    assert all(torch.isfinite(p.grad).all() for p in head.parameters() if p.grad is not None)


def test_two_objects_in_one_cell_both_count() -> None:
    head = head_of()
    one, two = [8.0, 8.0, 24.0, 24.0], [4.0, 0.0, 28.0, 32.0]
    alone = [losses_of(head, [sample_of([b])])["loss_wh"].item() for b in (one, two)]
    assert losses_of(head, [sample_of([one, two])])["loss_wh"].item() == pytest.approx(sum(alone) / 2, rel=1e-5)


def test_half_precision_heatmap_of_zeros_and_ones_is_finite() -> None:
    head = head_of()
    heatmap = torch.zeros(1, 1, 16, 24, dtype=torch.float16)
    heatmap[..., ::2] = 1
    maps = torch.zeros(1, 2, 16, 24, dtype=torch.float16)
    sample = sample_of([[8, 8, 24, 40]])
    losses = head.loss_by_feat([heatmap], [maps], [maps], [sample.gt_instances], [sample.metainfo])
    assert all(math.isfinite(v.item()) for v in losses.values())


# ----------------------------------------------------------------------------------------------------------- embeddings
def test_embeddings_at_cells_equal_those_of_the_map() -> None:
    head = head_of()
    feats = (torch.randn(2, 8, 16, 24),)
    full = head(feats)[3][0].flatten(2)
    image = torch.arange(2).repeat_interleave(16 * 24)  # every cell, borders and corners included
    cell = torch.arange(16 * 24).repeat(2)
    torch.testing.assert_close(head.embed_at(feats, image, cell), full[image, :, cell])
    assert head.embed_at(feats, image[:0], cell[:0]).shape == (0, 6)


# ------------------------------------------------------------------------------------------------------------- decoding
def test_decoding_equals_the_recorded_public_decoder(test_data: Path) -> None:
    recorded = np.load(test_data / "centernet_decode.npz")
    maps = (torch.from_numpy(recorded[name]) for name in ("heatmap", "wh", "offset"))
    decoded = decode_centers(*maps, topk=50)
    np.testing.assert_array_equal(decoded.cells.numpy(), recorded["inds"])
    np.testing.assert_allclose(decoded.bboxes.numpy(), recorded["dets"][..., :4], atol=1e-4)
    np.testing.assert_allclose(decoded.scores.numpy(), recorded["dets"][..., 4], atol=1e-6)
    np.testing.assert_array_equal(decoded.labels.numpy(), recorded["dets"][..., 5])


def test_predictions_undo_the_letterbox_and_keep_embeddings_in_order() -> None:
    head = head_of(classes=2)
    feats = (torch.randn(1, 8, 16, 24),)
    sample = sample_of([])
    sample.set_metainfo(dict(scale_factor=(0.5, 0.5), pad_param=(4, 4, 8, 8)))
    plain, original = (head.predict(feats, [sample], rescale=r)[0] for r in (False, True))
    expected = (plain.bboxes - torch.tensor([8.0, 4.0, 8.0, 4.0])) / 0.5
    torch.testing.assert_close(original.bboxes, expected)
    decoded = decode_centers(*(m[0] for m in head.forward_detection(feats)), topk=20)
    full = head(feats)[3][0].flatten(2)[0]
    torch.testing.assert_close(plain.embeds, full[:, decoded.cells[0]].T)
    assert (plain.scores[:-1] >= plain.scores[1:]).all()


def test_an_untrained_head_gives_no_inside_out_boxes() -> None:
    head = head_of()
    found = head.predict((torch.randn(1, 8, 16, 24) * 20,), [sample_of([])])[0]
    raw = head.forward_detection((torch.randn(1, 8, 16, 24) * 20,))[1][0]
    assert raw.min() < 0
    assert (found.bboxes[:, 2:] >= found.bboxes[:, :2]).all()


def test_score_thr_and_small_maps() -> None:
    head = head_of()
    head.test_cfg = dict(topk=1000, local_maximum_kernel=3, score_thr=0.999)
    assert len(head.predict((torch.randn(1, 8, 4, 4),), [sample_of([], shape=(16, 16))])[0]) == 0
    head.test_cfg["score_thr"] = 0.0
    assert len(head.predict((torch.randn(1, 8, 4, 4),), [sample_of([], shape=(16, 16))])[0]) <= 16


def test_an_unknown_radius_formula_is_named() -> None:
    with pytest.raises(ValueError, match="radius_formula"):
        head_of(radius_formula="cornernett")
