"""MOTS20 and KITTI-MOTS as text and as PNG files: the same masks bit for bit, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mask_samples import HEIGHT, WIDTH, label_map, masks_of, mots_rows, save_mots
from person_samples import converted, picture, refused
from PIL import Image

from clmot_qd.datasets.converters import format_conversion
from clmot_qd.datasets.converters.mots import _KITTI_FRAMES, _MOTS20_FRAMES, KITTI_MOTS, MOTS20
from clmot_qd.datasets.mot_text import MotTable
from clmot_qd.evaluation import read_cocovid, read_mots_root
from clmot_qd.masks import RleMasks

IDS = (2001, 2007, 10000, 2300)
INFO = f"[Sequence]\nframeRate=25\nseqLength=3\nimWidth={WIDTH}\nimHeight={HEIGHT}\n"


def maps(seed: int = 0, frames: int = 3) -> list[np.ndarray]:
    return [label_map(10 * seed + frame, IDS[: 1 + frame]) for frame in range(frames)]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two sequences; their labels are files of both kinds."""
    root = tmp_path / "data" / "train"
    for seed, name in enumerate(("MOTS20-02", "MOTS20-11")):
        for number, labels in enumerate(maps(seed), start=1):
            picture(root / name / "img1" / f"{number:06d}.jpg", WIDTH, HEIGHT)
            save_mots(tmp_path / "instances" / name / f"{number:06d}.png", labels)
        text = "".join(mots_rows(number, labels) for number, labels in enumerate(maps(seed), start=1))
        (root / name / "gt").mkdir()
        (root / name / "gt" / "gt.txt").write_text(text)
        (root / name / "seqinfo.ini").write_text(INFO)
    return root


@pytest.fixture
def kitti(tmp_path: Path) -> Path:
    """Sequence 0002 as text, 0001 without pictures of its own."""
    root = tmp_path / "data" / "training"
    for number, labels in enumerate(kitti_maps()):
        picture(root / "image_02" / "0002" / f"{number:06d}.png", WIDTH, HEIGHT)
        save_mots(tmp_path / "png" / "0002" / f"{number:06d}.png", labels)
    (root / "instances_txt").mkdir()
    text = "".join(mots_rows(number, labels) for number, labels in enumerate(kitti_maps()))
    (root / "instances_txt" / "0002.txt").write_text(text)
    return root


def kitti_maps() -> list[np.ndarray]:
    return [label_map(frame, (1001, 2001, 10000)) for frame in range(2)]


def segmentations(data: dict[str, Any]) -> dict[str, list[str]]:
    """File name -> the runs of its annotations, sorted."""
    names = {image["id"]: image["file_name"] for image in data["images"]}
    found: dict[str, list[str]] = {name: [] for name in names.values()}
    for entry in data["annotations"]:
        assert entry["segmentation"]["size"] == [HEIGHT, WIDTH]
        found[names[entry["image_id"]]].append(entry["segmentation"]["counts"])
    return {name: sorted(runs) for name, runs in found.items()}


def gt(root: Path, name: str = "MOTS20-02") -> Path:
    return root / name / "gt" / "gt.txt"


def runs_of(*pixels: tuple[int, int], size: tuple[int, int] = (HEIGHT, WIDTH)) -> str:
    bitmap = np.zeros(size, dtype=bool)
    for row, column in pixels:
        bitmap[row, column] = True
    return RleMasks.of_bitmaps(bitmap[None]).texts()[0]


def row(frame: int, identity: int, *pixels: tuple[int, int], label: int | None = None) -> str:
    number = identity // 1000 if label is None else label
    return f"{frame} {identity} {number} {HEIGHT} {WIDTH} {runs_of(*pixels)}\n"


