"""LoadFrame: what a user reads when a picture is no picture."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from clmot_qd.datasets.transforms import LoadFrame
from clmot_qd.errors import InputError


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), np.full((24, 32, 3), 77, np.uint8))
    return str(path)


def test_good_file(picture):
    results = LoadFrame()({"img_path": picture, "width": 32, "height": 24})
    assert results["img"].shape == (24, 32, 3)
    assert results["ori_shape"] == results["img_shape"] == (24, 32)
    assert LoadFrame()({"img_path": picture})["img"].dtype == np.uint8


@pytest.mark.parametrize("content", [None, b"", b"this is text", b"\x89PNG\r\n\x1a\n broken"])
def test_bad_file_is_named_in_one_line(tmp_path, content):
    path = tmp_path / "broken.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"broken\.png: cannot be read") as caught:
        LoadFrame()({"img_path": str(path)})
    assert "\n" not in str(caught.value)


def test_size_that_contradicts_the_annotations(picture):
    with pytest.raises(InputError, match="32x24, but ann_file says 24x32"):
        LoadFrame()({"img_path": picture, "width": 24, "height": 32})


def test_parent_argument_still_works(tmp_path):
    assert LoadFrame(ignore_empty=True)({"img_path": str(tmp_path / "none.png")}) is None
