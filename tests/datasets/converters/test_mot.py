"""MOTChallenge: malformed rows, missing pictures, sizes, annotation files without pictures, published counts.

The schema and the halves are tested in ``test_mot_to_cocovid.py``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from person_samples import boxes, converted, open_data_set, picture, refused

from clmot_qd.datasets.converters import convert
from clmot_qd.datasets.converters.mot_counts import MOT15, MOT16, MOT17, MOT20

GT = "1,1,1,2,3,4,1,1,1\n2,1,2,2,3,4,1,1,0.5\n2,7,5,5,3,4,0,8,0\n"


def sequence(root: Path, name: str, gt: str | None = GT, frames: int = 2, info: str = "") -> Path:
    folder = root / name
    folder.mkdir(parents=True)
    for frame in range(1, frames + 1):
        picture(folder / "img1" / f"{frame:06d}.jpg", 64, 48)
    if gt is not None:
        (folder / "gt").mkdir()
        (folder / "gt" / "gt.txt").write_text(gt)
    if info:
        (folder / "seqinfo.ini").write_text(f"[Sequence]\n{info}\n")
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "data" / "train"


def by_frame(data: dict[str, Any]) -> list[tuple]:
    frames = {image["id"]: image["mot_frame_id"] for image in data["images"]}
    return [(frames[entry["image_id"]], entry["bbox"], entry.get("instance_id")) for entry in data["annotations"]]


@pytest.mark.parametrize("name", ["mot15", "mot16", "mot17", "mot20", "dancetrack"])
def test_every_name_converts(root: Path, name: str) -> None:
    sequence(root, "a")
    data, result = converted(name, root)
    assert result.title.lower() == f"{name} train"
    assert by_frame(data) == [(1, [1, 2, 3, 4], 1), (2, [2, 2, 3, 4], 1), (2, [5, 5, 3, 4], 2)]
    assert [entry["ignore"] for entry in data["annotations"]] == [False, False, True]
    assert [entry["category_id"] for entry in data["annotations"]] == [1, 1, 8]


BAD_ROWS = {
    "1,2,nan,2,3,4,1,1,1": "skipped 1 x box with a value that is not finite: {}:1 (x nan, y 2, w 3, h 4)",
    "1,2,1,2,inf,4,1,1,1": "skipped 1 x box with a value that is not finite: {}:1 (x 1, y 2, w inf, h 4)",
    "1,2,1,2,-3,4,1,1,1": "skipped 1 x box without an area: {}:1 (x 1, y 2, w -3, h 4)",
    "1,2,1,2,3,0,1,1,1": "skipped 1 x box without an area: {}:1 (x 1, y 2, w 3, h 0)",
    "1,2,1,2,3,4,1,14,1": "skipped 1 x box of unknown class '14': {}:1",
    "1,2,1,2,3,4,1,0,1": "skipped 1 x box of unknown class '0': {}:1",
    "1,2,1,2,3,4,nan,1,1": "skipped 1 x row whose mark or visibility is not finite: {}:1 (frame 1)",
    "1,2,1,2,3,4,1,1,inf": "skipped 1 x row whose mark or visibility is not finite: {}:1 (frame 1)",
    "3,2,1,2,3,4,1,1,1": "skipped 1 x row of a frame before the first or after the last picture: {}:1 (frame 3)",
}


@pytest.mark.parametrize("row", BAD_ROWS)
def test_bad_row_is_left_out_and_counted(root: Path, row: str) -> None:
    path = sequence(root, "a", f"{row}\n{GT}") / "gt" / "gt.txt"
    data, result = converted("mot17", root)
    assert result.remarks == [BAD_ROWS[row].format(path)]
    assert [entry[:2] for entry in by_frame(data)] == [(1, [1, 2, 3, 4]), (2, [2, 2, 3, 4]), (2, [5, 5, 3, 4])]
    refused("mot17", root, r"gt\.txt:1: .*; mend it, or convert without --strict", strict=True)


def test_places_are_right_after_rows_that_are_left_out(root: Path) -> None:
    text = "9,1,1,2,3,4,1,1,1\n\n1,1,1,2,3,4,1,1,nan\n1,2,1,2,3,0,1,1,1\n1,3,1,2,3,4,1,1,1\n"
    path = sequence(root, "a", text) / "gt" / "gt.txt"
    _, result = converted("mot17", root)
    assert f"skipped 1 x row whose mark or visibility is not finite: {path}:3 (frame 1)" in result.remarks
    assert f"skipped 1 x box without an area: {path}:4 (x 1, y 2, w 3, h 0)" in result.remarks


def test_second_box_of_an_identity_is_left_out(root: Path) -> None:
    path = sequence(root, "a", f"{GT}2,1,9,9,9,9,1,1,1\n") / "gt" / "gt.txt"
    data, result = converted("mot17", root)
    assert result.remarks == [f"skipped 1 x second box of an identity in one frame: {path}:4 (identity 1)"]
    assert len(data["annotations"]) == 3
    refused("mot17", root, r"gt\.txt:4: second box of an identity", strict=True)


@pytest.mark.parametrize("row", ["1,1,2,3,4", "1,x,2,3,4,5,1,1,1", "1.5,1,2,3,4,5,1,1,1", "0,1,2,3,4,5,1,1,1"])
def test_what_is_no_row_is_refused(root: Path, row: str) -> None:
    sequence(root, "a", f"{GT}{row}\n")
    refused("mot17", root, r"gt\.txt:4: ")


def test_boxes_are_not_cut_at_the_border(root: Path) -> None:
    path = sequence(root, "a", "1,1,-5,2,30.5,4,1,1,1\n1,2,70,2,3,4,1,1,1\n") / "gt" / "gt.txt"
    data, result = converted("mot17", root)
    assert [entry["bbox"] for entry in data["annotations"]] == [[-5, 2, 30.5, 4], [70, 2, 3, 4]]
    assert result.remarks == [
        f"kept 1 x box that reaches beyond the picture: {path}:1 (x -5, y 2, w 30.5, h 4)",
        f"kept 1 x box outside the picture: {path}:2 (x 70, y 2, w 3, h 4)",
    ]


class TestSizes:
    def test_recorded_size_must_be_that_of_the_pictures(self, root: Path) -> None:
        folder = sequence(root, "a", frames=3, info="imWidth=64\nimHeight=48")
        data, _ = converted("mot17", root)
        assert (data["images"][2]["width"], data["images"][2]["height"]) == (64, 48)
        picture(folder / "img1" / "000003.jpg", 60, 48)
        refused("mot17", root, r"000003\.jpg: the picture is 60x48, but 64x48 is recorded")
        data, result = converted("mot17", root, images="skip-bad")
        assert len(data["images"]) == 2
        assert result.remarks[0].startswith("skipped 1 x frame whose picture is missing, unreadable or of another size")
        data, _ = converted("mot17", root, images="trust")
        assert len(data["images"]) == 3

    def test_without_a_size_pictures_must_be_looked_at(self, root: Path) -> None:
        sequence(root, "a")
        refused("mot17", root, r"gt\.txt:1: no size recorded: the pictures have to be looked at", images="trust")


class TestWithoutPictures:
    @pytest.fixture
    def info(self, root: Path) -> str:
        info = "imDir=frames\nframeRate=25\nseqLength=3\nimWidth=640\nimHeight=480\nimExt=.png"
        sequence(root, "a", frames=0, info=info)
        return info

    def test_frames_are_those_of_seqinfo(self, root: Path, info: str) -> None:
        data, _ = converted("mot17", root, images="trust")
        assert [image["file_name"] for image in data["images"]] == [f"a/frames/00000{n}.png" for n in (1, 2, 3)]
        assert data["videos"] == [{"id": 1, "name": "a", "width": 640, "height": 480, "length": 3, "fps": 25.0}]
        assert by_frame(data)[-1] == (2, [5, 5, 3, 4], 2)

    def test_they_are_missed_unless_trusted(self, root: Path, info: str) -> None:
        refused("mot17", root, r"a/frames/000001\.png: no such picture .*or trust \(do not look at pictures\)")
        refused("mot17", root, "no frame to convert", images="skip-bad")


def test_halves_have_no_published_counts(root: Path) -> None:
    sequence(root, "MOT17-02-SDP")
    sequence(root, "MOT17-04-SDP")
    _, whole = converted("mot17", root)
    assert whole.published.images == 1650
    assert [whole.published_videos[f"MOT17-{number}-SDP"].boxes for number in ("02", "04")] == [18581, 47557]
    _, half = converted("mot17", root, split="first-half")
    assert (half.published, half.published_videos) == (None, {})


@pytest.mark.parametrize(("split", "images", "videos"), [("train", 41796, 40), ("val", 25508, 25), ("test", 38551, 35)])
def test_dancetrack_is_counted_by_split(tmp_path: Path, split: str, images: int, videos: int) -> None:
    sequence(tmp_path / split, "dancetrack0001")
    _, result = converted("dancetrack", tmp_path / split)
    assert (result.title, result.published.images, result.published.videos) == (f"DanceTrack {split}", images, videos)
    assert result.published_videos == {}


def test_other_folders_are_no_splits(tmp_path: Path) -> None:
    sequence(tmp_path / "mine", "dancetrack0001")
    _, result = converted("dancetrack", tmp_path / "mine")
    assert (result.title, result.published) == ("DanceTrack", None)


def test_own_sequences_have_no_published_counts(root: Path) -> None:
    sequence(root, "MOT17-02-SDP")
    sequence(root, "own")
    _, result = converted("mot17", root)
    assert result.published is None
    assert list(result.published_videos) == ["MOT17-02-SDP"]


def test_identities_of_a_frame_that_is_not_selected_are_numbered(root: Path) -> None:
    sequence(root, "a", "1,5,1,2,3,4,1,1,1\n3,9,1,2,3,4,1,1,1\n2,7,1,2,3,4,1,1,1\n", frames=3)
    whole, first, second = (converted("mot17", root, split=split)[0] for split in ("all", "first-half", "second-half"))
    assert [entry["instance_id"] for entry in whole["annotations"]] == [1, 2, 3]
    assert by_frame(first) + by_frame(second) == by_frame(whole)


def test_boxes_of_a_frame_stay_in_the_order_of_the_file(root: Path) -> None:
    rows = [(number % 3 + 1, number) for number in range(300)]
    sequence(root, "a", "".join(f"{frame},{number},{number % 50},2,3,4,1,1,1\n" for frame, number in rows), frames=3)
    data, _ = converted("mot17", root)
    left = [entry["bbox"][0] for entry in data["annotations"]]
    assert left == [number % 50 for frame, number in sorted(rows, key=lambda row: row[0])]


def test_only_mark_zero_means_ignore(root: Path) -> None:
    sequence(root, "a", "1,1,1,2,3,4,-1,1,1\n1,2,1,2,3,4,0.5,1,1\n1,3,1,2,3,4,0,1,1\n")
    data, _ = converted("mot17", root)
    assert [entry["ignore"] for entry in data["annotations"]] == [False, False, True]


def test_halves_are_taken_with_the_missing_frames(root: Path) -> None:
    """Of 1, 2 (missing), 3, 4 the first three are the first half, whatever becomes of 2."""
    folder = sequence(root, "a", "2,5,1,2,3,4,1,1,1\n", frames=4)
    (folder / "img1" / "000002.jpg").unlink()
    for split, numbers in (("first-half", [1, 3]), ("second-half", [4])):
        data, _ = converted("mot17", root, images="skip-bad", split=split)
        assert [image["mot_frame_id"] for image in data["images"]] == numbers


@pytest.mark.parametrize(
    ("published", "names", "images", "identities", "boxes"),
    [
        (MOT15, [name for name, row in MOT15.sequences.items() if row[1]], 5500, 500, 39905),
        (MOT15, [name for name, row in MOT15.sequences.items() if not row[1]], 5783, None, None),
        (MOT16, [name for name, row in MOT16.sequences.items() if row[1]], 5316, 517, 110407),
        (MOT17, [name for name, row in MOT17.sequences.items() if row[1]], 5316, 546, 112297),
        (MOT17, [f"{name}-{det}" for det in ("DPM", "FRCNN", "SDP") for name in MOT17.sequences], 33705, None, None),
        (MOT17, [name for name, row in MOT17.sequences.items() if not row[1]], 5919, None, None),
        (MOT20, [name for name, row in MOT20.sequences.items() if row[1]], 8931, 2215, 1134614),
        (MOT20, [name for name, row in MOT20.sequences.items() if not row[1]], 4479, None, None),
    ],
)
def test_published_sums(published, names: list[str], images: int, identities: int | None, boxes: int | None) -> None:
    """The sums that the benchmark publishes for its sets: a slip in one row would show."""
    counts = published.of(names, "train")
    assert (counts.images, counts.identities, counts.boxes) == (images, identities, boxes)
    assert (counts.videos, counts.classes) == (len(names), ("pedestrian",))


@pytest.mark.parametrize("benchmark", ["MOT15", "MOT17"])
def test_real_annotation_files(shared_data: Path, benchmark: str) -> None:
    """Every sequence has exactly the frames, boxes and identities that are published for it."""
    root = shared_data / "annotations" / benchmark
    result = convert(open_data_set(benchmark.lower(), root), None, images="trust")
    assert len(result.rows) == {"MOT15": 9, "MOT17": 5}[benchmark]
    for row in result.rows:
        found, published = row.counts(("pedestrian",)), result.published_videos[row.name]
        assert (found.images, found.boxes, found.identities) == (
            published.images,
            published.boxes,
            published.identities,
        )
    assert not any("skipped" in remark for remark in result.remarks)


def test_boxes_by_file(root: Path) -> None:
    sequence(root, "b2")
    sequence(root, "b10", None)
    data, result = converted("mot20", root, sequences=["b10", "b2"])
    assert [video["name"] for video in data["videos"]] == ["b2", "b10"]
    assert boxes(data, "visibility", "mot_conf")["b2/img1/000002.jpg"] == [([2, 2, 3, 4], 0.5, 1), ([5, 5, 3, 4], 0, 0)]
    assert result.remarks == [f"kept 1 x video without gt/gt.txt, its frames alone: {root / 'b10'}"]


def test_our_data_sets_read_the_result(root: Path) -> None:
    from clmot_qd.datasets.video_dataset import CocoVideoDataset

    sequence(root, "b", "2,-1,1,2,3,4,1,1,1\n", frames=3)
    sequence(root, "a")
    converted("mot17", root)
    dataset = CocoVideoDataset(
        ann_file=str(root.parent / "mot17-1.json"),
        data_prefix={"img_path": f"{root}/"},
        metainfo={"classes": ("pedestrian", "distractor")},
        pipeline=[],
        test_mode=True,
    )
    videos = [dataset.get_data_info(index) for index in range(len(dataset))]
    assert [[len(frame["instances"]) for frame in video["images"]] for video in videos] == [[1, 1], [0, 1, 0]]
    assert videos[0]["images"][1]["instances"][0]["instance_id"] == 1
    assert videos[1]["images"][1]["instances"][0]["instance_id"] == -1
    assert videos[0]["images"][1]["video_name"] == "a"
