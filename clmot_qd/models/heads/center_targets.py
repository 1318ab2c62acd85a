"""Training targets of centre-based detection: cells, Gaussian radii and heat maps, for a whole batch at once.

Legend: n objects of all images together, (H, W) the map at stride R.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from mmdet.structures.bbox import get_box_tensor
from torch import Tensor

_LARGEST_SIZE = 1e9  # cells


@dataclass(frozen=True)
class Centers:
    """Objects of a batch whose centre lies on the map, as flat tensors of length n.

    Attributes:
        image: Index of the image in the batch.
        index: Index of the object in its image's ground truth.
        cell: Flat cell ``y * W + x`` of the down-scaled centre (CL-MOT section 4.1: floor((x1 + x2) / 2R)).
        offset: (n, 2) centre minus cell, in cells, 0 <= offset < 1.
        size: (n, 2) width and height in cells.
        label: Class index.
    """

    image: Tensor
    index: Tensor
    cell: Tensor
    offset: Tensor
    size: Tensor
    label: Tensor


def locate_centers(
    bboxes: Sequence[Tensor], labels: Sequence[Tensor], map_shape: Sequence[int], input_shape: Sequence[int]
) -> Centers:
    """Where the objects of a batch sit on the map.

    Objects without area, with non-finite coordinates or with the centre outside the map are left out: a two-view
    augmentation moves centres out of the picture, and the released code indexes out of bounds there (mmdet too).

    Args:
        bboxes: Per image (n_i, 4) xyxy, network-input pixels (tensors or mmdet boxes).
        labels: Per image (n_i,).
        map_shape: (H, W) of the map.
        input_shape: (height, width) of the network input.
    """
    boxes = [get_box_tensor(b).reshape(-1, 4).float() for b in bboxes]
    counts = torch.tensor([len(b) for b in boxes], device=boxes[0].device)
    image = torch.repeat_interleave(torch.arange(len(boxes), device=counts.device), counts)
    index = torch.arange(int(counts.sum()), device=counts.device) - (counts.cumsum(0) - counts)[image]
    flat = torch.cat(boxes)
    height, width = map_shape
    scale = flat.new_tensor([width / input_shape[1], height / input_shape[0]])
    center = (flat[:, :2] + flat[:, 2:]) / 2 * scale
    size = (flat[:, 2:] - flat[:, :2]) * scale
    cell = center.floor()
    limit = flat.new_tensor([width, height])
    keep = ((cell >= 0) & (cell < limit) & (size > 0) & size.isfinite()).all(1)
    cell, center = cell[keep], center[keep]
    flat_cell = (cell[:, 1] * width + cell[:, 0]).long()
    return Centers(image[keep], index[keep], flat_cell, center - cell, size[keep], torch.cat(list(labels))[keep].long())


def gaussian_radius(size: Tensor, min_overlap: float = 0.7, formula: str = "cornernet") -> Tensor:
    """Radius within which a shifted box still has IoU ``min_overlap`` with the object, in cells.

    Three cases (both corners inside, both outside, one of each) give three quadratics in the radius. ``'exact'`` takes
    their proper roots, as mmdet does; ``'cornernet'`` takes (b + sqrt(disc)) / 2 in all three, which is what CornerNet,
    CenterNet, FairMOT and CL-MOT released and trained with, on sides rounded up to whole cells: about 1.3 times mmdet's
    radii at its overlap of 0.3.

    Args:
        size: (n, 2) width and height in cells.
        min_overlap: The IoU.
        formula: ``'cornernet'`` or ``'exact'``.

    Returns:
        (n,) radii, not rounded.
    """
    size = size.clamp(max=_LARGEST_SIZE)  # whose squares are finite
    size = size.ceil() if formula == "cornernet" else size  # the release measures in whole cells
    total, area = size.sum(1), size.prod(1)
    o = min_overlap
    quadratics = (
        (torch.ones_like(total), total, area * (1 - o) / (1 + o), -1),
        (torch.full_like(total, 4.0), 2 * total, (1 - o) * area, -1),
        (torch.full_like(total, 4.0 * o), -2 * o * total, (o - 1) * area, 1),
    )
    radii = []
    for a, b, c, sign in quadratics:
        root = (b * b - 4 * a * c).clamp(min=0).sqrt()
        radii.append((b + root) / 2 if formula == "cornernet" else (b + sign * root) / (2 * a))
    return torch.stack(radii).amin(0)


def draw_gaussians(shape: Sequence[int], centers: Centers, radius: Tensor) -> Tensor:
    """Heat maps of CL-MOT Eq. (2): for each cell the largest of all objects' Gaussians of its image and class.

    sigma = (2 r + 1) / 6 and each Gaussian ends at its radius, as released. Only the cells under some Gaussian are
    computed, all objects in one go.

    Args:
        shape: (N, classes, H, W).
        centers: The objects.
        radius: (n,) whole, non-negative.

    Returns:
        (N, classes, H, W), 1 at each centre cell.
    """
    _, classes, height, width = shape
    # Of an object far larger than the map every cell lies near the middle; as many as these are enough.
    radius = radius.clamp(max=max(height, width)).long()
    y, x = torch.div(centers.cell, width, rounding_mode="floor"), centers.cell % width
    # What of each Gaussian lies on the map.
    top, left = torch.minimum(radius, y), torch.minimum(radius, x)
    rows = top + 1 + torch.minimum(radius, height - 1 - y)
    columns = left + 1 + torch.minimum(radius, width - 1 - x)
    area = rows * columns
    owner = torch.repeat_interleave(torch.arange(len(area), device=area.device), area)
    position = torch.arange(len(owner), device=area.device) - (area.cumsum(0) - area)[owner]
    dy = torch.div(position, columns[owner], rounding_mode="floor") - top[owner]
    dx = position % columns[owner] - left[owner]
    sigma = (2 * radius + 1)[owner].float() / 6
    value = torch.exp(-(dx * dx + dy * dy) / (2 * sigma * sigma))
    plane = centers.image * classes + centers.label
    heatmap = value.new_zeros(tuple(shape))
    cell = ((plane * height + y) * width + x)[owner] + dy * width + dx
    heatmap.view(-1).scatter_reduce_(0, cell, value, "amax")
    return heatmap