class TestMots20:
    def test_masks_are_those_of_the_file_bit_for_bit(self, root: Path) -> None:
        data, result = converted("mots20", root)
        expected = {
            f"{name}/img1/{number:06d}.jpg": sorted(masks_of(labels).values())
            for seed, name in enumerate(("MOTS20-02", "MOTS20-11"))
            for number, labels in enumerate(maps(seed), start=1)
        }
        assert segmentations(data) == expected
        assert result.remarks == []

    def test_schema(self, root: Path) -> None:
        data, result = converted("mots20", root)
        assert data["categories"] == [{"id": 2, "name": "pedestrian"}, {"id": 10, "name": "ignore region"}]
        assert data["videos"][0]["fps"] == 25.0
        assert [image["mot_frame_id"] for image in data["images"]] == [1, 2, 3] * 2
        assert [image["frame_id"] for image in data["images"]] == [0, 1, 2] * 2
        assert (data["images"][0]["width"], data["images"][0]["height"]) == (WIDTH, HEIGHT)
        labels = maps()[2]
        entries = [entry for entry in data["annotations"] if entry["image_id"] == 3]
        assert [entry.get("instance_id") for entry in entries] == [1, 2, None]
        assert [entry["category_id"] for entry in entries] == [2, 2, 10]
        assert [(entry["ignore"], entry["iscrowd"]) for entry in entries] == [(False, 0), (False, 0), (True, 1)]
        for identity, entry in zip(IDS, entries):
            rows, columns = np.nonzero(labels == identity)
            assert entry["area"] == len(rows)
            left, top = columns.min(), rows.min()
            assert entry["bbox"] == [left, top, columns.max() + 1 - left, rows.max() + 1 - top]
        assert [count.ignored for count in result.rows] == [1, 1]

    def test_png_files_give_the_same(self, root: Path) -> None:
        text, _ = converted("mots20", root)
        pictures, result = converted("mots20", root, labels=root.parent.parent / "instances")
        assert pictures == text
        assert result.remarks == []

    def test_text_files_elsewhere(self, root: Path, tmp_path: Path) -> None:
        before, _ = converted("mots20", root)
        (tmp_path / "txt").mkdir()
        for name in ("MOTS20-02", "MOTS20-11"):
            gt(root, name).rename(tmp_path / "txt" / f"{name}.txt")
        assert converted("mots20", root, labels=tmp_path / "txt")[0] == before

    def test_halves_and_sequences(self, root: Path) -> None:
        whole, _ = converted("mots20", root)
        first, result = converted("mots20", root, split="first-half", sequences=["MOTS20-11"])
        assert [image["mot_frame_id"] for image in first["images"]] == [1, 2]
        assert (result.published, result.published_videos) == (None, {})
        second, _ = converted("mots20", root, split="second-half")
        ids = [entry.get("instance_id") for entry in whole["annotations"]]
        assert [entry.get("instance_id") for entry in second["annotations"]] == [*ids[3:6], *ids[9:]]
        refused("mots20", root, "no sequence 'x'; there are MOTS20-02, MOTS20-11", sequences=["x"])

    def test_test_set_has_frames_alone(self, root: Path) -> None:
        gt(root).unlink()
        data, result = converted("mots20", root)
        assert len(data["images"]) == 6
        assert result.remarks == [f"kept 1 x video without labels, its frames alone: {gt(root)}"]

    def test_file_without_rows(self, root: Path) -> None:
        gt(root).write_text("\n")
        data, result = converted("mots20", root, sequences=["MOTS20-02"])
        assert data["annotations"] == []
        assert result.remarks == [f"kept 1 x video without a mask in its label file: {gt(root)}"]

    def test_without_pictures(self, root: Path) -> None:
        before, _ = converted("mots20", root)
        for path in [*root.glob("*/img1/*")]:
            path.unlink()
        for path in [*root.glob("*/img1")]:
            path.rmdir()
        assert converted("mots20", root, images="trust")[0] == before
        refused("mots20", root, "no such picture")

    def test_rows_of_other_frames(self, root: Path) -> None:
        path = gt(root)
        path.write_text(path.read_text() + row(4, 2001, (0, 0)))
        _, result = converted("mots20", root)
        kind = "row of a frame before the first or after the last picture"
        assert result.remarks == [f"skipped 1 x {kind}: {path}:7 (frame 4)"]
        path.write_text(row(4, 2001, (0, 0)))
        refused("mots20", root, "no row belongs to images 1 to 3")
        path.write_text(row(0, 2001, (0, 0)))
        refused("mots20", root, r"gt\.txt:1: frame 0: frames count from 1")


