"""Addresses that are shown, and what is no source: one line that says so."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from stub_session import SquareSession, scene

from clmot_qd.apis.addresses import public_name
from clmot_qd.apis.arguments import whole_number
from clmot_qd.apis.frame_sources import open_source
from clmot_qd.apis.track_files import name_of
from clmot_qd.errors import InputError

FRAME = scene(0)


def silent(done: int, total: int | None) -> None:
    pass


# -------------------------------------------------------------------------------------------------------- passwords
@pytest.mark.parametrize(
    ("address", "shown", "name"),
    [
        ("rtsp://user:p%40ss:geh@eim@host/live", "rtsp://host/live", "live"),
        ("rtsp://u:geh/eim@host/live", "rtsp://host/live", "live"),
        ("rtsp://u:geh?eim@host/live", "rtsp://host/live", "live"),
        ("rtsp://u:geh#eim@host/live", "rtsp://host/live", "live"),
        ("rtsp:/u:geheim@host/live", "rtsp:/host/live", "live"),  # as pathlib writes it
        ("http://host/live.mjpg?user=admin&password=geheim", "http://host/live.mjpg", "live"),
        (
            "rtsp://host:554/user=admin_password=geheim_channel=1.sdp",
            "rtsp://host:554/user=admin_password=***_channel=1.sdp",
            "user_admin_password__channel_1",
        ),
        (
            "rtsp://host/user=admin&pwd=geheim&channel=1",
            "rtsp://host/user=admin&pwd=***&channel=1",
            "user_admin_pwd_channel_1",
        ),
        ("http://host/TOKEN=geh_eim/live", "http://host/TOKEN=***/live", "live"),
        ("rtsp://host/pass=geh_eim", "rtsp://host/pass=***", "pass"),
        ("a/street@night?.mp4", "a/street@night?.mp4", "street_night"),
    ],
)
def test_passwords_are_not_shown(address: str, shown: str, name: str) -> None:
    assert public_name(address) == shown
    assert name_of(address) == name


# ------------------------------------------------------------------------------------------------ what is no source
@pytest.mark.parametrize(
    ("source", "message"),
    [
        (-1, "source -1: cameras have numbers from 0"),
        (True, "source True: cameras"),
        (None, "source None: give a file"),
        (1.5, "source 1.5: give a file"),
        (FRAME, r"source: one array of shape \(64, 96, 3\)"),
        ([[[1, 2]]], r"frame 0: needs \(H, W, 3\) uint8, got list"),
        (b"abc", "frame 0: needs .* got int"),
        ([FRAME.astype(float)], "frame 0: needs .* float64"),
        (cv2.VideoCapture(), "give a file"),
    ],
)
def test_what_is_no_source_is_told_by_every_way_in(tmp_path: Path, source: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        SquareSession().track(source, tmp_path / "out", outputs=["mot"], progress=silent)
    with pytest.raises(InputError, match=message):
        list(SquareSession().stream(source))
    assert not (tmp_path / "out").exists()


def test_update_says_what_is_no_frame() -> None:
    with pytest.raises(InputError, match=r"frame 0: needs .* got NoneType"):
        SquareSession().update(None)  # type: ignore[arg-type]


def test_numpys_numbers_are_cameras(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[object] = []
    monkeypatch.setattr(cv2, "VideoCapture", lambda source: opened.append(source) or Silent())
    with pytest.raises(InputError, match="camera 2: gives no frame"):
        open_source(np.int64(2))  # type: ignore[arg-type]
    assert [type(source) for source in opened] == [int]


class Silent:
    """A camera that gives nothing."""

    def read(self) -> tuple[bool, None]:
        return False, None

    def release(self) -> None:
        pass


def test_an_error_before_the_first_frame_is_one_of_the_source(tmp_path: Path) -> None:
    def frames() -> Any:
        raise OSError(5, "unplugged")
        yield

    with pytest.raises(InputError, match=r"the source cannot be read any more .*unplugged"):
        SquareSession().track(frames(), tmp_path, outputs=["mot"], progress=silent)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(batch_size=1.5), "batch_size = 1.5: must be a whole number"),
        (dict(batch_size=None), "batch_size = None"),
        (dict(batch_size=0), "batch_size = 0: must be at least 1"),
        (dict(prefetch=True), "prefetch = True"),
        (dict(score_thr="0.5"), "score_thr = '0.5': must lie between 0 and 1"),
        (dict(score_thr={"left": None}), "score_thr of 'left' = None"),
        (dict(keep_classes=3), "keep_classes = 3: give a list"),
        (dict(keep_classes=[0]), r"keep_classes \(--classes\): 0 is none of the classes"),
    ],
)
def test_options_of_the_wrong_kind_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        SquareSession(**options)


def test_numbers_of_numpy_are_numbers() -> None:
    assert type(whole_number("n", np.int32(3), 1)) is int
    assert SquareSession(score_thr=np.float32(0.5), batch_size=np.int64(2)).batch_size == 2


# ----------------------------------------------------------------------------------------------- files and folders
def test_devices_and_pipes_are_no_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in ("/dev/null", tmp_path / "pipe"):
        with pytest.raises(InputError, match="a device or a pipe, no file; a camera is given by its number"):
            open_source(path)


def test_a_glob_takes_pictures(tmp_path: Path) -> None:
    for name in ("a.mp4", "b.MP4"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(InputError, match=r"\*: a glob takes pictures, and it matches a\.mp4; give one video"):
        open_source(f"{tmp_path}/*")


def test_a_folder_among_pictures_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "0.jpg").mkdir()
    cv2.imwrite(str(tmp_path / "1.png"), FRAME)
    assert len(list(open_source(tmp_path))) == 1
