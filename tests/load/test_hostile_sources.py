"""Videos, pictures and cameras that are damaged, lie or stall: one line, and all that can be read is tracked."""

from __future__ import annotations

import json
import logging
import os
import resource
import socket
import struct
import threading
import zlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from stub_session import SquareSession, scene

from clmot_qd.apis import frame_sources, opencv_capture
from clmot_qd.apis.frame_sources import open_source
from clmot_qd.apis.video_capture import VideoFileSource
from clmot_qd.datasets.mot_text import read_tracks
from clmot_qd.errors import InputError

FRAMES = [scene(number) for number in range(30)]


def silent(done: int, total: int | None) -> None:
    pass


# ------------------------------------------------------------------------------------------- videos that are damaged
def video(path: Path, count: int = 60, codec: str = "libx264") -> bytearray:
    """A film of noisy scenes with a key frame in every ten."""
    noise = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=Fraction(10), options={"g": "10"})
        stream.width, stream.height = 96, 64
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for number in range(count):
            picture = scene(number) + noise.integers(0, 20, (64, 96, 1)).clip(0, 20).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.maximum(picture, scene(number)), format="bgr24")))
        container.mux(stream.encode(None))
    return bytearray(path.read_bytes())


@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "libx264"), ("a.avi", "mjpeg")])
def test_a_video_goes_on_behind_a_damaged_place(
    tmp_path: Path, name: str, codec: str, caplog: pytest.LogCaptureFixture
) -> None:
    """OpenCV says "no frame" there as it does at the end, and the second half was lost."""
    data = video(tmp_path / name, codec=codec)
    middle, length = len(data) // 2, len(data) // 10
    data[middle : middle + length] = bytes(length)
    (tmp_path / name).write_bytes(data)
    tracked = list(SquareSession().stream(tmp_path / name))
    assert 40 <= len(tracked) < 60
    assert f"{name}: some frames cannot be decoded (places: 1) and are left out; {len(tracked)}" in caplog.text


def test_reading_on_ends(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    video(tmp_path / "a.mkv", count=5)
    reads = []
    original = opencv_capture.Capture.read
    monkeypatch.setattr(opencv_capture.Capture, "read", lambda self: (reads.append(1), original(self))[1])
    source = VideoFileSource(str(tmp_path / "a.mkv"), None)
    before = len(reads)
    assert len(list(source)) == 5
    assert len(reads) - before == 5 + opencv_capture.FAILED_READS + 1


def test_a_video_that_goes_between_opening_and_reading_is_named(tmp_path: Path) -> None:
    video(tmp_path / "a.mp4", count=5)
    source = open_source(tmp_path / "a.mp4")
    (tmp_path / "a.mp4").unlink()
    with pytest.raises(InputError, match="cannot be read as a video any more: No such file or directory"):
        list(source)


def patched(data: bytearray, tag: bytes, form: str, offset: int, *values: int) -> bytearray:
    """Numbers changed, so many bytes behind the name of a part of the header."""
    struct.pack_into(form, data, data.index(tag) + 4 + offset, *values)
    return data


def test_a_header_that_lies_about_the_length_changes_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(patched(video(path), b"stts", ">I", 8, 2**31 - 1))
    source = open_source(path)
    assert len(source) == 2**31 - 1
    written = SquareSession().track(source, tmp_path / "out", outputs=["mot", "sheet"], progress=silent)
    assert read_tracks(written[0]).frames.max() == 60
    assert cv2.imread(str(written[1])).shape[0] > 1000, "four rows of pictures, not one"
    assert "60 of 2147483647 frames could be read" in caplog.text


@pytest.mark.parametrize("fraction", [(1, 2**31 - 1), (2**31 - 1, 1)])
def test_a_header_that_lies_about_the_rate_changes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, fraction: tuple[int, int]
) -> None:
    """Millions of frames in a second, or one in a century: no video is written so, and the run was refused."""
    path = tmp_path / "a.avi"
    path.write_bytes(patched(video(path, count=12, codec="mjpeg"), b"strh", "<II", 24, *fraction))
    written = SquareSession().track(path, tmp_path / "out", outputs=["video"], progress=silent)
    with av.open(str(written[0])) as container:
        assert sum(1 for _ in container.decode(video=0)) == 12
    assert "a.avi: says that it has" in caplog.text
    assert open_source(path, fps=7).fps == 7


# --------------------------------------------------------------------------------------- pictures, limits, cameras
def test_a_picture_that_announces_too_many_pixels_is_refused(tmp_path: Path) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0))
    (tmp_path / "1.png").write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"0")))
    with pytest.raises(InputError, match=r"1\.png: cannot be read as a picture: it says that it is far too large"):
        open_source(tmp_path)


def test_other_refusals_of_opencv_are_told_in_its_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise cv2.error("OpenCV(4) loadsave.cpp:1: error: (-4) Insufficient memory\nin function 'imread'")

    monkeypatch.setattr(cv2, "imread", refuse)
    with pytest.raises(InputError) as caught:
        frame_sources._read_picture(tmp_path / "1.png")
    assert str(caught.value).endswith(
        "1.png: cannot be read as a picture: OpenCV(4) loadsave.cpp:1: error: (-4) Insufficient memory"
    )


def test_out_of_file_descriptors_no_picture_is_blamed(tmp_path: Path) -> None:
    """The advice was to remove or replace a picture that is well."""
    cv2.imwrite(str(tmp_path / "1.png"), FRAMES[0])
    clip = video(tmp_path / "a.mp4", count=3) and tmp_path / "a.mp4"
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.open(os.devnull, os.O_RDONLY)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, before[1]))
    try:
        with pytest.raises(InputError, match="cannot be read as a picture: Too many open files"):
            frame_sources._read_picture(tmp_path / "1.png")
        with pytest.raises(InputError, match="cannot be read as a video: Too many open files"):
            open_source(clip)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.fixture
def stalled_camera() -> Iterator[str]:
    """A network camera that sends ninety pictures and then nothing, without hanging up."""
    server = socket.create_server(("127.0.0.1", 0))
    kept = []
    pictures = [cv2.imencode(".jpg", frame)[1].tobytes() for frame in 3 * FRAMES]  # before anybody waits for them

    def serve() -> None:
        while True:
            try:
                connection = server.accept()[0]
            except OSError:
                return
            kept.append(connection)
            if len(kept) > 1:
                continue
            connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=f\r\n\r\n")
            for data in pictures:
                connection.sendall(
                    b"--f\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(data) + data + b"\r\n"
                )

    threading.Thread(target=serve, daemon=True).start()
    yield f"http://127.0.0.1:{server.getsockname()[1]}/live.mjpg"
    server.close()
    [connection.close() for connection in kept]


def test_a_camera_that_stalls_ends_with_complete_files(
    tmp_path: Path, stalled_camera: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(opencv_capture, "TIMEOUT_MILLISECONDS", 4000)
    source = open_source(stalled_camera, reconnect_seconds=1)
    with caplog.at_level(logging.WARNING):
        written = SquareSession().track(source, tmp_path, outputs=["mot", "cocovid"], progress=silent)
    assert read_tracks(written[0]).frames.max() >= 80
    assert len(json.loads(written[1].read_text())["images"]) >= 80
    assert "gave no frame for 1 s: taken for its end" in caplog.text
