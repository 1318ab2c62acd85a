"""Sequence folders and frames: natural order, MOT17's copies, odd numbering, advice for a wrong root."""

from __future__ import annotations

from pathlib import Path

import pytest

from clmot_qd.datasets.mot_layout import find_sequences, list_frames, missing_frame, natural_key
from clmot_qd.errors import InputError


def make(root: Path, name: str, images: list[str] = ("000001.jpg",), image_dir: str = "img1") -> Path:
    folder = root / name
    (folder / image_dir).mkdir(parents=True)
    for image in images:
        (folder / image_dir / image).touch()
    return folder


def names(root: Path, **options) -> list[str]:
    return [sequence.name for sequence in find_sequences(root, **options)]


def numbers(root: Path) -> list[tuple[int, str]]:
    (sequence,) = find_sequences(root)
    return [(frame.number, frame.path.name) for frame in list_frames(sequence)]


def test_natural_key() -> None:
    texts = ["seq10", "seq2", "10", "9b", "9a", "a", "seq2b1"]
    assert sorted(texts, key=natural_key) == ["9a", "9b", "10", "a", "seq2", "seq2b1", "seq10"]


def test_sequences_in_natural_order_without_other_folders(tmp_path: Path) -> None:
    for name in ("MOT17-10", "MOT17-9", "MOT17-02"):
        make(tmp_path, name)
    (tmp_path / "annotations").mkdir()
    (tmp_path / "readme.txt").touch()
    assert names(tmp_path) == ["MOT17-02", "MOT17-9", "MOT17-10"]
    assert names(tmp_path, names=["MOT17-10", "MOT17-02"]) == ["MOT17-02", "MOT17-10"]


def test_one_of_the_three_copies(tmp_path: Path) -> None:
    for name in ("MOT17-02-DPM", "MOT17-02-FRCNN", "MOT17-02-SDP", "own-clip"):
        make(tmp_path, name)
    assert names(tmp_path, detector="SDP") == ["MOT17-02-SDP", "own-clip"]


def test_detector_that_is_not_there(tmp_path: Path) -> None:
    make(tmp_path, "MOT17-02-DPM")
    with pytest.raises(InputError, match="no sequence of detector SDP; there are MOT17-02-DPM"):
        names(tmp_path, detector="SDP")
    with pytest.raises(InputError, match="'YOLO' is none of MOT17's: DPM, FRCNN, SDP"):
        names(tmp_path, detector="YOLO")


def test_unknown_sequence(tmp_path: Path) -> None:
    make(tmp_path, "a")
    with pytest.raises(InputError, match="no sequence 'b'; there are a"):
        names(tmp_path, names=["a", "b"])


def test_advice_for_a_wrong_root(tmp_path: Path) -> None:
    sequence = make(tmp_path / "MOT17" / "train", "MOT17-02")
    with pytest.raises(InputError, match=rf"in train; give {tmp_path / 'MOT17' / 'train'}"):
        names(tmp_path / "MOT17")
    with pytest.raises(InputError, match=r"this is a sequence itself; give .*train and choose the sequence MOT17-02"):
        names(sequence)
    with pytest.raises(InputError, match="no sequence in here"):
        names(tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        names(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        (["000010.jpg", "000002.jpg", "000009.jpg"], [2, 9, 10]),
        (["00000003.png", "00000004.png"], [3, 4]),
        (["000000.png", "000001.png", "000003.png"], [1, 2, 3]),
        (["frame10.jpg", "frame9.jpg"], [1, 2]),
        (["1.JPG", ".2.jpg", "._3.jpg", "4.txt"], [1]),
    ],
    ids=["numbers with gaps", "eight digits", "counted from 0", "names", "other files"],
)
def test_frame_numbers(tmp_path: Path, images: list[str], expected: list[int]) -> None:
    make(tmp_path, "a", images)
    assert [number for number, _ in numbers(tmp_path)] == expected


def test_names_are_in_natural_order(tmp_path: Path) -> None:
    make(tmp_path, "a", ["frame10.jpg", "frame9.jpg"])
    assert numbers(tmp_path) == [(1, "frame9.jpg"), (2, "frame10.jpg")]


def test_image_folder_of_seqinfo(tmp_path: Path) -> None:
    folder = make(tmp_path, "a", ["000001.jpg", "000002.jpg"], image_dir="frames")
    (folder / "seqinfo.ini").write_text("[Sequence]\nimDir=frames\nseqLength=600\n")
    assert [number for number, _ in numbers(tmp_path)] == [1, 2]


def test_two_images_of_one_number(tmp_path: Path) -> None:
    make(tmp_path, "a", ["000001.jpg", "000001.png"])
    with pytest.raises(InputError, match=r"000001\.png: 000001\.jpg is frame 1 as well"):
        numbers(tmp_path)


def test_no_image(tmp_path: Path) -> None:
    folder = make(tmp_path, "a", [])
    with pytest.raises(InputError, match=r"img1: no image"):
        numbers(tmp_path)
    (folder / "seqinfo.ini").write_text("[Sequence]\nimDir=frames\n")
    with pytest.raises(InputError, match=r"frames: no such folder; .* correct imDir"):
        numbers(tmp_path)


def test_announced_images(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    folder.mkdir()
    (folder / "seqinfo.ini").write_text("[Sequence]\nimDir=frames\nseqLength=3\nimExt=.png\n")
    assert numbers(tmp_path) == [(1, "000001.png"), (2, "000002.png"), (3, "000003.png")]
    (sequence,) = find_sequences(tmp_path)
    assert list_frames(sequence)[0].path == folder / "frames" / "000001.png"


def test_missing_image_is_written_like_the_others(tmp_path: Path) -> None:
    folder = make(tmp_path, "a", ["00000007.png", "00000009.png"])
    (sequence,) = find_sequences(tmp_path)
    assert missing_frame(list_frames(sequence), 8).path == folder / "img1" / "00000008.png"
