"""Videos with an end: lengths that are stored or guessed, and recordings behind an address that drop."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from stub_session import SquareSession, scene

from clmot_qd.apis.frame_sources import open_source
from clmot_qd.apis.video_capture import LiveSource
from clmot_qd.datasets.mot_text import read_tracks
from clmot_qd.errors import InputError


@pytest.mark.parametrize(("name", "length"), [("clip.mkv", None), ("clip.ts", None), ("clip.mp4", 20)])
def test_a_length_is_only_believed_where_it_is_stored(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, length: int | None
) -> None:
    """30 frames with every third left out: rate times duration is 30, and nothing is cut off."""
    with av.open(str(tmp_path / name), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for number in range(30):
            if number % 3 != 1:
                frame = av.VideoFrame.from_ndarray(scene(number), format="bgr24")
                frame.pts, frame.time_base = round(number * 1000 / 30), Fraction(1, 1000)
                container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    source = open_source(tmp_path / name)
    if length is None:
        with pytest.raises(TypeError, match="not known"):
            len(source)
    else:
        assert len(source) == length
    assert len(list(source)) == 20
    assert caplog.text == ""


# ------------------------------------------------------------------------------------------- recordings elsewhere
@contextmanager
def file_server(path: Path, share: float) -> Iterator[str]:
    """Says how long the file is, sends this share of it, and drops the connection."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while self.rfile.readline().strip():
                pass
            data = path.read_bytes()
            self.wfile.write(b"HTTP/1.0 200 OK\r\nContent-Type: video/mp4\r\nContent-Length: %d\r\n\r\n" % len(data))
            with suppress(OSError):  # the reader has gone
                self.wfile.write(data[: round(share * len(data))])

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://user:secret@127.0.0.1:{server.server_address[1]}/{path.name}"
        server.shutdown()


def recording(path: Path, seconds: int) -> Path:
    noise = np.random.default_rng(0).integers(0, 255, (10, 64, 96, 3)).astype(np.uint8)
    with av.open(str(path), "w", options={"movflags": "+faststart"} if path.suffix == ".mp4" else {}) as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for number in range(10 * seconds):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(noise[number % 10], format="bgr24")))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("name", "lost"),
    [("clip.mp4", r"connection lost after \d+ of 120 frames"), ("clip.mkv", r"lost after \d\.\d of 12\.\d seconds")],
)
def test_a_recording_whose_connection_is_lost_is_not_taken_for_whole(tmp_path: Path, name: str, lost: str) -> None:
    path = recording(tmp_path / name, 12)
    with file_server(path, 1.0) as address:
        source = open_source(address)
        assert not source.is_live
        assert len(list(source)) == 120
    with file_server(path, 0.5) as address, pytest.raises(InputError, match=lost) as caught:
        SquareSession().track(address, tmp_path / "out", progress=lambda done, total: None)
    assert "secret" not in str(caught.value)
    assert [entry.name for entry in (tmp_path / "out").iterdir()] == ["tracks.partial.txt"]
    assert read_tracks(tmp_path / "out" / "tracks.partial.txt") is not None


@pytest.mark.parametrize("scheme", ["rtsp", "RTSP", "rtmp", "udp", "srt"])
def test_streams_are_live_whatever_they_say_of_their_length(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    """The playback of a recorder announces its length, and is connected again when it drops."""

    class Playback:
        def __init__(self, *args: object) -> None:
            pass

        def read(self) -> tuple[bool, np.ndarray]:
            return True, scene(0)

        def get(self, key: int) -> float:
            return 500.0

    monkeypatch.setattr(cv2, "VideoCapture", Playback)
    assert isinstance(open_source(f"{scheme}://host/recorded"), LiveSource)
