"""Caltech's .seq videos: pictures come out unchanged, extraction goes on where it was stopped, damage is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from seq_samples import jpeg, write_seq

from clmot_qd.datasets.converters.caltech_video import extract, read_frames
from clmot_qd.errors import InputError


@pytest.mark.parametrize("extra", [8, 16])
@pytest.mark.parametrize("count", [None, 0])
def test_pictures_come_out_of_the_video_unchanged(tmp_path: Path, extra: int, count: int | None) -> None:
    frames = [jpeg(40 * number) for number in range(5)]
    video = write_seq(tmp_path / "V000.seq", frames, extra, count)
    assert list(read_frames(video, {0, 1, 2, 3, 4})) == list(enumerate(frames))
    assert list(read_frames(video, [4, 2])) == [(2, frames[2]), (4, frames[4])]
    assert list(read_frames(video, [])) == []
    assert [number for number, _ in read_frames(video, [3, 99])] == [3]


def test_what_stands_behind_the_last_picture_is_not_read(tmp_path: Path) -> None:
    video = write_seq(tmp_path / "V000.seq", [jpeg(0)] * 3, count=2)
    assert [number for number, _ in read_frames(video, {1, 2, 3})] == [1]
    with video.open("ab") as stream:
        stream.write(b"index")
    assert [number for number, _ in read_frames(video, {1, 2, 3})] == [1]


def test_extraction_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    frames = [jpeg(40 * number) for number in range(4)]
    video = write_seq(tmp_path / "V000.seq", frames, 16)
    targets = {number: tmp_path / "out" / f"{number}.jpg" for number in (1, 3)}
    assert extract(video, targets) == 2
    assert [targets[number].read_bytes() for number in (1, 3)] == [frames[1], frames[3]]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["1.jpg", "3.jpg"]
    targets[3].unlink()
    targets[1].write_bytes(b"mine")
    assert extract(video, targets) == 1
    assert targets[1].read_bytes() == b"mine"
    video.unlink()
    assert extract(video, targets) == 0  # nothing missing: the video is not needed


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda data: data[:500], "no .seq video, or cut off"),
        (lambda data: b"RIFF" + data[4:], "no .seq video, or cut off"),
        (lambda data: data[:4] + "Norpix sek".encode("utf-16-le") + data[24:], "no .seq video"),
        (lambda data: data[:-100], "frame 1 is no whole JPEG picture: truncated"),
        (lambda data: data[: len(data) // 2 + 514], "ends within frame 1: truncated"),
        (lambda data: data[:1028] + b"\0\0" + data[1030:], "frame 0 is no whole JPEG picture"),
        (lambda data: data[:1024] + bytes(4) + data[1028:], "frame 0 is no whole JPEG picture"),
    ],
)
def test_damaged_videos(tmp_path: Path, change: Callable[[bytes], bytes], match: str) -> None:
    video = write_seq(tmp_path / "V000.seq", [jpeg(3), jpeg(3)])
    video.write_bytes(change(video.read_bytes()))
    out = tmp_path / "out"
    with pytest.raises(InputError, match=match):
        extract(video, {1: out / "1.jpg"})
    assert not out.exists() or not list(out.iterdir())


def test_videos_in_another_form_or_missing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"V000.seq: its pictures are in form 100, not JPEG"):
        extract(write_seq(tmp_path / "V000.seq", [jpeg(0)], form=100), {0: tmp_path / "0.jpg"})
    with pytest.raises(InputError, match=r"V001.seq: cannot be read"):
        extract(tmp_path / "V001.seq", {0: tmp_path / "0.jpg"})
