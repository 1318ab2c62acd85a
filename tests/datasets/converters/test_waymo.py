"""Waymo v2: hand-made parquet files with the columns of the real ones; cameras as videos, extraction."""

from __future__ import annotations

import builtins
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from driving_samples import command, converted, opened, refused
from PIL import Image
from pyarrow import parquet

from clmot_qd.datasets.converters import Counts, convert, waymo_images
from clmot_qd.errors import InputError

SEGMENT = "10023947602400723454_1120_000_1140_000"
SECOND = "1005081002024129653_5313_150_5333_150"
CAMERAS = ("FRONT", "FRONT_LEFT", "FRONT_RIGHT", "SIDE_LEFT", "SIDE_RIGHT")
TIMES = (1552440195362591, 1552440195262591, 1552440195462591)  # out of order
KEYS = [
    ("key.segment_context_name", pa.string()),
    ("key.frame_timestamp_micros", pa.int64()),
    ("key.camera_name", pa.int8()),
]
KEY_NAMES = [name for name, _ in KEYS]
IMAGE_SCHEMA = pa.schema([*KEYS, ("[CameraImageComponent].image", pa.binary())])
BOX = "[CameraBoxComponent]"
BOX_SCHEMA = pa.schema(
    [
        *KEYS,
        ("key.camera_object_id", pa.string()),
        *((f"{BOX}.box.{part}", pa.float64()) for part in ("center.x", "center.y", "size.x", "size.y")),
        (f"{BOX}.type", pa.int8()),
        (f"{BOX}.difficulty_level.detection", pa.int8()),
        (f"{BOX}.difficulty_level.tracking", pa.int8()),
    ]
)


def jpeg(camera: int, shade: int = 0) -> bytes:
    """A picture; those of the side cameras are less high, as the real ones are."""
    stream = io.BytesIO()
    Image.new("RGB", (96, 64 if camera <= 3 else 44), (shade, 0, 0)).save(stream, "JPEG")
    return stream.getvalue()


def write(path: Path, rows: list[tuple[Any, ...]], schema: pa.Schema, group: int = 2) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = list(zip(*rows)) or [()] * len(schema)
    table = pa.table([pa.array(column, field.type) for column, field in zip(columns, schema)], schema=schema)
    parquet.write_table(table, path, row_group_size=group)
    return path


def box(time: int, camera: int, identity: str, center: tuple[float, float], size: tuple[float, float], **others: Any):
    kind, level = others.get("kind", 1), others.get("level", 0)
    return (others.get("segment", SEGMENT), time, camera, identity, *center, *size, kind, None, level)


