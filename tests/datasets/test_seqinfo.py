"""seqinfo.ini: keys, defaults, mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest

from clmot_qd.datasets.seqinfo import SeqInfo, read_seqinfo
from clmot_qd.errors import InputError

ALL_KEYS = """[Sequence]
name=MOT17-05
imDir=frames
frameRate=14
seqLength=837
imWidth=640
imHeight=480
imExt=.png
"""


def put(folder: Path, text: str) -> Path:
    path = folder / "seqinfo.ini"
    path.write_text(text, encoding="utf-8")
    return path


def test_all_keys(tmp_path: Path) -> None:
    assert read_seqinfo(put(tmp_path, ALL_KEYS)) == SeqInfo("MOT17-05", "frames", 14, 837, 640, 480, ".png")


def test_missing_keys_have_defaults(tmp_path: Path) -> None:
    expected = SeqInfo("100%", "img1", 30, None, None, None, ".jpg")
    assert read_seqinfo(put(tmp_path, "[Sequence]\nname=100%\n")) == expected


@pytest.mark.parametrize(
    ("written", "meant"), [("jpg", ".jpg"), ("*.jpg", ".jpg"), (".rgb.jpg", ".rgb.jpg"), ("", ""), (".PNG", ".PNG")]
)
def test_end_of_the_names(tmp_path: Path, written: str, meant: str) -> None:
    assert read_seqinfo(put(tmp_path, f"[Sequence]\nimExt={written}\n")).image_suffix == meant


@pytest.mark.parametrize("text", ["name=a\n", "[Other]\nname=a\n", "", "[Sequence]\nno equals sign"])
def test_no_seqinfo(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match=r"seqinfo\.ini: not a seqinfo\.ini"):
        read_seqinfo(put(tmp_path, text))


@pytest.mark.parametrize("line", ["frameRate=fast", "frameRate=0", "seqLength=-1", "seqLength=inf", "imWidth=wide"])
def test_bad_number(tmp_path: Path, line: str) -> None:
    with pytest.raises(InputError, match=rf"{line} must be a number greater than 0"):
        read_seqinfo(put(tmp_path, f"[Sequence]\n{line}\n"))
