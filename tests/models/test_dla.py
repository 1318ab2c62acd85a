"""DLA and DLANeck: the recorded public network, shapes, options."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from reference_weights import reference_state_dict
from torch import nn

from clmot_qd.checkpoints import compare_with_model, convert_state_dict
from clmot_qd.models.backbones import DLA
from clmot_qd.models.heads import CenterEmbedHead
from clmot_qd.models.necks import DLANeck
from clmot_qd.models.necks.dla_neck import bilinear_upsample


class Reference(nn.Module):
    """The public network's parts under the names that converted checkpoints use."""

    def __init__(self) -> None:
        super().__init__()
        self.detector = nn.Module()
        self.detector.backbone = DLA()
        self.detector.neck = DLANeck()
        self.detector.bbox_head = CenterEmbedHead(64, 256, num_classes=1, embed_channels=64)

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        heads = self.detector.bbox_head(self.detector.neck(self.detector.backbone(image)))
        heatmap, size, offset, embeds = (maps[0] for maps in heads)
        return {"hm": torch.logit(heatmap), "wh": size, "reg": offset, "id": embeds}


@pytest.fixture(scope="module")
def public_state(test_data: Path) -> dict[str, torch.Tensor]:
    shapes = json.loads((test_data / "dla34_state_dict_shapes.json").read_text())
    seed = int(np.load(test_data / "dla34_forward.npz")["seed"])
    return reference_state_dict(shapes, seed)


# Float64 lies 3e-4 away from the recording: that is float32 round-off, magnified by the sampling of the deformable
# convolutions. With the recording's two threads the sums run in the same order, so the bound of 1e-4 holds there.
@pytest.mark.parametrize(("threads", "tolerance"), [(2, 1e-4), (1, 1e-3)])
def test_a_converted_public_checkpoint_reproduces_the_recorded_forward_pass(
    test_data: Path, public_state: dict[str, torch.Tensor], threads: int, tolerance: float
) -> None:
    recorded = np.load(test_data / "dla34_forward.npz")
    model = Reference().eval()
    converted = convert_state_dict(public_state, source="clmot")
    report = compare_with_model(converted, model)
    assert (report.missing, report.unexpected, report.mismatched) == ([], [], [])
    model.load_state_dict(converted)
    image = np.random.default_rng(int(recorded["seed"])).standard_normal(tuple(recorded["input_shape"]))
    with thread_count(threads), torch.no_grad():
        heads = model(torch.from_numpy(image.astype(np.float32)))
    for name, value in heads.items():
        np.testing.assert_allclose(value.numpy(), recorded[name], atol=tolerance, err_msg=name)


@contextmanager
def thread_count(count: int) -> Iterator[None]:
    """Let torch use ``count`` threads for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def test_the_public_network_has_two_projections_that_nothing_reads(public_state: dict[str, torch.Tensor]) -> None:
    changed = dict(public_state)
    for key in changed:
        if key.startswith(("base.level3.project", "base.level4.project")):
            changed[key] = torch.full_like(changed[key], 7)
    one, other = convert_state_dict(public_state, "clmot"), convert_state_dict(changed, "clmot")
    assert one.keys() == other.keys()
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_strides_and_channels() -> None:
    channels = (4, 4, 8, 12, 16, 20)
    maps = DLA(channels=channels)(torch.zeros(2, 3, 64, 96))
    assert [tuple(m.shape) for m in maps] == [(2, 8, 16, 24), (2, 12, 8, 12), (2, 16, 4, 6), (2, 20, 2, 3)]
    for use_dcn in (True, False):
        (out,) = DLANeck(in_channels=channels[2:], use_dcn=use_dcn)(maps)
        assert out.shape == (2, 8, 16, 24)


def test_an_image_that_is_no_multiple_of_32_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"multiples of 32, got \(60, 96\)"):
        DLA(channels=(4, 4, 8, 12, 16, 20))(torch.zeros(1, 3, 60, 96))


def test_norm_eval_keeps_the_statistics_through_train() -> None:
    model = DLA(channels=(4, 4, 8, 12, 16, 20), norm_eval=True).train()
    before = model.stem.bn.running_mean.clone()
    model(torch.randn(1, 3, 32, 32))
    assert torch.equal(before, model.stem.bn.running_mean)
    assert not any(m.training for m in model.modules() if isinstance(m, nn.BatchNorm2d))


@pytest.mark.parametrize("factor", [2, 4])
def test_the_upsampling_starts_as_bilinear_interpolation(factor: int) -> None:
    image = torch.rand(1, 3, 6, 7)
    expected = nn.functional.interpolate(image, scale_factor=factor, mode="bilinear", align_corners=False)
    inner = slice(2 * factor, -2 * factor)  # the transposed convolution sees zeros beyond the border
    actual = bilinear_upsample(3, factor)(image)
    torch.testing.assert_close(actual[..., inner, inner], expected[..., inner, inner])
