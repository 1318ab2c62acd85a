"""Constant-velocity Kalman filter of JDE/DeepSORT on (cx, cy, aspect, height), for all tracks at once.

Legend:

    T, D          tracks, measurements
    measurement   (D, 4) as (cx, cy, a, h): box centre in pixels, aspect ratio width / height, height in pixels
    mean          (T, 8) as (cx, cy, a, h, vcx, vcy, va, vh); velocities per frame
    covariance    (T, 4, 3); for each coordinate the 2x2 block with its own velocity, as
                  (variance of position, covariance of position and velocity, variance of velocity)

Transition and noise couple a coordinate only with its own velocity and all noises are diagonal, so the 8x8 covariance
of the textbook is four 2x2 blocks at all times: no matrix is ever inverted, and the squared Mahalanobis distance is a
sum of four scalars.
"""

from __future__ import annotations

import numpy as np

_HEIGHT = 3
# The aspect ratio has noises of its own, not in proportion to the height (DeepSORT's constants).
_ASPECT_STD, _ASPECT_VELOCITY_STD, _ASPECT_MEASUREMENT_STD = 1e-2, 1e-5, 1e-1
# A track that shrinks to nothing would otherwise make its own measurement certain and the update divide by zero.
_SMALLEST_NOISE_HEIGHT = 1e-3


def xyxy_to_cxcyah(boxes: np.ndarray) -> np.ndarray:
    """Turn corners into centre, aspect ratio and height. (D, 4) with positive heights -> (D, 4)."""
    size = boxes[:, 2:] - boxes[:, :2]
    result = np.empty_like(boxes)
    result[:, :2] = boxes[:, :2] + size / 2
    result[:, 2] = size[:, 0] / size[:, 1]
    result[:, 3] = size[:, 1]
    return result


def cxcyah_to_xyxy(boxes: np.ndarray) -> np.ndarray:
    """Turn centre, aspect ratio and height into corners; a negative size becomes 0. (T, 4) or wider -> (T, 4)."""
    half = np.maximum(boxes[:, 2:4], 0.0)
    half[:, 0] *= half[:, 1]
    half /= 2
    return np.concatenate((boxes[:, :2] - half, boxes[:, :2] + half), axis=1)


def squared_distance(
    expected: np.ndarray, variance: np.ndarray, measurement: np.ndarray, rows: np.ndarray, cols: np.ndarray
) -> np.ndarray:
    """Squared Mahalanobis distance of pairs, or of all pairs, as the shapes of ``rows`` and ``cols`` say.

    (T, 4) and (T, 4) as from :meth:`KalmanFilter.project`, (D, 4), (p,) tracks and (p,) measurements -> (p,).
    """
    precision = 1 / np.sqrt(variance)
    distance = np.zeros(np.broadcast_shapes(rows.shape, cols.shape))
    for k in range(4):
        offset = measurement[cols, k] - expected[rows, k]
        offset *= precision[rows, k]
        offset *= offset
        distance += offset
    return distance


class KalmanFilter:
    """The filter's equations; it holds the two noise weights and no track.

    Source: DeepSORT (Wojke et al. 2017), same constants in JDE, FairMOT, CL-MOT and mmdet's ``KalmanFilter``.

    Args:
        position_std_weight: standard deviation of position noise, as a fraction of the height. Larger trusts
            detections less and widens the gate.
        velocity_std_weight: standard deviation of velocity noise per frame, as a fraction of the height. Larger
            follows a change of speed sooner.
    """

    def __init__(self, position_std_weight: float = 1 / 20, velocity_std_weight: float = 1 / 160) -> None:
        """Keep the two weights."""
        self.position_std_weight = position_std_weight
        self.velocity_std_weight = velocity_std_weight

    def initiate(self, measurement: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Start one resting track per measurement. (D, 4) -> mean (D, 8), covariance (D, 4, 3)."""
        height = measurement[:, _HEIGHT]
        mean = np.hstack((measurement, np.zeros_like(measurement)))
        covariance = np.zeros((len(measurement), 4, 3))
        covariance[:, :, 0] = self._variance(height, 2 * self.position_std_weight, _ASPECT_STD)
        covariance[:, :, 2] = self._variance(height, 10 * self.velocity_std_weight, _ASPECT_VELOCITY_STD)
        return mean, covariance

    def predict(self, mean: np.ndarray, covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Move every track one frame ahead. (T, 8), (T, 4, 3) -> the same shapes."""
        height = mean[:, _HEIGHT]
        predicted = mean.copy()
        predicted[:, :4] += mean[:, 4:]
        position, cross, velocity = covariance.transpose(2, 0, 1)
        blocks = np.empty_like(covariance)
        blocks[:, :, 0] = position + 2 * cross + velocity
        blocks[:, :, 1] = cross + velocity
        blocks[:, :, 2] = velocity
        blocks[:, :, 0] += self._variance(height, self.position_std_weight, _ASPECT_STD)
        blocks[:, :, 2] += self._variance(height, self.velocity_std_weight, _ASPECT_VELOCITY_STD)
        return predicted, blocks

    def project(self, mean: np.ndarray, covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return what a detector should see: measurement mean (T, 4) and its variances (T, 4)."""
        noise = self._variance(mean[:, _HEIGHT], self.position_std_weight, _ASPECT_MEASUREMENT_STD)
        return mean[:, :4], covariance[:, :, 0] + noise

    def gating_distance(self, mean: np.ndarray, covariance: np.ndarray, measurement: np.ndarray) -> np.ndarray:
        """Squared Mahalanobis distance of every track to every measurement. (T, 8), (T, 4, 3), (D, 4) -> (T, D)."""
        rows, cols = np.arange(len(mean))[:, None], np.arange(len(measurement))
        return squared_distance(*self.project(mean, covariance), measurement, rows, cols)

    def update(
        self, mean: np.ndarray, covariance: np.ndarray, measurement: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Correct track i by measurement i. (T, 8), (T, 4, 3), (T, 4) -> mean (T, 8), covariance (T, 4, 3)."""
        expected, variance = self.project(mean, covariance)
        position, cross, velocity = covariance.transpose(2, 0, 1)
        gain_position, gain_velocity = position / variance, cross / variance
        innovation = measurement - expected
        corrected = mean.copy()
        corrected[:, :4] += gain_position * innovation
        corrected[:, 4:] += gain_velocity * innovation
        blocks = np.empty_like(covariance)
        blocks[:, :, 0] = position - gain_position * position
        blocks[:, :, 1] = cross - gain_position * cross
        blocks[:, :, 2] = velocity - gain_velocity * cross
        return corrected, blocks

    @staticmethod
    def _variance(height: np.ndarray, weight: float, aspect_std: float) -> np.ndarray:
        """Variances of (cx, cy, a, h): in proportion to the height, constant for the aspect. (T,) -> (T, 4)."""
        variance = np.empty((len(height), 4))
        variance[:] = np.square(weight * np.maximum(np.abs(height), _SMALLEST_NOISE_HEIGHT))[:, None]
        variance[:, 2] = aspect_std**2
        return variance
