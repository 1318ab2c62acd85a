"""Foreign checkpoints: other projects' key names -> ours, and a report of what fits a model and what does not.

Legend of our keys: ``detector.backbone`` (DLA), ``detector.neck`` (DLANeck), ``detector.bbox_head`` (CenterEmbedHead).
"""

from __future__ import annotations

import os
import pickle
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from clmot_qd.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor, nn

StateDict = dict[str, "Tensor"]

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

SOURCES = ("clmot", "fairmot", "centernet")


def convert_state_dict(state_dict: Mapping[str, Tensor], source: str) -> StateDict:
    """Rename the tensors of a public checkpoint to the names of ``CLMOT``.

    Args:
        state_dict: The tensors by their public names; a leading ``module.`` is understood.
        source: ``'clmot'``, ``'fairmot'`` or ``'centernet'`` (also its ImageNet DLA-34 file).

    Returns:
        The tensors by our names. Those that the public network never uses are left out.

    Raises:
        InputError: Unknown source, or the tensors are not those of that source.
    """
    if source not in SOURCES:
        raise InputError(f"source '{source}' is not known: choose one of {', '.join(SOURCES)}")
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


@dataclass
class FitReport:
    """How a state dict fits a model.

    Attributes:
        missing: Keys of the model that the state dict lacks.
        unexpected: Keys of the state dict that the model lacks.
        mismatched: (key, shape in the file, shape in the model).
        matched: Number of tensors that fit.
    """

    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    mismatched: list[tuple[str, tuple[int, ...], tuple[int, ...]]] = field(default_factory=list)
    matched: int = 0

    def __str__(self) -> str:
        """The report as a person reads it: a line of counts, then every key that does not fit."""
        lines = [
            f"{self.matched} tensors fit, {len(self.missing)} missing, {len(self.unexpected)} unexpected, "
            f"{len(self.mismatched)} of another shape"
        ]
        lines += [f"  missing     {key}" for key in self.missing]
        lines += [f"  unexpected  {key}" for key in self.unexpected]
        lines += [f"  shape       {key}: file {list(a)}, model {list(b)}" for key, a, b in self.mismatched]
        return "\n".join(lines)


def compare_with_model(state_dict: Mapping[str, Tensor], model: nn.Module) -> FitReport:
    """Compare names and shapes of ``state_dict`` with those of ``model``; nothing is loaded.

    ``num_batches_tracked`` counters are not reported as missing: old files lack them and nothing depends on them.
    """
    own = model.state_dict()
    report = FitReport()
    for key, value in own.items():
        if key not in state_dict:
            if not key.endswith("num_batches_tracked"):
                report.missing.append(key)
        elif tuple(state_dict[key].shape) != tuple(value.shape):
            report.mismatched.append((key, tuple(state_dict[key].shape), tuple(value.shape)))
        else:
            report.matched += 1
    report.unexpected = [key for key in state_dict if key not in own]
    return report


def read_state_dict(path: str | os.PathLike[str]) -> StateDict:
    """Read the tensors of a checkpoint file: a bare state dict, or one under the key ``state_dict``.

    Only tensors and plain containers are unpickled (``weights_only``), so a file from elsewhere cannot run code.

    Raises:
        InputError: The file is missing, unreadable, needs code to load, or holds no tensors.
    """
    import torch

    allow_log_history()
    path = os.fspath(path)
    if not os.path.isfile(path):
        raise InputError(f"{path}: no such checkpoint file")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{path}: not a checkpoint of plain tensors ({_reason(error)}); loading it could run code, so it is refused"
        ) from None
    except Exception as error:  # a file of anything makes the unpickler fail in any way
        raise InputError(f"{path}: cannot be read as a checkpoint ({_reason(error)})") from None
    state = content.get("state_dict", content) if isinstance(content, dict) else None
    tensors = {k: v for k, v in state.items() if torch.is_tensor(v)} if isinstance(state, dict) else {}
    if not tensors:
        raise InputError(f"{path}: holds no tensors; is it a checkpoint?")
    return tensors


def _reason(error: Exception) -> str:
    """The telling sentence of torch's message, which may be many lines of advice, or the kind of error."""
    text = str(error)
    told = text.rpartition("WeightsUnpickler error:")[2] or text
    return (told.strip().splitlines() or [type(error).__name__])[0].split(" was not an allowed")[0]


def allow_log_history() -> None:
    """Let torch's safe loader read the training log in an mmengine checkpoint, all of which is harmless.

    mmengine stores its log curves (``HistoryBuffer``, numpy arrays) beside the weights, and their statistics by
    ``getattr(HistoryBuffer, name)``. A general ``getattr`` could reach code, so a stand-in takes its place. Since torch
    2.6 loads safely by default, mmengine 0.10 cannot read its own checkpoints without this: ``--resume`` fails.
    """
    import numpy as np
    import torch
    from mmengine.logging.history_buffer import HistoryBuffer

    def statistic(owner: object, name: str) -> object:
        if owner is not HistoryBuffer or name.startswith("_"):
            raise pickle.UnpicklingError(f"attribute '{name}' of {owner!r} is asked for")
        return getattr(owner, name)

    rebuild: dict[str, Any] = {"_reconstruct": np.empty(0).__reduce__()[0], "scalar": np.float64(0).__reduce__()[0]}
    modules = ("numpy._core.multiarray", "numpy.core.multiarray")  # of numpy 2 and 1: a file may come from either
    aliases = [(function, f"{module}.{name}") for module in modules for name, function in rebuild.items()]
    dtypes = [type(np.dtype(name)) for name in ("float32", "float64", "int32", "int64", "bool")]
    torch.serialization.add_safe_globals(
        [HistoryBuffer, np.ndarray, np.dtype, *dtypes, *aliases, (statistic, "builtins.getattr")]
    )
