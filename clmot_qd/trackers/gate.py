"""Which tracks and measurements the gate lets through, without looking at all pairs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .kalman import KalmanFilter, squared_distance
from .pairs import FEW_PAIRS, Pairs, touching_pairs

# A gate wider than this share of the measurements' extent says little: the track was lost for long.
_WIDE_SHARE = 1 / 8
# Far more than sums of coordinates lose by rounding, relative to their size.
_ROUNDING = 1e-9

# (k,) numbers of tracks -> pairs (number within these, measurement) whose looks allow a match
Alike = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def gated_pairs(
    kalman: KalmanFilter,
    mean: np.ndarray,
    covariance: np.ndarray,
    measurement: np.ndarray,
    gate_thr: float,
    alike: Alike | None = None,
) -> Pairs:
    """The entries of :meth:`KalmanFilter.gating_distance` up to a limit, to the last bit.

    Args:
        kalman: the filter.
        mean: (T, 8).
        covariance: (T, 4, 3).
        measurement: (D, 4).
        gate_thr: largest squared Mahalanobis distance.
        alike: finds the measurements that look like tracks that could be anywhere; pairs it leaves out are missed.

    Returns:
        Pairs of a track and a measurement, with their distance.
    """
    if len(mean) * len(measurement) <= FEW_PAIRS:
        distance = kalman.gating_distance(mean, covariance, measurement)
        rows, cols = np.nonzero(distance <= gate_thr)
        return Pairs(rows, cols, distance[rows, cols])
    expected, variance = kalman.project(mean, covariance)
    gates, points = _gate_boxes(expected, variance, gate_thr), measurement[:, [0, 1, 0, 1]]
    rows, cols = touching_pairs(gates, points) if alike is None else _near_or_alike(gates, points, alike)
    distance = squared_distance(expected, variance, measurement, rows, cols)
    return Pairs(rows, cols, distance).where(distance <= gate_thr)


def _gate_boxes(expected: np.ndarray, variance: np.ndarray, gate_thr: float) -> np.ndarray:
    """Return boxes outside of which the centre of a measurement is too far. (T, 4), (T, 4) -> (T, 4) xyxy."""
    centre = expected[:, :2]
    reach = np.sqrt(gate_thr) * np.sqrt(variance[:, :2])
    reach += _ROUNDING * (1 + reach + np.abs(centre))  # who is inside by a hair must not be left out
    return np.concatenate((centre - reach, centre + reach), axis=1)


def _near_or_alike(gates: np.ndarray, points: np.ndarray, alike: Alike) -> tuple[np.ndarray, np.ndarray]:
    """Narrow by place, and by looks where place says little."""
    wide = gates[:, 2] - gates[:, 0] > _WIDE_SHARE * np.ptp(points[:, 0])
    if np.count_nonzero(wide) * len(points) <= FEW_PAIRS:
        return touching_pairs(gates, points)
    anywhere, somewhere = np.flatnonzero(wide), np.flatnonzero(~wide)
    near_rows, near_cols = touching_pairs(gates[somewhere], points)
    alike_rows, alike_cols = alike(anywhere)
    return np.concatenate((somewhere[near_rows], anywhere[alike_rows])), np.concatenate((near_cols, alike_cols))