@pytest.mark.parametrize("name", ["mots20", "kitti-mots"])
def test_truth_is_that_of_the_folder(request: pytest.FixtureRequest, tmp_path: Path, name: str) -> None:
    """What predictions are scored against is the same, read from the folder or from the file made of it."""
    folder = request.getfixturevalue("root" if name == "mots20" else "kitti")
    converted(name, folder)
    truths = read_mots_root(folder), read_cocovid(folder.parent / f"{name}-1.json", masks=True)
    assert list(truths[0].sequences) == list(truths[1].sequences)
    for one, two in zip(*(truth.sequences.values() for truth in truths)):
        assert one.frames.tolist() == two.frames.tolist()
        assert rows_of(one.boxes) == rows_of(two.boxes)


def test_a_converted_file_is_converted_once_more(root: Path) -> None:
    """CocoVID files with masks of any origin go through ``coco`` bit for bit."""
    before, _ = converted("mots20", root)
    after, result = converted("coco", root, ann=root.parent / "mots20-1.json")
    assert after["annotations"] == before["annotations"]
    assert after["categories"] == before["categories"]
    assert [image["mot_frame_id"] for image in after["images"]] == [image["mot_frame_id"] for image in before["images"]]
    assert result.remarks == []


def rows_of(table: MotTable) -> list[tuple[Any, ...]]:
    assert table.masks is not None
    boxes = map(tuple, table.bboxes.tolist())
    return sorted(
        zip(table.frames.tolist(), table.class_ids.tolist(), table.scores.tolist(), boxes, table.masks.texts())
    )


