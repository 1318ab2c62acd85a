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
    centre = boxes[:, :2] + size / 2
    return np.column_stack((centre, size[:, 0] / size[:, 1], size[:, 1]))


def cxcyah_to_xyxy(boxes: np.ndarray) -> np.ndarray:
    """Turn centre, aspect ratio and height into corners; a negative size becomes 0. (T, 4) -> (T, 4)."""
    height = np.maximum(boxes[:, 3], 0.0)
    half = np.column_stack((np.maximum(boxes[:, 2], 0.0) * height, height)) / 2
    return np.hstack((boxes[:, :2] - half, boxes[:, :2] + half))


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
        predicted = np.hstack((mean[:, :4] + mean[:, 4:], mean[:, 4:]))
        position, cross, velocity = np.moveaxis(covariance, 2, 0)
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
        expected, variance = self.project(mean, covariance)
        precision = 1 / np.sqrt(variance)
        distance = np.zeros((len(mean), len(measurement)))
        offset = np.empty_like(distance)  # one buffer: for hundreds of tracks the page faults cost more than the sums
        for k in range(4):
            np.subtract(measurement[None, :, k], expected[:, k, None], out=offset)
            offset *= precision[:, k, None]
            offset *= offset
            distance += offset
        return distance

    def update(
        self, mean: np.ndarray, covariance: np.ndarray, measurement: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Correct track i by measurement i. (T, 8), (T, 4, 3), (T, 4) -> mean (T, 8), covariance (T, 4, 3)."""
        expected, variance = self.project(mean, covariance)
        position, cross, velocity = np.moveaxis(covariance, 2, 0)
        gain_position, gain_velocity = position / variance, cross / variance
        innovation = measurement - expected
        corrected = mean + np.hstack((gain_position * innovation, gain_velocity * innovation))
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
