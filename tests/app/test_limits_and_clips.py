"""What an upload may be, and what becomes of it."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import av
import cv2
import pytest
from clip_files import frame_of, png, write_clip, write_zip

from clmot_qd.app.clips import Clip, container_of, prepare_clip
from clmot_qd.app.limits import Limits
from clmot_qd.errors import InputError


def prepared(upload: Path, limits: Limits | None = None) -> Clip:
    folder = upload.parent / "job"
    folder.mkdir()
    return prepare_clip(upload, folder, limits or Limits())


@pytest.mark.parametrize("suffix", ["mp4", "mov", "avi", "mkv", "webm"])
def test_each_kind_of_video_is_told_by_its_content(tmp_path: Path, suffix: str) -> None:
    written = write_clip(tmp_path / f"written.{suffix}", frames=6, fps=10)
    upload = written.rename(tmp_path / "%04d;rm -rf ~.txt")
    clip = prepared(upload)
    assert clip.source.parent == tmp_path / "job"
    assert re.fullmatch(r"clip\.(mp4|avi|mkv)", clip.source.name)
    assert clip.frames == 6
    assert clip.rate == pytest.approx(10)
    assert clip.source.read_bytes() == upload.read_bytes()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello, I am a text",
        b"#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
        b"ffconcat version 1.0\nfile /etc/passwd\n",
        b"RIFF\x10\x00\x00\x00WAVEfmt ",
        b"<?xml version='1.0'?><MPD></MPD>",
    ],
)
def test_what_is_no_video_never_reaches_a_decoder(
    tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(av, "open", lambda *_, **__: pytest.fail("a decoder was asked"))
    upload = tmp_path / "video.mp4"
    upload.write_bytes(content)
    assert container_of(upload) is None
    with pytest.raises(InputError, match="neither a video"):
        prepared(upload)
    assert not list((tmp_path / "job").iterdir())


def test_a_play_list_behind_the_first_bytes_of_a_video_is_refused(tmp_path: Path) -> None:
    upload = tmp_path / "video.mp4"
    upload.write_bytes(b"\x00\x00\x00\x18ftyp#EXTM3U\nfile:///etc/passwd\n")
    with pytest.raises(InputError, match="cannot be opened"):
        prepared(upload)


def test_a_video_that_breaks_off_is_told_as_damaged(tmp_path: Path) -> None:
    whole = write_clip(tmp_path / "whole.mp4").read_bytes()
    upload = tmp_path / "video.mp4"
    upload.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="cannot be opened"):
        prepared(upload)


def test_sound_alone_is_told(tmp_path: Path) -> None:
    upload = tmp_path / "sound.mp4"
    with av.open(str(upload), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        silence = av.AudioFrame(format="fltp", layout="mono", samples=1024)
        silence.sample_rate = 16000
        silence.planes[0].update(bytes(4 * 1024))
        container.mux(stream.encode(silence))
        container.mux(stream.encode(None))
    with pytest.raises(InputError, match="holds no video"):
        prepared(upload)


def test_a_file_that_was_swept_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="choose it again"):
        prepared(tmp_path / "gone.mp4")


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (Limits(max_mb=0.0005), r"the file has 0\.0 MB; this page takes at most 0\.0005 MB"),
        (Limits(max_seconds=1.9), r"2\.0 s long; this page takes at most 1\.9 s"),
        (Limits(max_frames=19), r"20 frames; this page takes at most 19"),
        (Limits(max_pixels=64 * 48 - 1), r"64x48"),
    ],
)
def test_each_limit_is_checked_before_anything_is_decoded(tmp_path: Path, limits: Limits, message: str) -> None:
    upload = write_clip(tmp_path / "clip.mp4", frames=20, fps=10)
    with pytest.raises(InputError, match=message):
        prepared(upload, limits)


def test_one_byte_too_many_is_refused(tmp_path: Path) -> None:
    upload = write_clip(tmp_path / "clip.mp4")
    with pytest.raises(InputError, match="this page takes at most"):
        prepared(upload, Limits((upload.stat().st_size - 1) / 2**20))


def test_another_container_behind_the_first_bytes_of_a_video_is_refused(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.ts"), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(20):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame_of(number), format="bgr24")))
        container.mux(stream.encode(None))
    content = bytearray((tmp_path / "a.ts").read_bytes())
    content[4:8] = b"skip"
    upload = tmp_path / "video.mp4"
    upload.write_bytes(content)
    with av.open(str(upload)) as opened:
        assert opened.format.name == "mpegts"  # what a decoder makes of it if it is not told
    with pytest.raises(InputError, match="cannot be opened"):
        prepared(upload)


def test_a_video_at_the_limits_passes(tmp_path: Path) -> None:
    upload = write_clip(tmp_path / "clip.mp4", frames=20, fps=10)
    limits = Limits(upload.stat().st_size / 2**20, max_seconds=2.0, max_frames=20, max_pixels=64 * 48)
    assert prepared(upload, limits).frames == 20


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["max_mb", "max_seconds", "max_frames"])
def test_a_limit_that_limits_nothing_is_refused(name: str, value: float) -> None:
    with pytest.raises(InputError, match=f"--{name.replace('_', '-')}"):
        Limits(**{name: value})


# ---- zip ---------------------------------------------------------------------------------------------------------


def test_pictures_of_a_zip_come_in_natural_order_under_names_of_ours(tmp_path: Path) -> None:
    names = ("clip/10.png", "clip/2.png", "../../escape/1.png", "/etc/3.png", "__MACOSX/._2.png", "notes.txt")
    upload = write_zip(tmp_path / "a.zip", {name: png(i) for i, name in enumerate(names)})
    clip = prepared(upload)
    assert sorted(path.name for path in clip.source.iterdir()) == [f"{i:06d}.png" for i in range(1, 5)]
    assert clip.frames == 4
    assert (clip.source / "000001.png").read_bytes() == png(2)  # "../../escape/1.png"
    assert [(clip.source / f"00000{i}.png").read_bytes() for i in (3, 4)] == [png(1), png(0)]
    assert {path.name for path in tmp_path.iterdir()} == {"a.zip", "job"}


@pytest.mark.parametrize(
    ("entries", "limits", "message"),
    [
        ({"readme.txt": b"x"}, Limits(), "holds no pictures"),
        ({"1.png": b"no picture"}, Limits(), "picture 1 of the zip is no PNG picture"),
        ({"1.jpg": png()}, Limits(), "picture 1 of the zip is no JPEG picture"),
        ({"1.png": png(), "2.png": png()}, Limits(max_frames=1), "the zip has 2 pictures; this page takes at most 1"),
        ({"1.png": png(), "2.png": png(size=(32, 16))}, Limits(), "picture 2 of the zip is 32x16, the first .* 64x48"),
        ({"shots.jpg/": b""}, Limits(), "holds no pictures"),
        ({"1.png": png(size=(400, 300))}, Limits(max_pixels=119_999), "400x300"),
        ({"1.png": bytes(3_000_000)}, Limits(max_mb=1), r"unpacked zip has 2\.9 MB"),
    ],
)
def test_a_zip_that_cannot_be_used_is_told(
    tmp_path: Path, entries: dict[str, bytes], limits: Limits, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        prepared(write_zip(tmp_path / "a.zip", entries), limits)


def test_a_zip_that_lies_about_its_size_unpacks_no_more_than_it_says(tmp_path: Path) -> None:
    upload = write_zip(tmp_path / "bomb.zip", {"1.png": bytes(5_000_000)})
    content = upload.read_bytes()
    lie = content.replace((5_000_000).to_bytes(4, "little"), (1000).to_bytes(4, "little"))
    assert lie != content
    upload.write_bytes(lie)
    with pytest.raises(InputError, match="zip"):
        prepared(upload, Limits(max_mb=1))
    assert all(path.stat().st_size <= 1000 for path in (tmp_path / "job" / "frames").iterdir())


def test_a_broken_zip_and_a_locked_one_are_told(tmp_path: Path) -> None:
    upload = write_zip(tmp_path / "a.zip", {"1.png": png()})
    upload.write_bytes(upload.read_bytes()[:-30])
    with pytest.raises(InputError, match="cannot be unpacked"):
        prepared(upload)
    (tmp_path / "job").rmdir() if not any((tmp_path / "job").iterdir()) else (tmp_path / "job" / "frames").rmdir()
    locked = write_zip(tmp_path / "b.zip", {"1.png": png()})
    content = bytearray(locked.read_bytes())
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + flags] |= 1  # "this entry is encrypted"
    locked.write_bytes(content)
    folder = tmp_path / "second"
    folder.mkdir()
    with pytest.raises(InputError, match=r"cannot be unpacked \(.*password"):
        prepare_clip(locked, folder, Limits())


def test_the_pictures_can_be_read(tmp_path: Path) -> None:
    clip = prepared(write_zip(tmp_path / "a.zip", {"1.png": png()}))
    assert cv2.imread(str(clip.source / "000001.png")).shape == (48, 64, 3)
    assert zipfile.is_zipfile(tmp_path / "a.zip")
