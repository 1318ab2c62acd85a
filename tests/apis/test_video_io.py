"""Reading frames from every kind of source, writing MP4."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from clmot_qd.apis.video_io import DEFAULT_FPS, VideoWriter, open_source
from clmot_qd.errors import InputError


def clip(count: int, width: int = 64, height: int = 48) -> list[np.ndarray]:
    """Smooth coloured pictures with a bright square that moves; frame i has its own brightness."""
    rows, columns = np.mgrid[:height, :width]
    frames = []
    for index in range(count):
        channels = [60 + 2 * columns, 40 + 3 * rows, np.full_like(rows, 90 + 6 * index)]
        frame = np.stack(channels, axis=2).clip(0, 255).astype(np.uint8)
        frame[10:20, 4 * index : 4 * index + 10] = (30, 200, 240)
        frames.append(frame)
    return frames


def write_video(path: Path, frames: Iterable[np.ndarray], fps: float = 12.5) -> Path:
    with VideoWriter(path, fps) as writer:
        for frame in frames:
            writer.write(frame)
    return path


def write_pictures(folder: Path, frames: list[np.ndarray], names: list[str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame in zip(names, frames):
        assert cv2.imwrite(str(folder / name), frame)
    return folder


# ---- video -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "height"), [(64, 48), (63, 47), (64, 47), (63, 48)])
def test_round_trip(tmp_path: Path, width: int, height: int) -> None:
    frames = clip(9, width, height)
    source = open_source(write_video(tmp_path / "clip.mp4", frames))
    assert len(source) == 9
    assert source.fps == pytest.approx(12.5)
    assert source.size == (width + width % 2, height + height % 2)
    found = list(source)
    assert len(found) == 9
    for expected, frame in zip(frames, found):
        assert frame.shape == (height + height % 2, width + width % 2, 3)
        assert cv2.PSNR(np.ascontiguousarray(frame[:height, :width]), expected) > 30
    assert len(list(source)) == 9, "a file can be read again"


def test_the_added_column_repeats_the_last_one(tmp_path: Path) -> None:
    picture = np.full((31, 31, 3), 200, np.uint8)
    frame = next(iter(open_source(write_video(tmp_path / "clip.mp4", [picture] * 3))))
    assert frame.shape == (32, 32, 3)
    assert np.abs(frame.astype(int) - 200).max() < 6


@pytest.mark.parametrize("fps", [4, 29.97, 30000 / 1001, 0.5])
def test_frame_rates_survive(tmp_path: Path, fps: float) -> None:
    path = write_video(tmp_path / "clip.mp4", clip(4), fps)
    with av.open(str(path)) as container:
        assert float(container.streams.video[0].average_rate) == pytest.approx(fps, rel=1e-4)
        if fps == 30000 / 1001:
            assert container.streams.video[0].average_rate == Fraction(30000, 1001)


def test_browsers_can_play_it(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", clip(4))
    data = path.read_bytes()
    assert data[4:8] == b"ftyp"
    assert 0 < data.find(b"moov") < data.find(b"mdat"), "the index stands in front: playback starts at once"
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"


def test_two_decoders_see_the_same_colours(tmp_path: Path) -> None:
    picture = np.zeros((64, 64, 3), np.uint8)
    picture[:] = (200, 30, 60)
    path = write_video(tmp_path / "clip.mp4", [picture] * 3)
    with av.open(str(path)) as container:
        by_av = next(container.decode(video=0)).to_ndarray(format="bgr24")
    by_opencv = next(iter(open_source(path)))
    assert np.abs(by_av.astype(int) - picture).max() < 8
    assert np.abs(by_opencv.astype(int) - picture).max() < 8


def frames_until(error: BaseException) -> Iterator[np.ndarray]:
    yield clip(1)[0]
    raise error


def test_an_exception_leaves_nothing_and_keeps_the_older_file(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    with pytest.raises(ZeroDivisionError):
        write_video(path, frames_until(ZeroDivisionError()))
    assert list(tmp_path.iterdir()) == []
    before = write_video(path, clip(3)).read_bytes()
    with pytest.raises(KeyboardInterrupt):
        write_video(path, frames_until(KeyboardInterrupt()))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_stands_under_the_name_before_the_end(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "clip.mp4"
    with VideoWriter(path, 5) as writer:
        writer.write(clip(1)[0])
        assert not path.exists()
    assert path.exists()


def test_writing_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no frame"), VideoWriter(tmp_path / "clip.mp4", 5):
        pass
    assert list(tmp_path.iterdir()) == []


def test_wrong_frames_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    with pytest.raises(ValueError, match="video of shape"):
        write_video(path, [*clip(1), *clip(1, width=62)])
    for wrong in (np.zeros((48, 64), np.uint8), np.zeros((48, 64, 3), np.float32)):
        with pytest.raises(ValueError, match="uint8 frame"):
            write_video(path, [wrong])


@pytest.mark.parametrize(("name", "fps"), [("clip.avi", 5), ("clip.mp4", 0), ("clip.mp4", float("nan"))])
def test_wrong_arguments_are_named(tmp_path: Path, name: str, fps: float) -> None:
    with pytest.raises(InputError, match="change the name" if name.endswith("avi") else "fps = "):
        VideoWriter(tmp_path / name, fps)


@pytest.mark.parametrize("content", [b"", b"not a video" * 500])
def test_a_file_that_is_no_video(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "broken.mp4").write_bytes(content)
    with pytest.raises(InputError, match=r"broken\.mp4: cannot be read as a video"):
        open_source(tmp_path / "broken.mp4")


def test_a_cut_off_video_is_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (30, 64, 64, 3)).astype(np.uint8)
    data = write_video(tmp_path / "whole.mp4", list(noise)).read_bytes()
    (tmp_path / "cut.mp4").write_bytes(data[: len(data) // 2])
    with caplog.at_level(logging.WARNING):
        found = len(list(open_source(tmp_path / "cut.mp4")))
    assert 0 < found < 30
    assert f"{found} of 30 frames" in caplog.text


def test_a_camera_has_no_length(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []

    class Camera:
        def __init__(self, source: object) -> None:
            opened.append(source)
            self.left = 3

        def read(self) -> tuple[bool, np.ndarray | None]:
            self.left -= 1
            return self.left >= 0, np.zeros((48, 64, 3), np.uint8)

        def get(self, key: int) -> float:
            return -1.0

        def release(self) -> None: ...

    monkeypatch.setattr(cv2, "VideoCapture", Camera)
    source = open_source(0, reconnect_seconds=0)
    assert (source.fps, source.size) == (DEFAULT_FPS, (64, 48))
    assert source.is_live
    assert sum(1 for _ in source) == 3, "the first frame is not lost, and the camera is opened once"
    assert opened == [0]
    with pytest.raises(TypeError, match="not known"):
        len(source)


# ---- pictures ----------------------------------------------------------------------------------------------------


def test_a_folder_is_read_in_natural_order(tmp_path: Path) -> None:
    frames = clip(3)
    folder = write_pictures(tmp_path / "img1", frames, ["10.png", "9.png", "1.PNG"])
    (folder / "notes.txt").write_text("not a picture")
    (folder / "._9.png").write_bytes(b"left by another system")
    source = open_source(folder)
    assert (len(source), source.size, source.fps) == (3, (64, 48), DEFAULT_FPS)
    for expected, frame in zip(frames[::-1], source, strict=True):
        np.testing.assert_array_equal(frame, expected)


def test_a_glob_takes_what_it_matches(tmp_path: Path) -> None:
    frames = clip(4)
    write_pictures(tmp_path, frames, ["a2.png", "a10.png", "b1.png", "a1.png"])
    found = list(open_source(f"{tmp_path}/a*.png"))
    np.testing.assert_array_equal(found, [frames[3], frames[0], frames[1]])
    with pytest.raises(InputError, match="matches no file"):
        open_source(f"{tmp_path}/c*.png")


def test_one_picture_is_a_source_of_one_frame(tmp_path: Path) -> None:
    write_pictures(tmp_path, clip(2), ["000001.png", "000002.png"])
    assert len(list(open_source(tmp_path / "000001.png"))) == 1


def test_a_folder_with_glob_characters_in_its_name(tmp_path: Path) -> None:
    assert len(open_source(write_pictures(tmp_path / "take[1]", clip(2), ["1.png", "2.png"]))) == 2


def test_grey_and_deep_pictures_become_8_bit_colour(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "1.png"), np.full((48, 64), 32768, np.uint16))
    frame = next(iter(open_source(tmp_path)))
    assert (frame.shape, frame.dtype) == ((48, 64, 3), np.uint8)


def test_frame_rate_of_a_mot_sequence(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "img1", clip(1), ["000001.jpg"])
    (tmp_path / "seqinfo.ini").write_text("[Sequence]\nname=X\nframeRate=14\n")
    assert open_source(folder).fps == 14
    assert open_source(folder, fps=3).fps == 3
    (tmp_path / "seqinfo.ini").write_text("no section\nframeRate=often\n")
    assert open_source(folder).fps == DEFAULT_FPS


def test_an_unreadable_picture_is_named(tmp_path: Path) -> None:
    write_pictures(tmp_path, clip(2), ["1.png", "2.png"])
    (tmp_path / "3.png").write_bytes(b"broken")
    with pytest.raises(InputError, match=r"3\.png: cannot be read"):
        list(open_source(tmp_path))


def test_a_picture_of_another_size_is_named(tmp_path: Path) -> None:
    write_pictures(tmp_path, [*clip(1), *clip(1, 32, 48)], ["1.png", "2.png"])
    with pytest.raises(InputError, match=r"2\.png: is 32x48, but 1\.png is 64x48"):
        list(open_source(tmp_path))


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no pictures \([^)]*\)$"):
        open_source(tmp_path)
    (tmp_path / "det").mkdir()
    write_pictures(tmp_path / "img1", clip(1), ["1.png"])
    with pytest.raises(InputError, match=rf"holds no pictures .*; did you mean {re.escape(str(tmp_path / 'img1'))}\?$"):
        open_source(tmp_path)
    with pytest.raises(InputError, match=r"nowhere\.mp4: no such file"):
        open_source(tmp_path / "nowhere.mp4")
    with pytest.raises(InputError, match="fps = -1"):
        open_source(tmp_path, fps=-1)
