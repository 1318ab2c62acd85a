"""Readers of checkpoints and of exported models; each with a small valid sample."""

from __future__ import annotations

from pathlib import Path

import torch
from guarded import Reader

from clmot_qd.checkpoints.reading import read_checkpoint
from clmot_qd.checkpoints.sources import convert_state_dict, recognise_source


def _write(folder: Path) -> None:
    state = {"base.base_layer.0.weight": torch.ones(4, 3), "id.2.bias": torch.zeros(5)}
    meta = {"dataset_meta": {"classes": ("car",)}}
    torch.save({"state_dict": state, "meta": meta}, folder / "new.pth")
    torch.save({"state_dict": state, "meta": meta}, folder / "old.pth", _use_new_zipfile_serialization=False)


def _read(folder: Path) -> None:
    for name in ("new.pth", "old.pth"):
        state = read_checkpoint(folder / name).state_dict
        source = recognise_source(state)
        if source in ("fairmot", "centernet", "qdtrack", "mmdet"):
            convert_state_dict(state, source)


READERS = (Reader("checkpoint", _write, _read, {"*.pth": "binary"}),)
