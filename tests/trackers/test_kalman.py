"""The block filter against an 8x8 filter written from the textbook, and against mmdet's."""

from collections.abc import Callable

import numpy as np
import pytest

from clmot_qd.trackers.kalman import KalmanFilter, cxcyah_to_xyxy, xyxy_to_cxcyah

TRANSITION = np.eye(8) + np.eye(8, k=4)
OBSERVATION = np.eye(4, 8)
Estimate = tuple[np.ndarray, np.ndarray]


def position_std(height: float, aspect: float) -> list[float]:
    return [height / 20, height / 20, aspect, height / 20]


def velocity_std(height: float) -> list[float]:
    return [height / 160, height / 160, 1e-5, height / 160]


class DenseFilter:
    """One track at a time, dense matrices, an explicit inverse."""

    def initiate(self, z: np.ndarray) -> Estimate:
        stds = np.array(position_std(z[3], 1e-2) + velocity_std(z[3]))
        stds *= [2, 2, 1, 2, 10, 10, 1, 10]
        return np.concatenate((z, np.zeros(4))), np.diag(stds**2)

    def predict(self, mean: np.ndarray, covariance: np.ndarray) -> Estimate:
        noise = np.diag(np.square(position_std(mean[3], 1e-2) + velocity_std(mean[3])))
        return TRANSITION @ mean, TRANSITION @ covariance @ TRANSITION.T + noise

    def project(self, mean: np.ndarray, covariance: np.ndarray) -> Estimate:
        noise = np.diag(np.square(position_std(mean[3], 1e-1)))
        return OBSERVATION @ mean, OBSERVATION @ covariance @ OBSERVATION.T + noise

    def update(self, mean: np.ndarray, covariance: np.ndarray, z: np.ndarray) -> Estimate:
        expected, innovation_covariance = self.project(mean, covariance)
        gain = covariance @ OBSERVATION.T @ np.linalg.inv(innovation_covariance)
        return mean + gain @ (z - expected), (np.eye(8) - gain @ OBSERVATION) @ covariance

    def gating_distance(self, mean: np.ndarray, covariance: np.ndarray, z: np.ndarray) -> np.ndarray:
        expected, innovation_covariance = self.project(mean, covariance)
        return np.array([(m - expected) @ np.linalg.inv(innovation_covariance) @ (m - expected) for m in z])


def mmdet_filter() -> object:
    tracking = pytest.importorskip("mmdet.models.task_modules.tracking", reason="mmdet is not installed")
    return tracking.KalmanFilter()


def dense(covariance: np.ndarray) -> np.ndarray:
    """(T, 4, 3) blocks -> (T, 8, 8)."""
    full = np.zeros((len(covariance), 8, 8))
    k = np.arange(4)
    full[:, k, k] = covariance[:, :, 0]
    full[:, k, k + 4] = full[:, k + 4, k] = covariance[:, :, 1]
    full[:, k + 4, k + 4] = covariance[:, :, 2]
    return full


def measurements(rng: np.random.Generator, count: int) -> np.ndarray:
    return np.column_stack((rng.uniform(0, 2000, (count, 2)), rng.uniform(0.2, 3, count), rng.uniform(5, 400, count)))


@pytest.mark.parametrize("make_reference", [DenseFilter, mmdet_filter])
def test_a_batch_equals_one_dense_filter_per_track(make_reference: Callable) -> None:
    reference, batched = make_reference(), KalmanFilter()
    rng = np.random.default_rng(0)
    z = measurements(rng, 7)
    mean, covariance = batched.initiate(z)
    singles = [reference.initiate(row) for row in z]

    def agree() -> None:
        np.testing.assert_allclose(mean, np.stack([m for m, _ in singles]), rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(dense(covariance), np.stack([c for _, c in singles]), rtol=1e-8, atol=1e-10)

    agree()
    for step in range(12):
        mean, covariance = batched.predict(mean, covariance)
        singles = [reference.predict(m, c) for m, c in singles]
        agree()
        if step % 4 == 3:  # some frames without a detection: the covariance grows
            continue
        z = mean[:, :4] + rng.normal(0, 1, (7, 4)) * [3, 3, 0.05, 3]
        distance = np.stack([reference.gating_distance(m, c, z) for m, c in singles])
        np.testing.assert_allclose(batched.gating_distance(mean, covariance, z), distance, rtol=1e-8)
        mean, covariance = batched.update(mean, covariance, z)
        singles = [reference.update(m, c, row)[:2] for (m, c), row in zip(singles, z)]
        agree()


def test_project_equals_the_dense_filter() -> None:
    z = measurements(np.random.default_rng(1), 3)
    mean, covariance = KalmanFilter().predict(*KalmanFilter().initiate(z))
    expected, variance = KalmanFilter().project(mean, covariance)
    for i in range(3):
        dense_mean, dense_variance = DenseFilter().project(mean[i], dense(covariance)[i])
        np.testing.assert_allclose(expected[i], dense_mean)
        np.testing.assert_allclose(np.diag(variance[i]), dense_variance)


def test_inputs_are_left_as_they_were() -> None:
    z = measurements(np.random.default_rng(2), 3)
    mean, covariance = KalmanFilter().initiate(z)
    before = mean.copy(), covariance.copy()
    predicted = KalmanFilter().predict(mean, covariance)
    KalmanFilter().update(mean, covariance, z)
    KalmanFilter().gating_distance(mean, covariance, z)
    np.testing.assert_array_equal(mean, before[0])
    np.testing.assert_array_equal(covariance, before[1])
    assert not np.shares_memory(predicted[0], mean)


def test_no_track_and_no_measurement() -> None:
    kalman = KalmanFilter()
    mean, covariance = kalman.initiate(np.zeros((0, 4)))
    assert mean.shape == (0, 8)
    assert covariance.shape == (0, 4, 3)
    assert kalman.predict(mean, covariance)[0].shape == (0, 8)
    assert kalman.update(mean, covariance, np.zeros((0, 4)))[1].shape == (0, 4, 3)
    assert kalman.gating_distance(mean, covariance, np.ones((5, 4))).shape == (0, 5)
    one = kalman.initiate(np.ones((1, 4)))
    assert kalman.gating_distance(*one, np.zeros((0, 4))).shape == (1, 0)


def test_a_track_that_shrank_to_nothing_stays_finite() -> None:
    kalman = KalmanFilter()
    mean, covariance = kalman.initiate(np.array([[10.0, 10, 1, 0]]))
    for _ in range(3):
        mean, covariance = kalman.update(*kalman.predict(mean, covariance), np.array([[10.0, 10, 1, 0]]))
    assert np.isfinite(mean).all()
    assert np.isfinite(kalman.gating_distance(mean, covariance, np.array([[11.0, 10, 1, 0]]))).all()


def test_boxes_survive_the_round_trip() -> None:
    boxes = np.array([[10.0, 20, 50, 120], [-5, -5, 0.5, 90]])
    np.testing.assert_allclose(xyxy_to_cxcyah(boxes)[0], [30, 70, 0.4, 100])
    np.testing.assert_allclose(cxcyah_to_xyxy(xyxy_to_cxcyah(boxes)), boxes)


def test_a_negative_size_becomes_a_point() -> None:
    np.testing.assert_array_equal(cxcyah_to_xyxy(np.array([[7.0, 8, 0.5, -3]])), [[7, 8, 7, 8]])
    np.testing.assert_array_equal(cxcyah_to_xyxy(np.array([[7.0, 8, -0.5, 2]])), [[7, 7, 7, 9]])
