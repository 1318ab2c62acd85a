"""Weights of the recorded DLA-34 forward pass, made from each tensor's name and shape alone.

The recording (tests/data/dla34_forward.npz) was made with exactly these draws: change nothing here.
"""

from __future__ import annotations

import zlib

import numpy as np
import torch


def reference_state_dict(shapes: dict[str, list[int]], seed: int) -> dict[str, torch.Tensor]:
    """{public key: tensor} for {public key: shape}."""
    return {key: torch.from_numpy(np.asarray(_draw(key, shape, seed))) for key, shape in shapes.items()}


def _draw(key: str, shape: list[int], seed: int) -> np.ndarray:
    if key.endswith("num_batches_tracked"):
        return np.zeros((), np.int64)
    rng = np.random.default_rng(zlib.crc32((key + str(seed)).encode()))
    fan_in = np.prod(shape[1:])
    if key.endswith("running_var") or (len(shape) == 1 and key.endswith("weight")):
        value = rng.uniform(0.5, 1.5, shape)
    elif key.endswith("running_mean") or len(shape) == 1:
        value = 0.1 * rng.standard_normal(shape)
    elif "conv_offset" in key:
        value = 0.05 * rng.standard_normal(shape) / np.sqrt(fan_in) * 3
    else:
        value = rng.standard_normal(shape) * np.sqrt(2 / fan_in)
    return np.asarray(value, np.float32)
