"""DLA: the encoder of CL-MOT, FairMOT and CenterNet (Yu et al., "Deep Layer Aggregation", CVPR 2018)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmcv.cnn import ConvModule
from mmdet.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn

from clmot_qd.errors import InputError
from clmot_qd.models.checkpointing import checkpointed

NORM = dict(type="BN")


class ResidualUnit(BaseModule):
    """Two 3x3 convolutions added to a shortcut that the caller prepares (pooled and projected as needed).

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the result and of the shortcut.
        stride: Stride of the first convolution.
        norm_cfg: Normalisation layer.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1, norm_cfg: dict = NORM) -> None:
        super().__init__()
        self.conv1 = ConvModule(in_channels, out_channels, 3, stride=stride, padding=1, norm_cfg=norm_cfg)
        self.conv2 = ConvModule(out_channels, out_channels, 3, padding=1, norm_cfg=norm_cfg, act_cfg=None)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor, shortcut: Tensor) -> Tensor:
        """(N, in, H, W) and (N, out, H/stride, W/stride) -> (N, out, H/stride, W/stride)."""
        return self.relu(self.conv2(self.conv1(x)) + shortcut)


class Leaf(BaseModule):
    """The smallest aggregation node: two units whose outputs a 1x1 root fuses with whatever older features arrive.

    ::

        x --> unit1 --> unit2 --> root(cat(unit2, unit1, *older)) --> out
         \\-> pool, 1x1 projection -> shortcut of unit1

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the result.
        stride: 1, or 2 where the node halves the resolution.
        older_channels: Channels of the older features together.
        norm_cfg: Normalisation layer.
    """

    def __init__(
        self, in_channels: int, out_channels: int, stride: int = 1, older_channels: int = 0, norm_cfg: dict = NORM
    ) -> None:
        super().__init__()
        self.pool = nn.MaxPool2d(stride) if stride > 1 else nn.Identity()
        self.project: nn.Module = (
            nn.Identity()
            if in_channels == out_channels
            else ConvModule(in_channels, out_channels, 1, norm_cfg=norm_cfg, act_cfg=None)
        )
        self.unit1 = ResidualUnit(in_channels, out_channels, stride, norm_cfg)
        self.unit2 = ResidualUnit(out_channels, out_channels, 1, norm_cfg)
        self.root = ConvModule(2 * out_channels + older_channels, out_channels, 1, norm_cfg=norm_cfg)

    def forward(self, x: Tensor, older: Sequence[Tensor] = ()) -> Tensor:
        """(N, in, H, W) -> (N, out, H/stride, W/stride); ``older`` has the resolution of the result."""
        first = self.unit1(x, self.project(self.pool(x)))
        second = self.unit2(first, first)
        return self.root(torch.cat([second, first, *older], dim=1))


class Tree(BaseModule):
    """``depth`` levels of hierarchical aggregation: 2 ** (depth - 1) leaves in a row; the last one fuses all of them.

    ``pass_input`` hands the pooled input itself to the last root as well ("level root" of the paper).
    Arguments otherwise as for :class:`Leaf`.
    """

    def __init__(
        self,
        depth: int,
        in_channels: int,
        out_channels: int,
        stride: int = 1,
        older_channels: int = 0,
        pass_input: bool = False,
        norm_cfg: dict = NORM,
    ) -> None:
        super().__init__()
        self.pass_input = pass_input
        self.pool = nn.MaxPool2d(stride) if stride > 1 else nn.Identity()
        older_channels += in_channels if pass_input else 0
        self.first: Tree | None = None
        if depth > 1:
            self.first = Tree(depth - 1, in_channels, out_channels, stride, norm_cfg=norm_cfg)
            self.last: Tree | Leaf = Tree(
                depth - 1, out_channels, out_channels, 1, older_channels + out_channels, norm_cfg=norm_cfg
            )
        else:
            self.last = Leaf(in_channels, out_channels, stride, older_channels, norm_cfg)

    def forward(self, x: Tensor, older: Sequence[Tensor] = ()) -> Tensor:
        """(N, in, H, W) -> (N, out, H/stride, W/stride)."""
        older = list(older)
        if self.pass_input:
            older.append(self.pool(x))
        if self.first is None:
            return self.last(x, older)
        head = self.first(x)
        return self.last(head, [*older, head])