class TestOddMasks:
    def test_overlap_goes_to_the_earlier_row_and_to_objects(self, root: Path) -> None:
        path = gt(root)
        rows = [
            row(1, 10000, (0, 0), (0, 1), (5, 5)),
            row(1, 2001, (0, 1), (0, 2)),
            row(1, 2002, (0, 2), (0, 3)),
            row(2, 2001, (0, 2)),
        ]
        path.write_text("".join(rows))
        data, result = converted("mots20", root, sequences=["MOTS20-02"])
        kept = [entry["segmentation"]["counts"] for entry in data["annotations"]]
        assert kept == [runs_of((0, 0), (5, 5)), runs_of((0, 1), (0, 2)), runs_of((0, 3)), runs_of((0, 2))]
        assert [entry["area"] for entry in data["annotations"]] == [2, 2, 1, 1]
        assert data["annotations"][2]["bbox"] == [3, 0, 1, 1]
        kind = "mask that shares pixels with another one of its frame"
        assert result.remarks == [f"clipped 2 x {kind}: {path}:1; {path}:3"]

    def test_what_is_no_object_takes_no_pixel(self, root: Path) -> None:
        path = gt(root)
        for number in (3, 1):
            path.write_text(row(1, 1000 * number + 1, (0, 0), (0, 1)) + row(1, 2001, (0, 1)) + row(1, 10000, (0, 0)))
            data, result = converted("mots20", root, sequences=["MOTS20-02"])
            kept = [entry["segmentation"]["counts"] for entry in data["annotations"]]
            assert kept == [runs_of((0, 1)), runs_of((0, 0))]
            assert f"skipped 1 x mask without a pixel: {path}:1 (frame 1)" in result.remarks

    def test_classes_of_the_data_set_are_equal(self, kitti: Path) -> None:
        path = kitti / "instances_txt" / "0002.txt"
        path.write_text(row(0, 1001, (0, 0), (0, 1)) + row(0, 2001, (0, 1), (0, 2)))
        data, _ = converted("kitti-mots", kitti)
        kept = [entry["segmentation"]["counts"] for entry in data["annotations"]]
        assert kept == [runs_of((0, 0), (0, 1)), runs_of((0, 2))]

    def test_masks_without_a_pixel_are_left_out(self, root: Path) -> None:
        path = gt(root)
        path.write_text(row(1, 2001, (0, 0)) + row(1, 2002) + row(1, 2003, (0, 0)))
        data, result = converted("mots20", root, sequences=["MOTS20-02"])
        assert len(data["annotations"]) == 1
        assert result.remarks == [
            f"skipped 2 x mask without a pixel: {path}:2 (frame 1); {path}:3 (frame 1)",
            f"clipped 1 x mask that shares pixels with another one of its frame: {path}:3",
        ]
        refused("mots20", root, r"gt\.txt:2: mask without a pixel \(frame 1\); mend it", strict=True)

    def test_id_of_another_class_is_kept_and_counted(self, root: Path) -> None:
        path = gt(root)
        path.write_text(row(1, 1005, (0, 0), label=2) + row(1, 7, (0, 1), label=2))
        data, result = converted("mots20", root, sequences=["MOTS20-02"])
        assert [entry["category_id"] for entry in data["annotations"]] == [2, 2]
        kind = "mask whose id is of another class than its row, which counts"
        assert result.remarks == [f"kept 1 x {kind}: {path}:1 (id 1005, class 2)"]

    def test_second_mask_of_an_identity(self, root: Path) -> None:
        path = gt(root)
        path.write_text(row(1, 2001, (0, 0)) + row(1, 2001, (0, 1)))
        data, result = converted("mots20", root, sequences=["MOTS20-02"])
        assert len(data["annotations"]) == 1
        assert result.remarks == [f"skipped 1 x second box of an identity in one frame: {path}:2 (identity 2001)"]

    def test_cars_are_none_of_mots20(self, root: Path) -> None:
        gt(root).write_text(row(1, 1001, (0, 0)))
        _, result = converted("mots20", root, sequences=["MOTS20-02"])
        assert result.remarks == [f"skipped 1 x box of unknown class 'car': {gt(root)}:1"]

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            (f"1 2001 2 {WIDTH} {HEIGHT} {runs_of((0, 0))}\n", "a mask of 12 x 16 pixels, the video has 16 x 12"),
            (f"1 2001 2 {HEIGHT} {WIDTH} {runs_of((0, 0), size=(5, 5))}\n", "runs that fill 16 x 12 pixels"),
            ("1,2001,3,4,5,6,1,1,1\n", "1 columns; a row is frame id class height width runs"),
        ],
    )
    def test_what_cannot_be_read_is_refused(self, root: Path, text: str, told: str) -> None:
        path = gt(root)
        path.write_text(path.read_text() + text)
        refused("mots20", root, rf"gt\.txt:7: .*{told}")

    def test_pictures_of_another_size_than_the_masks(self, root: Path) -> None:
        (root / "MOTS20-02" / "seqinfo.ini").unlink()
        picture(root / "MOTS20-02" / "img1" / "000002.jpg", WIDTH + 1, HEIGHT)
        refused("mots20", root, r"000002\.jpg: the picture is 17x12, but 16x12 is recorded")

    def test_masks_of_another_size_than_seqinfo_says(self, root: Path) -> None:
        info = root / "MOTS20-02" / "seqinfo.ini"
        info.write_text(INFO.replace(f"imWidth={WIDTH}", "imWidth=99"))
        refused("mots20", root, r"gt\.txt:1: a mask of 16 x 12 pixels, the video has 99 x 12")

    def test_masks_of_a_frame_without_a_picture(self, root: Path) -> None:
        path = root / "MOTS20-02" / "img1" / "000002.jpg"
        path.unlink()
        refused("mots20", root, r"000002\.jpg: no such picture")
        data, result = converted("mots20", root, images="skip-bad")
        assert [image["mot_frame_id"] for image in data["images"]] == [1, 3, 1, 2, 3]
        assert result.remarks[0].startswith("skipped 1 x frame whose picture is missing")