BOXES = [
    box(TIMES[1], 1, "39d7516c", (50.25, 30.5), (10.5, 20)),
    box(TIMES[0], 1, "39d7516c", (51.25, 30.5), (10.5, 20), level=2),
    box(TIMES[0], 1, "622187f4", (20, 20), (4, 8), kind=2, level=1),
    box(TIMES[0], 5, "39d7516c", (20, 20), (6, 6), kind=4, level=None),
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two segments; the second has one frame and no box."""
    root = tmp_path / "training"
    pictures = [
        (SEGMENT, time, camera, jpeg(camera, index)) for index, time in enumerate(TIMES) for camera in range(1, 6)
    ]
    write(root / "camera_image" / f"{SEGMENT}.parquet", pictures, IMAGE_SCHEMA)
    write(root / "camera_box" / f"{SEGMENT}.parquet", BOXES, BOX_SCHEMA)
    pictures = [(SECOND, 7, camera, jpeg(camera)) for camera in (5, 1, 2, 3, 4)]
    write(root / "camera_image" / f"{SECOND}.parquet", pictures, IMAGE_SCHEMA)
    write(root / "camera_box" / f"{SECOND}.parquet", [], BOX_SCHEMA)
    return root


def test_whole_file(root: Path) -> None:
    data, result = converted("waymo", root)
    videos = [f"{segment}_{camera}" for segment in (SEGMENT, SECOND) for camera in CAMERAS]
    assert [video["name"] for video in data["videos"]] == videos
    assert data["videos"][4] == dict(id=5, name=f"{SEGMENT}_SIDE_RIGHT", width=96, height=44, length=3, fps=10.0)
    assert data["images"][:2] == [
        {
            "id": 1 + index,
            "video_id": 1,
            "frame_id": index,
            "file_name": f"{SEGMENT}/FRONT/{time}.jpg",
            "width": 96,
            "height": 64,
            "timestamp": time,
        }
        for index, time in enumerate(sorted(TIMES)[:2])
    ]
    assert len(data["images"]) == 20
    assert data["categories"] == [
        {"id": 1, "name": "vehicle"},
        {"id": 2, "name": "pedestrian"},
        {"id": 3, "name": "cyclist"},
    ]
    keys = ("image_id", "video_id", "category_id", "instance_id", "difficulty", "bbox")
    assert [tuple(entry[key] for key in keys) for entry in data["annotations"]] == [
        (1, 1, 1, 1, 1, [45.0, 20.5, 10.5, 20.0]),
        (2, 1, 1, 1, 2, [46.0, 20.5, 10.5, 20.0]),
        (2, 1, 2, 2, 1, [18.0, 16.0, 4.0, 8.0]),
        (14, 5, 3, 3, 1, [17.0, 17.0, 6.0, 6.0]),
    ]
    assert result.counts() == Counts(images=20, boxes=4, identities=3, videos=10)
    assert result.remarks == []
    assert result.published is not None
    assert result.published.videos == 3990


def test_extraction(root: Path) -> None:
    expected, _ = converted("waymo", root)
    folder = root.parent / "train"
    data, _ = converted("waymo", root, images="check", extract_images=folder)
    assert data == expected
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*.*")}
    assert files == {image["file_name"] for image in data["images"]}
    for index, time in enumerate(TIMES):
        assert (folder / SEGMENT / "SIDE_LEFT" / f"{time}.jpg").read_bytes() == jpeg(4, index)


def test_extraction_goes_on_where_it_stopped(root: Path) -> None:
    folder = root.parent / "train"
    frames = iter(opened("waymo", root, extract_images=folder).frames)
    next(frames)
    there = sorted(folder.rglob("*.jpg"))
    assert len(there) == 15  # a segment at a time
    before = [path.stat().st_mtime_ns for path in there]
    kept = folder / SECOND / "FRONT" / "7.jpg"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"mine")
    for _ in opened("waymo", root, extract_images=folder).frames:
        pass
    assert len(list(folder.rglob("*.jpg"))) == 20
    assert [path.stat().st_mtime_ns for path in there] == before
    assert kept.read_bytes() == b"mine"


def test_a_picture_is_never_written_in_part(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = root.parent / "train"

    def fail(self: Path, data: bytes) -> int:
        with self.open("wb") as stream:
            stream.write(data[:10])
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(KeyboardInterrupt):
        list(opened("waymo", root, extract_images=folder).frames)
    assert not list(folder.rglob("*.*"))


def test_pictures_are_not_read_when_not_needed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[str] = []
    original = waymo_images._size
    monkeypatch.setattr(waymo_images, "_size", lambda data, place: sizes.append(place) or original(data, place))
    list(opened("waymo", root).frames)
    assert len(sizes) == 10  # one for each camera and segment
    assert opened("waymo", root).images is None


def test_sizes_take_no_more_rows_than_it_needs_to_see_all_cameras(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = root / "camera_image" / f"{SEGMENT}.parquet"
    order = (1, 1, 1, 2, 3, 4, 5, 2, 3, 4, 5)
    write(path, [(SEGMENT, index, camera, jpeg(camera)) for index, camera in enumerate(order)], IMAGE_SCHEMA)
    given, sizes = [], []
    rows, size = waymo_images.read_rows, waymo_images._size

    def counted(*arguments: Any) -> Iterator[tuple[Any, ...]]:
        for row in rows(*arguments):
            given.append(row)
            yield row

    monkeypatch.setattr(waymo_images, "read_rows", counted)
    monkeypatch.setattr(waymo_images, "_size", lambda data, place: sizes.append(place) or size(data, place))
    assert waymo_images._sizes(path) == {1: (96, 64), 2: (96, 64), 3: (96, 64), 4: (96, 44), 5: (96, 44)}
    assert (len(given), len(sizes)) == (7, 5)


def test_only_some_pictures_are_in_memory(tmp_path: Path) -> None:
    pictures = np.random.default_rng(0).bytes(12_000_000)
    rows = [(SEGMENT, index, 1, pictures[index * 40_000 : (index + 1) * 40_000]) for index in range(300)]
    path = tmp_path / f"{SEGMENT}.parquet"
    table = pa.table([pa.array(values, field.type) for values, field in zip(zip(*rows), IMAGE_SCHEMA)], IMAGE_SCHEMA)
    parquet.write_table(table, path, write_batch_size=4, data_page_size=1 << 17, use_dictionary=False)
    del table
    assert parquet.ParquetFile(path).num_row_groups == 1
    before, most, seen = pa.total_allocated_bytes(), 0, 0
    for _, time, data in waymo_images.read_rows(path, (*KEY_NAMES[:2], "[CameraImageComponent].image"), 16):
        assert data == rows[time][3]
        most, seen = max(most, pa.total_allocated_bytes() - before), seen + 1
    assert seen == 300
    assert most < 4_000_000


def test_test_set(root: Path) -> None:
    for path in (root / "camera_box").iterdir():
        path.unlink()
    (root / "camera_box").rmdir()
    data, _ = converted("waymo", root, unlabelled=True)
    assert (len(data["images"]), data["annotations"]) == (20, [])
    assert refused("waymo", root).startswith(f"{root}/camera_box: no such folder")


@pytest.mark.parametrize(
    ("row", "remark"),
    [
        (box(TIMES[0], 2, "a", (5, 5), (4, 4), kind=3), "skipped 1 x box of unknown class 'sign'"),
        (box(TIMES[0], 2, "a", (5, 5), (4, 4), kind=0), "skipped 1 x box of unknown class 'number 0'"),
        (box(TIMES[0], 2, "a", (5, 5), (0, 4)), "skipped 1 x box without an area"),
        (box(TIMES[0], 2, "a", (float("nan"), 5), (4, 4)), "skipped 1 x box with a value that is not finite"),
        (box(TIMES[0], 2, "a", (None, 5), (4, 4)), "skipped 1 x box with a value that is not finite"),
        (box(12345, 2, "a", (5, 5), (4, 4)), "skipped 1 x box of a moment without a picture"),
        (box(TIMES[0], 1, "622187f4", (5, 5), (4, 4)), "skipped 1 x second box of an identity in one frame"),
        (box(TIMES[0], 2, "a", (1, 5), (4, 4)), "clipped 1 x box that reaches beyond the picture"),
    ],
)
def test_odd_boxes(root: Path, row: tuple[Any, ...], remark: str) -> None:
    path = write(root / "camera_box" / f"{SEGMENT}.parquet", [*BOXES, row], BOX_SCHEMA)
    data, result = converted("waymo", root)
    assert len(data["annotations"]) == 4 + remark.startswith("clipped")
    assert len(result.remarks) == 1
    assert result.remarks[0].startswith(f"{remark}: {path}: row 4")


class TestRefused:
    def test_no_pyarrow(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        original = builtins.__import__

        def without(name: str, *rest: Any) -> Any:
            if name.startswith("pyarrow"):
                raise ImportError(name)
            return original(name, *rest)

        monkeypatch.setattr(builtins, "__import__", without)
        with pytest.raises(InputError, match=r"^pyarrow is not installed.*pip install 'clmot_qd\[waymo\]'$"):
            opened("waymo", root)

    @pytest.mark.parametrize("component", ["camera_box", "camera_image"])
    def test_truncated(self, root: Path, component: str) -> None:
        path = root / component / f"{SEGMENT}.parquet"
        path.write_bytes(path.read_bytes()[:-40])
        message = refused("waymo", root)
        assert message.startswith(f"{path}: no readable parquet file (")
        assert message.endswith("truncated? Download it again")

    def test_damaged_inside(self, root: Path) -> None:
        path = root / "camera_box" / f"{SEGMENT}.parquet"
        content = bytearray(path.read_bytes())
        content[10:60] = b"\xff" * 50
        path.write_bytes(content)
        assert refused("waymo", root).startswith(f"{path}: no readable parquet file (")

    def test_another_component(self, root: Path) -> None:
        path = root / "camera_box" / f"{SEGMENT}.parquet"
        path.write_bytes((root / "camera_image" / f"{SEGMENT}.parquet").read_bytes())
        assert refused("waymo", root) == f"{path}: no column 'key.camera_object_id'; is it of another component?"

    @pytest.mark.parametrize(("gone", "other"), [("camera_box", "camera_image"), ("camera_image", "camera_box")])
    def test_segment_in_one_folder_only(self, root: Path, gone: str, other: str) -> None:
        path = root / gone / f"{SECOND}.parquet"
        path.unlink()
        assert refused("waymo", root).startswith(f"{path}: no such file, though the other folder has it")

    def test_no_files(self, root: Path) -> None:
        for path in (root / "camera_image").iterdir():
            path.unlink()
        assert refused("waymo", root).startswith(f"{root}/camera_image: no .parquet file in here")

    def test_unknown_camera(self, root: Path) -> None:
        path = write(root / "camera_box" / f"{SEGMENT}.parquet", [box(1, 6, "a", (5, 5), (4, 4))], BOX_SCHEMA)
        assert refused("waymo", root) == f"{path}: row 0: key.camera_name is 6, not 1 to 5"
        path = write(root / "camera_image" / f"{SEGMENT}.parquet", [(SEGMENT, 1, 0, jpeg(1))], IMAGE_SCHEMA)
        assert refused("waymo", root, unlabelled=True) == f"{path}: key.camera_name is 0, not 1 to 5"

    @pytest.mark.parametrize("data", [b"no picture", None])
    def test_no_picture(self, root: Path, data: bytes | None) -> None:
        path = write(root / "camera_image" / f"{SEGMENT}.parquet", [(SEGMENT, 1, 2, data)], IMAGE_SCHEMA)
        message = refused("waymo", root)
        assert message == f"{path}: FRONT_LEFT: no readable picture; download the file again"


def test_command_extracts_nothing_in_a_dry_run(root: Path) -> None:
    folder = root.parent / "train"
    out = root.parent / "train.json"
    arguments = ["waymo", "--root", str(root), "--extract-images", str(folder), "--out", str(out)]
    command().main([*arguments, "--dry-run"])
    assert not folder.exists()
    command().main(arguments)
    assert len(list(folder.rglob("*.jpg"))) == len(json.loads(out.read_text())["images"]) == 20


def test_result_is_read_by_the_data_set(root: Path) -> None:
    from clmot_qd.datasets.video_dataset import CocoVideoDataset

    folder, out = root.parent / "train", root.parent / "train.json"
    convert(opened("waymo", root, extract_images=folder), out)
    data_set = CocoVideoDataset(
        ann_file=str(out),
        data_prefix=dict(img_path=str(folder)),
        metainfo=dict(classes=("vehicle", "pedestrian", "cyclist")),
        test_mode=True,
    )
    assert [len(data_set.get_data_info(index)["images"]) for index in range(len(data_set))] == [3] * 5 + [1] * 5
    first = data_set.get_data_info(0)["images"][1]["instances"]
    assert [np.asarray(instance["bbox"]).tolist() for instance in first] == [[46, 20.5, 56.5, 40.5], [18, 16, 22, 24]]
