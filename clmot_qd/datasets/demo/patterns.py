"""Cloth patterns: where the accent colour goes on a top.

Every pattern takes the body coordinates ``u`` (across, 0 on the body's axis, positive in walking direction) and ``v``
(down from the crown), both in body heights, and returns where the accent goes. Structures are large enough to be seen
on a figure of 40 pixels: a period of 0.09 is 3.6 pixels there.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Field = npt.NDArray[np.floating]
Pattern = Callable[[Field, Field], npt.NDArray[np.bool_]]

CHEST = 0.34
"""Height of the middle of the torso below the crown, in body heights."""


def _stripes(coordinate: Field, period: float, duty: float) -> npt.NDArray[np.bool_]:
    return np.mod(coordinate / period, 1.0) < duty


PATTERNS: dict[str, Pattern] = {
    "hoops": lambda u, v: _stripes(v, 0.095, 0.45),
    "pinstripes": lambda u, v: _stripes(u + 0.02, 0.08, 0.45),
    "diagonals": lambda u, v: _stripes(u + v, 0.11, 0.45),
    "checks": lambda u, v: _stripes(u, 0.13, 0.5) ^ _stripes(v, 0.13, 0.5),
    "dots": lambda u, v: np.hypot(_centred(u, 0.085), _centred(v + 0.03, 0.085)) < 0.026,
    "disc": lambda u, v: np.hypot(u, v - CHEST) < 0.068,
    "diamond": lambda u, v: np.abs(u) * 1.2 + np.abs(v - CHEST) < 0.09,
    "sash": lambda u, v: np.abs(u * 1.3 + (v - CHEST)) < 0.055,
    "halves": lambda u, v: u > 0,
    "yoke": lambda u, v: v < 0.29,
    "chest band": lambda u, v: np.abs(v - CHEST) < 0.042,
    "open jacket": lambda u, v: np.abs(u - 0.01) < 0.035,
}


def _centred(coordinate: Field, period: float) -> Field:
    """Signed distance to the nearest multiple of ``period``."""
    return coordinate - period * np.round(coordinate / period)
