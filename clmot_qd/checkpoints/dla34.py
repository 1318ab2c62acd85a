"""DLA-34 of CenterNet, FairMOT and CL-MOT -> ``CLMOT``.

Legend of our keys: ``detector.backbone`` (DLA), ``detector.neck`` (DLANeck), ``detector.bbox_head`` (CenterEmbedHead).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from clmot_qd.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    StateDict = dict[str, Tensor]

DECODER_LISTS = {"proj": "projections", "up": "upsamples", "node": "merges"}
HEADS = {"hm": "heatmap_head", "wh": "wh_head", "reg": "offset_head", "id": "embed_head"}

# Rewritten in this order; each rule sees what the ones before it left. Public origin of the left side: the key lists of
# CenterNet's, FairMOT's and CL-MOT's DLA-34 (lib/models/networks/pose_dla_dcn.py), which are the same.
DLA34_RULES: tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...] = (
    (r"^module\.", ""),
    # encoder
    (r"^(?:base\.)?(?=base_layer\.|level\d\.)", "detector.backbone."),
    (r"backbone\.base_layer\.0\.", "backbone.stem.conv."),
    (r"backbone\.base_layer\.1\.", "backbone.stem.bn."),
    (r"backbone\.(level[01])\.0\.", r"backbone.\1.conv."),
    (r"backbone\.(level[01])\.1\.", r"backbone.\1.bn."),
    (r"backbone\.(level[34])\.tree1\.", r"backbone.\1.first.last."),
    (r"backbone\.(level[34])\.tree2\.", r"backbone.\1.last.last."),
    (r"backbone\.(level[25])\.(?=tree|root|project)", r"backbone.\1.last."),
    (r"\.tree([12])\.", r".unit\1."),
    (r"\.conv([12])\.weight$", r".conv\1.conv.weight"),
    (r"\.bn([12])\.", r".conv\1.bn."),
    (r"\.project\.0\.", ".project.conv."),
    (r"\.project\.1\.", ".project.bn."),
    # decoder
    (r"^dla_up\.ida_(\d)\.", r"detector.neck.rounds.\1."),
    (r"^ida_up\.", "detector.neck.final."),
    (r"\.(proj|up|node)_(\d)\.", lambda m: f".{DECODER_LISTS[m[1]]}.{int(m[2]) - 1}."),
    (r"\.actf\.0\.", ".bn."),
    (r"\.conv_offset_mask\.", ".conv_offset."),
    # heads
    (r"^(hm|wh|reg|id)\.", lambda m: f"detector.bbox_head.{HEADS[m[1]]}."),
)

# Tensors the public network carries but never uses: the projection of a two-level tree is computed and thrown away;
# the classifier belongs to ImageNet.
DLA34_UNUSED = re.compile(r"backbone\.level[34]\.project\.|^fc\.|(?:^|\.)classifier\.|^s_det$|^s_id$|^emb_scale$")


def convert_dla34(state_dict: Mapping[str, Tensor], source: str) -> StateDict:
    """Rename the tensors of a public DLA-34 checkpoint, see :func:`clmot_qd.checkpoints.convert_state_dict`.

    Raises:
        InputError: The tensors are not those of ``source``.
    """
    converted: StateDict = {}
    foreign = []
    for key, value in state_dict.items():
        name = _rename(key)
        if DLA34_UNUSED.search(name):
            continue
        if not name.startswith("detector."):
            foreign.append(key)
            continue
        converted[name] = value
    if foreign or "detector.backbone.stem.conv.weight" not in converted:
        example = foreign[0] if foreign else next(iter(state_dict), "no tensor at all")
        raise InputError(
            f"this is not a {source} checkpoint with a DLA-34 network: '{example}' is not one of its keys "
            f"({len(foreign)} of {len(state_dict)} keys unknown); name the right --source"
        )
    return _fold_four_sides(converted)


def _rename(key: str) -> str:
    """One public key -> ours, or unchanged where no rule applies."""
    for pattern, replacement in DLA34_RULES:
        key = re.sub(pattern, replacement, key)
    return key


def _fold_four_sides(state: StateDict) -> StateDict:
    """Turn FairMOT's later size head (left, top, right, bottom distances) into width and height.

    Both are linear in the last 1x1 convolution: width = left + right, height = top + bottom, exact. The shift of the
    box centre that four sides can express and two cannot is lost.
    """
    import torch

    for name in ("weight", "bias"):
        key = f"detector.bbox_head.wh_head.2.{name}"
        sides = state.get(key)
        if sides is not None and len(sides) == 4:
            state[key] = torch.stack([sides[0] + sides[2], sides[1] + sides[3]])
    return state
