"""ColourJitterHSV: gains on saturation and value, as released."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from frame_builder import make_frame, seed_everything

from clmot_qd.datasets.transforms import ColourJitterHSV
from clmot_qd.datasets.transforms.colour import gain_table


def naive_jitter(image: np.ndarray, saturation: float, value: float) -> np.ndarray:
    hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV)
    for pixel in hsv.reshape(-1, 3):
        for channel, gain in ((1, saturation), (2, value)):
            pixel[channel] = int(min(255, np.float32(pixel[channel]) * np.float32(gain)))
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)


@pytest.mark.parametrize("gains", [(0.5, 0.5), (1.5, 1.5), (1.0, 1.5), (0.7, 1.0), (1.33, 0.61)])
def test_pixel_by_pixel(gains, monkeypatch):
    frame = make_frame([], size=(20, 30))
    jitter = ColourJitterHSV()
    monkeypatch.setattr(jitter, "_random_gains", lambda: gains)
    np.testing.assert_array_equal(jitter(dict(frame))["img"], naive_jitter(frame["img"], *gains))


def test_bright_colours_are_cut_not_wrapped():
    table = gain_table(1.5, 1.5)[0]
    assert table[200:, 1:].min() == 255
    assert (np.diff(table.astype(int), axis=0) >= 0).all()
    np.testing.assert_array_equal(table[:, 0], np.arange(256))


def test_gains_cover_the_range_and_are_independent():
    jitter = ColourJitterHSV(fraction=0.5)
    seed_everything(0)
    gains = np.array([jitter._random_gains() for _ in range(2000)])
    assert gains.min() >= 0.5
    assert gains.max() <= 1.5
    np.testing.assert_allclose(gains.mean(axis=0), 1, atol=0.03)
    np.testing.assert_allclose(gains.std(axis=0), 1 / np.sqrt(12), atol=0.02)
    assert abs(np.corrcoef(gains.T)[0, 1]) < 0.1


def test_image_of_the_caller_is_left_alone():
    frame = make_frame([], size=(20, 30))
    original = frame["img"].copy()
    flipped = np.flip(original, axis=1)  # what mmdet's RandomFlip leaves
    seed_everything(1)
    upright = ColourJitterHSV()({"img": frame["img"]})["img"]
    seed_everything(1)
    mirrored = ColourJitterHSV()({"img": flipped})["img"]
    np.testing.assert_array_equal(frame["img"], original)
    np.testing.assert_array_equal(mirrored[:, ::-1], upright)
    assert not np.array_equal(upright, original)


def test_no_change_at_fraction_zero():
    grey = np.repeat(np.arange(200, dtype=np.uint8).reshape(10, 20, 1), 3, axis=2)
    np.testing.assert_array_equal(ColourJitterHSV(fraction=0)({"img": grey})["img"], grey)


def test_bad_arguments():
    with pytest.raises(ValueError, match="fraction"):
        ColourJitterHSV(fraction=1.5)
    with pytest.raises(TypeError, match="to_float32=False"):
        ColourJitterHSV()({"img": np.zeros((4, 4, 3), np.float32)})
