"""DLANeck: the up-sampling half of CenterNet's DLA-34, from strides 4..32 to one map at stride 4."""

from __future__ import annotations

from collections.abc import Sequence

import mmcv.ops  # noqa: F401 - registers DCNv2
import torch
from mmcv.cnn import ConvModule
from mmdet.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn

from clmot_qd.models.checkpointing import checkpointed


def bilinear_upsample(channels: int, factor: int) -> nn.ConvTranspose2d:
    """A learnable per-channel up-sampling by ``factor`` (a power of two) that starts as bilinear interpolation."""
    up = nn.ConvTranspose2d(
        channels, channels, 2 * factor, stride=factor, padding=factor // 2, groups=channels, bias=False
    )
    ramp = 1 - (torch.arange(2 * factor) - (factor - 0.5)).abs() / factor
    with torch.no_grad():
        up.weight.copy_((ramp[:, None] * ramp[None, :]).expand_as(up.weight))
    return up


class IterativeAggregation(BaseModule):
    """Iterative deep aggregation: each coarser map is projected, up-sampled and merged into the finer ones, in turn.

    Args:
        in_channels: Channels of the maps, finest first.
        out_channels: Channels of every result.
        factors: Up-sampling factor of each map after the first to the resolution of the first.
        use_dcn: DCNv2 (mmcv's ModulatedDeformConv2d) for projections and merges; plain 3x3 convolutions otherwise.
        norm_cfg: Normalisation layer.
        with_cp: Gradient checkpointing of every node.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        out_channels: int,
        factors: Sequence[int],
        use_dcn: bool,
        norm_cfg: dict,
        with_cp: bool = False,
    ) -> None:
        super().__init__()
        self.with_cp = with_cp
        # DCNv2 carries a bias although a norm follows: the public checkpoints have it.
        conv_cfg = dict(type="DCNv2") if use_dcn else None
        bias: bool | str = True if use_dcn else "auto"

        def conv(channels: int) -> ConvModule:
            return ConvModule(channels, out_channels, 3, padding=1, conv_cfg=conv_cfg, norm_cfg=norm_cfg, bias=bias)

        self.projections = nn.ModuleList(conv(channels) for channels in in_channels[1:])
        self.upsamples = nn.ModuleList(bilinear_upsample(out_channels, factor) for factor in factors)
        self.merges = nn.ModuleList(conv(out_channels) for _ in factors)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Maps finest first -> the merged maps, one for each input after the first, all at the finest resolution."""
        merged = []
        finer = maps[0]
        for index, coarse in enumerate(maps[1:]):
            if self.with_cp and torch.is_grad_enabled():
                finer = checkpointed(self, self._merge, index, finer, coarse)
            else:
                finer = self._merge(index, finer, coarse)
            merged.append(finer)
        return merged

    def _merge(self, index: int, finer: Tensor, coarse: Tensor) -> Tensor:
        """One node: the coarser map comes to the finer one's resolution and is merged into it."""
        return self.merges[index](self.upsamples[index](self.projections[index](coarse)) + finer)


@MODELS.register_module()
class DLANeck(BaseModule):
    """Brings the four maps of :class:`DLA` (or of any backbone at strides 4, 8, 16, 32) to one map at stride 4.

    ::

        (N, c2, H/4, W/4) (N, c3, H/8, W/8) (N, c4, H/16, W/16) (N, c5, H/32, W/32)
        three rounds, coarsest pair first: all maps from the pair on are merged to the finer one's resolution;
        the last map of each round is kept     -> 512 @ 32, 256 @ 16, 128 @ 8, 64 @ 4
        the three finest are merged once more  -> (N, c2, H/4, W/4)

    Paper: CL-MOT section 3.1, "we replace all convolutions in the up-sampling layers with deformable convolutions".

    Args:
        in_channels: Channels of the four inputs, finest first.
        use_dcn: False replaces DCNv2 by plain 3x3 convolutions: no compiled operator, several times faster on CPUs.
        norm_cfg: Normalisation layer.
        with_cp: Gradient checkpointing: the inside of every aggregation node is computed again in the backward pass.
        init_cfg: As everywhere in mmengine.
    """

    def __init__(
        self,
        in_channels: Sequence[int] = (64, 128, 256, 512),
        use_dcn: bool = True,
        norm_cfg: dict = dict(type="BN"),  # noqa: B006 - OpenMMLab convention, never written to
        with_cp: bool = False,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        channels = list(in_channels)
        rounds = []
        incoming = list(channels)
        for finest in range(len(channels) - 2, -1, -1):
            # Every map after the finest of this round has by now the resolution of the one after it: factor 2 each.
            factors = [2] * (len(channels) - 1 - finest)
            rounds.append(
                IterativeAggregation(incoming[finest:], channels[finest], factors, use_dcn, norm_cfg, with_cp)
            )
            incoming[finest + 1 :] = [channels[finest]] * len(factors)
        self.rounds = nn.ModuleList(rounds)
        self.final = IterativeAggregation(
            channels[:-1], channels[0], [2**i for i in range(1, len(channels) - 1)], use_dcn, norm_cfg, with_cp
        )

    def forward(self, inputs: Sequence[Tensor]) -> tuple[Tensor]:
        """Four maps at strides 4, 8, 16, 32 -> a tuple of one map (N, c2, H/4, W/4)."""
        maps = list(inputs)
        kept = []
        for finest, aggregate in zip(range(len(maps) - 2, -1, -1), self.rounds):
            maps[finest + 1 :] = aggregate(maps[finest:])
            kept.append(maps[-1])
        return (self.final(kept[::-1])[-1],)
