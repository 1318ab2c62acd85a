"""Streams and cameras: a server that drops the connection, resolutions that change, videos that cannot be read."""

from __future__ import annotations

import logging
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from stub_session import SquareSession, scene

from clmot_qd.apis import video_capture
from clmot_qd.apis.frame_sources import open_source
from clmot_qd.apis.video_capture import LiveSource
from clmot_qd.apis.video_io import VideoWriter
from clmot_qd.datasets.mot_text import read_tracks
from clmot_qd.errors import InputError

PART = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n"


@contextmanager
def camera_server(send: Callable[[int, Callable[[np.ndarray], None]], None]) -> Iterator[str]:
    """A network camera (motion JPEG over HTTP); ``send(connection, picture)`` plays one connection, then drops it.

    Connections are counted from 0. If ``send`` raises ConnectionRefusedError, that connection gets an error 503.
    """
    count = iter(range(1000))

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while self.rfile.readline().strip():
                pass
            number, begun = next(count), []

            def picture(frame: np.ndarray) -> None:
                if not begun:
                    begun.append(self.wfile.write(b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; "))
                    self.wfile.write(b"boundary=frame\r\n\r\n")
                data = cv2.imencode(".jpg", frame)[1].tobytes()
                self.wfile.write(PART % len(data) + data + b"\r\n")

            try:
                send(number, picture)
            except ConnectionRefusedError:
                self.wfile.write(b"HTTP/1.0 503 Service Unavailable\r\n\r\n")
            except OSError:
                pass  # the reader has gone

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://user:secret@127.0.0.1:{server.server_address[1]}/live.mjpg"
        server.shutdown()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video_capture, "FIRST_PAUSE", 0.05)


# ------------------------------------------------------------------------------------------------------- reconnecting
@pytest.mark.usefixtures("impatient")
def test_a_stream_that_drops_goes_on_with_its_ids(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Two connections of ten frames, the second in twice the resolution after a refusal; lost again, it is stopped."""

    def send(connection: int, picture: Callable[[np.ndarray], None]) -> None:
        if connection > 2:
            source.stop()
        if connection not in (0, 2):
            raise ConnectionRefusedError
        first, factor = (0, 1) if connection == 0 else (10, 2)
        for number in range(first, first + 10):
            frame = scene(number)
            picture(cv2.resize(frame, None, fx=factor, fy=factor, interpolation=cv2.INTER_NEAREST))

    with camera_server(send) as address:
        source = open_source(address, reconnect_seconds=60)
        assert source.is_live
        assert (source.size, "secret" in source.name) == ((96, 64), False)
        written = SquareSession().track(source, tmp_path, outputs=["mot", "video"], progress=lambda done, total: None)
    assert [path.name for path in written] == ["tracks.txt", "tracks.mp4"]
    table = read_tracks(written[0])
    assert table.frames.tolist() == np.repeat(np.arange(1, 21), 2).tolist()
    assert table.ids.tolist() == [1, 2] * 20, "the identities of before the gap go on"
    expected = np.array([scene(number)[:, 20].max(axis=1).argmax() for number in range(20)])
    np.testing.assert_allclose(table.bboxes[::2, 1], expected, atol=2)
    for words in (
        "no frame comes any more; connecting again for up to 60 s",
        "is back after",
        "is now 192x128; scaled to the 96x64 of its first frame",
    ):
        assert words in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.usefixtures("impatient")
def test_without_patience_a_drop_is_the_end(caplog: pytest.LogCaptureFixture) -> None:
    def send(connection: int, picture: Callable[[np.ndarray], None]) -> None:
        for number in range(5):
            picture(scene(number))

    with camera_server(send) as address:
        assert len(list(SquareSession().stream(open_source(address, reconnect_seconds=0)))) == 5
    assert "connecting again" not in caplog.text


@pytest.mark.usefixtures("impatient")
def test_an_early_end_releases_the_connection() -> None:
    gone = threading.Event()

    def send(connection: int, picture: Callable[[np.ndarray], None]) -> None:
        try:
            for number in range(10_000):
                picture(scene(number, 320, 240))
                time.sleep(0.001)
        except OSError:
            gone.set()
            raise

    with camera_server(send) as address:
        stream = SquareSession().stream(address)
        next(stream)
        stream.close()
        assert gone.wait(60), "the server notices that nobody reads any more"
    assert not [thread for thread in threading.enumerate() if thread.name == "read_ahead"]


def test_stopping_does_not_wait_for_a_lost_stream() -> None:
    lost = threading.Event()

    def stop() -> None:
        assert lost.wait(60)
        source.stop()

    def send(connection: int, picture: Callable[[np.ndarray], None]) -> None:
        if connection:
            lost.set()
            raise ConnectionRefusedError
        picture(scene(0))
        picture(scene(1))

    with camera_server(send) as address:
        source = open_source(address, reconnect_seconds=600)
        threading.Thread(target=stop, daemon=True).start()
        started = time.monotonic()
        assert len(list(SquareSession().stream(source))) == 2
        assert time.monotonic() - started < 300


def test_an_address_that_gives_nothing_is_named() -> None:
    def send(connection: int, picture: Callable[[np.ndarray], None]) -> None:
        raise ConnectionRefusedError

    with camera_server(send) as address, pytest.raises(InputError) as caught:
        open_source(address)
    assert "live.mjpg: gives no frame: check address, user and password" in str(caught.value)
    assert "secret" not in str(caught.value)
    with pytest.raises(InputError, match="reconnect_seconds = -1"):
        open_source("http://127.0.0.1:9/x", reconnect_seconds=-1)


class Camera:
    """A camera that gives three frames, is unplugged, comes back once with three more, and then is gone."""

    opened: list[object]
    released: list[object]

    def __init__(self, source: object) -> None:
        self.opened.append(source)
        self.left = 3 if len(self.opened) in (1, 4) else 0

    def read(self) -> tuple[bool, np.ndarray | None]:
        self.left -= 1
        return self.left >= 0, np.full((48, 64, 3), len(self.opened), np.uint8)

    def get(self, key: int) -> float:
        return -1.0

    def release(self) -> None:
        self.released.append(self)


def test_pauses_grow_until_patience_ends(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    Camera.opened, Camera.released = [], []
    clock = [100.0]
    pauses: list[float] = []

    def wait(seconds: float) -> bool:
        pauses.append(round(seconds, 6))
        clock[0] += seconds
        return False

    monkeypatch.setattr(cv2, "VideoCapture", Camera)
    monkeypatch.setattr(video_capture.time, "monotonic", lambda: clock[0])
    source = open_source(0, reconnect_seconds=30)
    assert isinstance(source, LiveSource)
    monkeypatch.setattr(source._stopped, "wait", wait)
    assert [int(frame[0, 0, 0]) for frame in source] == [1, 1, 1, 4, 4, 4]
    assert pauses == [0.5, 1, 2, 0.5, 1, 2, 4, 8, 8, 6.5]
    assert "gave no frame for 30 s: taken for its end" in caplog.text
    assert set(Camera.opened) == {0}
    assert len(Camera.released) == len(Camera.opened) == 11


def test_a_camera_is_released_when_the_frames_are_no_longer_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    Camera.opened, Camera.released = [], []
    monkeypatch.setattr(cv2, "VideoCapture", Camera)
    frames = iter(open_source(0))
    next(frames)
    frames.close()
    assert len(Camera.released) == len(Camera.opened) == 1


# ------------------------------------------------------------------------------------------------ files and resolutions
def transport_stream(frames: list[np.ndarray]) -> bytes:
    """H.264 in a format whose files can be put one after the other."""
    buffer = BytesIO()
    with av.open(buffer, "w", format="mpegts") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="bgr24")))
        container.mux(stream.encode(None))
    return buffer.getvalue()


def test_a_recording_whose_resolution_changes_goes_on_in_its_first_size(tmp_path: Path) -> None:
    small = [scene(number) for number in range(6)]
    large = [cv2.resize(scene(number), (192, 128), interpolation=cv2.INTER_NEAREST) for number in range(6, 12)]
    path = tmp_path / "switch.ts"
    path.write_bytes(transport_stream(small) + transport_stream(large))
    tracked = [tracks for frame, tracks in SquareSession().stream_frames(path) if frame.shape == (64, 96, 3)]
    assert [tracks.instances_id.tolist() for tracks in tracked] == [[1, 2]] * 12


def damaged(folder: Path) -> dict[str, Path]:
    """One file for each way in which a video may be unreadable."""
    noise = np.random.default_rng(0).integers(0, 255, (20, 64, 64, 3)).astype(np.uint8)
    with VideoWriter(folder / "whole.mp4", 10) as writer:
        for frame in noise:
            writer.write(frame)
    data = (folder / "whole.mp4").read_bytes()
    with av.open(str(folder / "sound.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        sound.rate = 44100
        container.mux(stream.encode(sound))
        container.mux(stream.encode(None))
    contents = dict(
        empty=b"",
        text=b"not a video" * 500,
        codec=data.replace(b"avc1", b"zzzz"),
        index=data[:400],
        frames=data[: data.find(b"mdat") + 8],
    )
    for name, content in contents.items():
        (folder / f"{name}.mp4").write_bytes(content)
    return {path.stem: path for path in folder.iterdir()}


REASONS = {
    "empty": "the file is empty",
    "text": "no video format that is known here, or cut off before its index was written",
    "codec": "its codec cannot be decoded here; convert it",
    "index": "no video format that is known here, or cut off before its index was written",
    "sound": "it holds no pictures, only sound or text",
    "frames": "it holds no frame that can be decoded",
}


@pytest.mark.parametrize(("name", "reason"), REASONS.items())
def test_why_a_file_cannot_be_read_is_told_in_one_line(tmp_path: Path, name: str, reason: str) -> None:
    path = damaged(tmp_path)[name]
    with pytest.raises(InputError) as caught:
        SquareSession().track(path, tmp_path / "out")
    assert str(caught.value).startswith(f"{path}: cannot be read as a video: {reason}")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


OPENING = """
import sys
sys.path.insert(0, sys.argv[1])
from stub_session import SquareSession
from clmot_qd.errors import InputError
for path in sys.argv[3:]:
    try:
        SquareSession().track(path, sys.argv[2])
    except InputError:
        print("refused")
"""


def test_the_decoders_own_complaints_are_not_shown(tmp_path: Path) -> None:
    """In a process of its own: OpenCV decides at its first video how much it says."""
    files = [str(path) for name, path in damaged(tmp_path).items() if name in REASONS]
    command = [sys.executable, "-c", OPENING, str(Path(__file__).parent), str(tmp_path / "out"), *files]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.split() == ["refused"] * len(files)
    assert done.stderr == ""


def test_a_cut_off_file_is_tracked_as_far_as_it_goes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = damaged(tmp_path)["whole"]
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with caplog.at_level(logging.WARNING):
        written = SquareSession().track(path, tmp_path / "out", outputs=["video"], progress=lambda done, total: None)
    found = len(list(open_source(written[0])))
    assert 0 < found < 20
    assert f"{found} of 20 frames could be read; the file may be cut off" in caplog.text