@MODELS.register_module()
class DLA(BaseModule):
    """Deep layer aggregation encoder with 34 layers; also the tiny variants, by ``channels``.

    ::

        image (N, 3, H, W)
        stem     7x7           (N, c0, H,    W)
        level 0  3x3           (N, c0, H,    W)
        level 1  3x3, stride 2 (N, c1, H/2,  W/2)
        level 2  tree          (N, c2, H/4,  W/4)   -> output 0
        level 3  tree          (N, c3, H/8,  W/8)   -> output 1
        level 4  tree          (N, c4, H/16, W/16)  -> output 2
        level 5  tree          (N, c5, H/32, W/32)  -> output 3

    Args:
        channels: Channels of the six levels; the default is DLA-34.
        tree_depths: Depth of the trees of levels 2 to 5.
        in_channels: Channels of the image.
        norm_cfg: Normalisation layer.
        norm_eval: Keep BatchNorm statistics fixed during training (small batches, fine-tuning).
        with_cp: Gradient checkpointing: keep the maps between the levels alone, and compute the levels again in the
            backward pass. Less memory, more time, the same numbers.
        init_cfg: As everywhere in mmengine, e.g. ``dict(type='Pretrained', checkpoint=...)``. ImageNet and CenterNet
            files have other key names: run ``tools/convert_checkpoint.py`` on them first.

    Height and width of the image must be multiples of 32.
    """

    def __init__(
        self,
        channels: Sequence[int] = (16, 32, 64, 128, 256, 512),
        tree_depths: Sequence[int] = (1, 2, 2, 1),
        in_channels: int = 3,
        norm_cfg: dict = NORM,
        norm_eval: bool = False,
        with_cp: bool = False,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        if len(channels) != 6 or len(tree_depths) != 4:
            raise InputError(
                f"DLA has six levels of channels and four trees, got channels={channels}, tree_depths={tree_depths}"
            )
        self.norm_eval = norm_eval
        self.with_cp = with_cp
        self.stem = ConvModule(in_channels, channels[0], 7, padding=3, norm_cfg=norm_cfg)
        self.level0 = ConvModule(channels[0], channels[0], 3, padding=1, norm_cfg=norm_cfg)
        self.level1 = ConvModule(channels[0], channels[1], 3, stride=2, padding=1, norm_cfg=norm_cfg)
        for level in range(2, 6):
            tree = Tree(
                tree_depths[level - 2],
                channels[level - 1],
                channels[level],
                stride=2,
                pass_input=level > 2,
                norm_cfg=norm_cfg,
            )
            self.add_module(f"level{level}", tree)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """(N, 3, H, W) -> four maps at strides 4, 8, 16 and 32."""
        if x.shape[-2] % 32 or x.shape[-1] % 32:
            raise InputError(
                f"DLA needs height and width in multiples of 32, got {tuple(x.shape[-2:])}: set the letterbox scale or "
                "pad_size_divisor=32 in the data preprocessor"
            )
        x = self._run(nn.Sequential(self.stem, self.level0, self.level1), x)
        outputs = []
        for level in range(2, 6):
            x = self._run(getattr(self, f"level{level}"), x)
            outputs.append(x)
        return tuple(outputs)

    def _run(self, part: nn.Module, x: Tensor) -> Tensor:
        return checkpointed(part, part, x) if self.with_cp and torch.is_grad_enabled() else part(x)

    def train(self, mode: bool = True) -> DLA:
        """As nn.Module.train, with BatchNorm left in evaluation mode where ``norm_eval`` asks for it."""
        super().train(mode)
        if mode and self.norm_eval:
            for module in self.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()
        return self
