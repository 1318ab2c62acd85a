"""ETHZ's .idl files: corners in any order, scores, frames without boxes, pictures in any folder of the sequence."""

from __future__ import annotations

from pathlib import Path

import pytest
from person_samples import boxes, converted, open_data_set, picture, refused

from clmot_qd.errors import InputError

BAHNHOF = """\
"left/image_00000010_0.png": (21, 18, 26, 28):364.2, (10, 40, 20, 5)~-1;
"left/image_00000002_0.png";
"left/image_00000009_0.png": (6.5, -2, 18.25, 27),(59, 19, 70, 25):0.195687;

"left/image_00000011_0.png":;
"left/image_00000012_0.png": (1e1, .5, +20, 20) .
"""


def write(root: Path, sequence: str, text: str, name: str = "annot.idl") -> Path:
    path = root / sequence / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "ETHZ"
    write(root, "bahnhof", BAHNHOF, "bahnhof-annot.idl")
    for frame in (2, 9, 10, 11, 12, 13):
        picture(root / "bahnhof" / "left" / f"image_{frame:08}_0.png", 64, 48)
    write(root, "crossing", '"left/image_00000000.png": (1, 2, 11, 22):-1.')
    picture(root / "crossing" / "image_00000000_0.png", 32, 24)
    (root / "notes").mkdir()
    return root


def test_whole_schema(root: Path) -> None:
    data, result = converted("eth", root)
    assert data["videos"] == [
        {"id": 1, "name": "bahnhof", "width": 64, "height": 48, "length": 5},
        {"id": 2, "name": "crossing", "width": 32, "height": 24, "length": 1},
    ]
    assert [(image["file_name"], image["frame_id"]) for image in data["images"]] == [
        ("bahnhof/left/image_00000002_0.png", 0),
        ("bahnhof/left/image_00000009_0.png", 1),
        ("bahnhof/left/image_00000010_0.png", 2),
        ("bahnhof/left/image_00000011_0.png", 3),
        ("bahnhof/left/image_00000012_0.png", 4),
        ("crossing/image_00000000_0.png", 0),  # the file leaves out "_0", the archive "left"
    ]
    assert list(boxes(data, "instance_id", "ignore").values()) == [
        [],
        [([6.5, 0, 11.75, 27], None, False), ([59, 19, 5, 6], None, False)],
        [([21, 18, 5, 10], None, False), ([10, 5, 10, 35], None, False)],
        [],
        [([10, 0.5, 10, 19.5], None, False)],
        [([1, 2, 10, 20], None, False)],
    ]
    remarks = "\n".join(result.remarks)
    assert "kept 1 x box whose corners stand in another order, put in order" in remarks
    assert "bahnhof-annot.idl:1 ((10.0, 40.0, 20.0, 5.0))" in remarks
    assert "clipped 2 x box that reaches beyond the picture" in remarks
    assert result.published is None


def test_sequences_that_are_asked_for(root: Path) -> None:
    data, _ = converted("eth", root, sequences=["crossing"])
    assert [video["name"] for video in data["videos"]] == ["crossing"]
    with pytest.raises(InputError, match="bahnhoff: no such folder"):
        open_data_set("eth", root, sequences=["bahnhoff"])
    with pytest.raises(InputError, match=r"notes: no .idl file"):
        open_data_set("eth", root, sequences=["notes"])


def test_counts_are_compared_for_the_folders_of_the_mixture(tmp_path: Path) -> None:
    root = tmp_path / "ETHZ"
    for name in ("eth01", "eth02", "eth03", "eth05", "eth07"):
        write(root, name, '"left/image_00000001_0.png";')
        picture(root / name / "images" / "image_00000001_0.png", 32, 24)
    _, result = converted("eth", root)
    assert result.published is not None
    assert (result.published.images, result.published.videos) == (2056, 5)


def test_one_annotation_file_for_each_sequence(root: Path) -> None:
    write(root, "bahnhof", BAHNHOF, "refined.idl")
    with pytest.raises(InputError, match=r"several .idl files \(bahnhof-annot.idl, refined.idl\); keep the one"):
        open_data_set("eth", root)
    with pytest.raises(InputError, match=r"no folder with an .idl file in it"):
        open_data_set("eth", root / "crossing")
    with pytest.raises(InputError, match="nowhere: no such folder"):
        open_data_set("eth", root / "nowhere")


@pytest.mark.parametrize(
    ("line", "match"),
    [
        ("left/image_00000002_0.png: (1, 2, 3, 4);", "annot.idl:2: not of the form"),
        ('"left/image_00000002_0.png": (1, 2, 3, 4)', "annot.idl:2: not of the form"),  # cut off: no ; or . at the end
        ('"left/image_00000002_0.png": (1, 2, 3);', r"annot.idl:2: no box \(x1, y1, x2, y2\) at '\(1, 2, 3\)'"),
        ('"left/image_00000002_0.png": (1, 2, 3, 4), x;', "annot.idl:2: no box .* at 'x'"),
        ('"left/image_00000002_0.png": (1, 2, nan, 4);', "annot.idl:2: no box"),
        ('"left/image_00000002_0.png" (1, 2, 3, 4);', "annot.idl:2: not of the form"),
        ('"left/image.png": (1, 2, 3, 4);', "annot.idl:2: picture 'left/image.png' has no number"),
        ('"left/image_00000000_0.png";', "are both frame 0 of video crossing"),
        ('"left/image_00000002_0.png";', r"left/image_00000002_0.png: no such picture \(named in .*annot.idl:2\)"),
    ],
)
def test_lines_that_cannot_be_used(root: Path, line: str, match: str) -> None:
    write(root, "crossing", f'"left/image_00000000.png";\n{line}\n')
    refused("eth", root, match)


def test_other_files_in_place_of_text(root: Path) -> None:
    (root / "crossing" / "annot.idl").write_bytes(b"\x1f\x8b\xff\xfe")
    refused("eth", root, "annot.idl: no text in UTF-8")


def test_a_picture_in_two_folders_is_taken_where_the_file_says(root: Path) -> None:
    picture(root / "bahnhof" / "right" / "image_00000002_0.png", 32, 24)
    data, _ = converted("eth", root)
    assert data["images"][0]["file_name"] == "bahnhof/left/image_00000002_0.png"
    write(root, "bahnhof", '"middle/image_00000002_0.png": (1, 2, 3, 4);\n', "bahnhof-annot.idl")
    refused("eth", root, "annot.idl:1: picture 'middle/image_00000002_0.png' may be left/.* and right/")
