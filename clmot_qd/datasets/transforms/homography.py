"""The matrix from the loaded image to the network input, composed step by step in ``results['homography_matrix']``.

mmdet's RandomFlip and Resize keep the same key. Matrices act on continuous pixel coordinates (see
:mod:`clmot_qd.geometry`), as boxes do; OpenCV's warps act on pixel indices, half a pixel off.
"""

from __future__ import annotations

import numpy as np


def record_homography(results: dict, matrix: np.ndarray) -> None:
    """Compose ``matrix`` (3, 3) onto that of the steps before it; a frame without one starts from the identity."""
    before = results.get("homography_matrix")
    results["homography_matrix"] = matrix if before is None else matrix @ before


def translation(x: float, y: float) -> np.ndarray:
    """The (3, 3) matrix that adds (x, y) to a point."""
    return np.array([[1.0, 0.0, x], [0.0, 1.0, y], [0.0, 0.0, 1.0]])


def about(x: float, y: float, matrix: np.ndarray) -> np.ndarray:
    """``matrix`` (3, 3) applied in coordinates whose origin is (x, y)."""
    return translation(x, y) @ matrix @ translation(-x, -y)