class TestPngFiles:
    def test_missing_and_surplus_ones_are_counted(self, root: Path, tmp_path: Path) -> None:
        folder = tmp_path / "instances" / "MOTS20-02"
        (folder / "000002.png").rename(folder / "000009.png")
        data, result = converted("mots20", root, sequences=["MOTS20-02"], labels=folder.parent)
        assert [len(runs) for runs in segmentations(data).values()] == [1, 0, 3]
        missing = root / "MOTS20-02" / "img1" / "000002.jpg"
        assert result.remarks == [
            f"skipped 1 x PNG file of masks of a frame without a picture: {folder / '000009.png'}",
            f"kept 1 x frame without a PNG file of masks, without objects: {missing}",
        ]

    def test_files_of_other_pictures(self, root: Path, tmp_path: Path) -> None:
        folder = tmp_path / "instances" / "MOTS20-02"
        for path in sorted(folder.iterdir()):
            path.rename(folder / f"x{path.name}")
        told = r"MOTS20-02: none of its 3 PNG files belongs to a picture; they need names such as 000001\.png"
        refused("mots20", root, told, labels=tmp_path / "instances")

    def test_labels_of_no_sequence(self, root: Path, kitti: Path, tmp_path: Path) -> None:
        folder = tmp_path / "elsewhere"
        (folder / "MOTS20").mkdir(parents=True)
        told = "elsewhere: neither {0}.txt nor a folder {0} of PNG files"
        refused("mots20", root, told.format("MOTS20-02"), labels=folder)
        refused("kitti-mots", kitti, told.format("0002"), labels=folder)

    @pytest.mark.parametrize(
        ("mode", "told"),
        [
            ("L", "one channel of 16 bits, this one is of Pillow's mode L"),
            ("P", "of Pillow's mode P"),
            ("RGBA", "of Pillow's mode RGBA"),
        ],
    )
    def test_wrong_depth(self, root: Path, tmp_path: Path, mode: str, told: str) -> None:
        path = tmp_path / "instances" / "MOTS20-02" / "000002.png"
        Image.new(mode, (WIDTH, HEIGHT)).save(path)
        refused("mots20", root, rf"000002\.png: masks are PNG files with .*{told}", labels=tmp_path / "instances")

    def test_wrong_size_and_broken_file(self, root: Path, tmp_path: Path) -> None:
        path = tmp_path / "instances" / "MOTS20-02" / "000002.png"
        content = path.read_bytes()
        save_mots(path, np.zeros((WIDTH, HEIGHT)))
        told = r"000002\.png: masks of 12 x 16 pixels, but 16 x 12 is the size of the pictures"
        refused("mots20", root, told, labels=tmp_path / "instances")
        path.write_bytes(content[:-30])
        refused("mots20", root, r"000002\.png: not a readable picture of masks", labels=tmp_path / "instances")

    def test_unknown_class(self, root: Path, tmp_path: Path) -> None:
        path = tmp_path / "instances" / "MOTS20-02" / "000001.png"
        save_mots(path, label_map(0, (7, 3001)))
        data, result = converted("mots20", root, sequences=["MOTS20-02"], labels=tmp_path / "instances")
        assert data["annotations"][0]["image_id"] == 2
        assert f"skipped 1 x box of unknown class '0': {path}: 7" in result.remarks
        assert f"skipped 1 x box of unknown class '3': {path}: 3001" in result.remarks


