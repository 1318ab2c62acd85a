"""Frames of a visitor's video, as one library decodes them and another confirms."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from clip_files import frame_of, write_clip

from clmot_qd.app.limits import Limits
from clmot_qd.app.uploaded_video import UploadedVideo
from clmot_qd.errors import InputError


def opened(path: Path, rate: float | None = 10.0, **limits: int) -> UploadedVideo:
    return UploadedVideo(path, "my video", rate, Limits(**limits))


def jpegs_in_avi(path: Path, sizes: list[tuple[int, int]]) -> Path:
    """Each frame brings its own size, whatever the container says."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=10)
        stream.width, stream.height, stream.pix_fmt = *sizes[0], "yuvj420p"
        for number, size in enumerate(sizes):
            packet = av.Packet(cv2.imencode(".jpg", frame_of(number, size))[1].tobytes())
            packet.pts = packet.dts = number
            packet.time_base, packet.stream, packet.is_keyframe = Fraction(1, 10), stream, True
            container.mux(packet)
    return path


def by_opencv(path: Path) -> list[np.ndarray]:
    capture, frames = cv2.VideoCapture(str(path)), []
    while (pair := capture.read())[0]:
        frames.append(pair[1])
    return frames


@pytest.mark.parametrize("suffix", ["mp4", "avi", "mkv"])
def test_frames_are_those_of_opencv_and_come_again(tmp_path: Path, suffix: str) -> None:
    path = write_clip(tmp_path / f"clip.{suffix}", frames=7)
    video, expected = opened(path), by_opencv(path)
    assert (video.size, video.fps, video.name, len(expected)) == ((64, 48), 10.0, "my video", 7)
    for _ in range(2):
        frames = list(video)
        assert len(frames) == 7
        for frame, other in zip(frames, expected):
            assert frame.dtype == np.uint8
            assert np.abs(frame.astype(int) - other).max() <= 3


@pytest.mark.parametrize("turn", [(0, 1, -1, 0), (-1, 0, 0, -1), (0, -1, 1, 0)])
def test_a_video_from_a_phone_is_turned(tmp_path: Path, turn: tuple[int, int, int, int]) -> None:
    path = write_clip(tmp_path / "clip.mp4", frames=2)
    content = bytearray(path.read_bytes())
    a, b, c, d = (65536 * part for part in turn)
    place = content.index(b"tkhd") + 44
    content[place : place + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    video, expected = opened(path), by_opencv(path)
    assert video.size == expected[0].shape[1::-1]
    assert np.abs(next(iter(video)).astype(int) - expected[0]).max() <= 3


def test_a_later_frame_that_is_too_large_is_refused_and_not_decoded(tmp_path: Path) -> None:
    video = opened(jpegs_in_avi(tmp_path / "a.avi", [(64, 48)] * 3 + [(640, 480)]), max_pixels=64 * 48)
    frames = iter(video)
    assert [next(frames).shape for _ in range(3)] == [(48, 64, 3)] * 3
    with pytest.raises(InputError, match=r"more than 0\.0 million pixels"):
        next(frames)


def test_a_video_that_changes_its_size_goes_on_in_its_first_one(tmp_path: Path) -> None:
    video = opened(jpegs_in_avi(tmp_path / "a.avi", [(64, 48)] * 2 + [(128, 96)] * 2))
    assert [frame.shape for frame in video] == [(48, 64, 3)] * 4


def test_damaged_frames_are_left_out(tmp_path: Path) -> None:
    path = jpegs_in_avi(tmp_path / "a.avi", [(64, 48)] * 6)
    content = bytearray(path.read_bytes())
    starts = [i for i in range(len(content)) if content[i : i + 3] == b"\xff\xd8\xff"]
    content[starts[2] : starts[2] + 400] = bytes(400)
    path.write_bytes(content)
    assert len(list(opened(path))) == 5


def test_where_nothing_can_be_decoded_that_is_said(tmp_path: Path) -> None:
    path = jpegs_in_avi(tmp_path / "a.avi", [(64, 48)] * 2)
    content = path.read_bytes()
    while (start := content.find(b"\xff\xd8\xff")) >= 0:
        end = content.index(b"\xff\xd9", start) + 2
        content = content[:start] + bytes(end - start) + content[end:]
    path.write_bytes(content)
    with pytest.raises(InputError, match="no frame of this video can be decoded"):
        opened(path)


@pytest.mark.parametrize(("rate", "expected"), [(None, 30.0), (2000.0, 1000.0), (0.05, 0.1), (29.97, 29.97)])
def test_a_rate_that_cannot_be_is_bounded(tmp_path: Path, rate: float | None, expected: float) -> None:
    assert opened(write_clip(tmp_path / "clip.mp4", frames=2), rate).fps == expected


def test_its_length_is_not_believed(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="not believed"):
        len(opened(write_clip(tmp_path / "clip.mp4", frames=2)))