class TestKittiMots:
    def test_text_and_png_files(self, kitti: Path, tmp_path: Path) -> None:
        data, result = converted("kitti-mots", kitti)
        expected = {f"0002/{n:06d}.png": sorted(masks_of(one).values()) for n, one in enumerate(kitti_maps())}
        assert segmentations(data) == expected
        assert result.remarks == []
        assert [entry["category_id"] for entry in data["annotations"]] == [1, 2, 10] * 2
        assert [entry.get("instance_id") for entry in data["annotations"]] == [1, 2, None] * 2
        assert [image["mot_frame_id"] for image in data["images"]] == [0, 1]
        assert [image["frame_id"] for image in data["images"]] == [0, 1]
        assert data["videos"][0]["fps"] == 10.0
        assert data["categories"] == [
            {"id": 1, "name": "car"},
            {"id": 2, "name": "pedestrian"},
            {"id": 10, "name": "ignore region"},
        ]
        assert converted("kitti-mots", kitti, labels=tmp_path / "png")[0] == data
        assert converted("kitti-mots", kitti, labels=tmp_path / "png", images="trust")[0] == data
        (kitti / "instances_txt" / "0002.txt").unlink()
        (kitti / "instances_txt").rmdir()
        (tmp_path / "png").rename(kitti / "instances")
        assert converted("kitti-mots", kitti)[0] == data

    def test_sequences_without_text_have_png_files(self, kitti: Path, tmp_path: Path) -> None:
        before, _ = converted("kitti-mots", kitti)
        picture(kitti / "image_02" / "0003" / "000000.png", WIDTH, HEIGHT)
        save_mots(kitti / "instances" / "0003" / "000000.png", kitti_maps()[0])
        save_mots(kitti / "instances" / "0002" / "000000.png", kitti_maps()[1])  # text comes first
        found = segmentations(converted("kitti-mots", kitti)[0])
        assert found == segmentations(before) | {"0003/000000.png": found["0002/000000.png"]}

    def test_splits(self, kitti: Path) -> None:
        data, result = converted("kitti-mots", kitti, split="val")
        assert len(data["images"]) == 2
        assert (result.title, result.published) == ("KITTI-MOTS val", None)
        assert result.published_videos["0002"].images == 233
        assert "233" in format_conversion(result)
        refused("kitti-mots", kitti, "no sequence of train; it needs folders such as 0000", split="train")
        refused("kitti-mots", kitti, "no sequence '0007' of val; there are 0002", split="val", sequences=["0007"])

    def test_published_counts_belong_to_whole_splits(self, kitti: Path) -> None:
        for name in _KITTI_FRAMES["val"]:
            picture(kitti / "image_02" / name / "000000.png", WIDTH, HEIGHT)
        _, result = converted("kitti-mots", kitti, split="val")
        assert result.published == KITTI_MOTS["val"]
        _, result = converted("kitti-mots", kitti, split="val", sequences=["0002"])
        assert result.published is None

    def test_without_pictures(self, kitti: Path) -> None:
        for path in [*kitti.glob("image_02/0002/*")]:
            path.unlink()
        for path in (kitti / "image_02" / "0002", kitti / "image_02"):
            path.rmdir()
        data, _ = converted("kitti-mots", kitti, images="trust", split="val")
        assert len(data["images"]) == 233
        assert data["images"][232]["file_name"] == "0002/000232.png"
        assert len(data["annotations"]) == 6
        refused("kitti-mots", kitti, "without pictures, take --split train or val and --images trust")

    def test_pictures_without_numbers(self, kitti: Path) -> None:
        picture(kitti / "image_02" / "0002" / "x.png", WIDTH, HEIGHT)
        refused("kitti-mots", kitti, r"x\.png: no frame of KITTI")

    def test_nothing_there(self, tmp_path: Path) -> None:
        refused("kitti-mots", tmp_path, r"image_02: no such folder")
        (tmp_path / "image_02").mkdir()
        refused("kitti-mots", tmp_path, "labels: no such folder", labels=tmp_path / "labels")


def test_published_sums() -> None:
    """The sums that the authors publish: 65,213 masks of 977 objects in 10,870 frames."""
    sets = (MOTS20, *KITTI_MOTS.values())
    assert sum(one.boxes or 0 for one in sets) == 65_213
    assert sum(one.identities or 0 for one in sets) == 977
    assert sum(one.images or 0 for one in sets) == 10_870
    assert sum(_MOTS20_FRAMES.values()) == MOTS20.images
    for split, frames in _KITTI_FRAMES.items():
        assert (len(frames), sum(frames.values())) == (KITTI_MOTS[split].videos, KITTI_MOTS[split].images)


def test_whole_set_is_compared_with_the_published_counts(root: Path) -> None:
    _, result = converted("mots20", root)
    assert result.published is None
    assert result.published_videos["MOTS20-11"].images == 900
    for name in ("MOTS20-05", "MOTS20-09"):
        picture(root / name / "img1" / "000001.jpg", WIDTH, HEIGHT)
    assert converted("mots20", root)[1].published == MOTS20
