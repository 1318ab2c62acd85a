"""Plain COCO files: renamed and merged classes, folders as videos, parts, and what labelling tools leave out."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from person_samples import boxes, converted, cut_off, picture, refused

POLYGON = [[1.0, 2.0, 4.0, 2.0, 4.0, 6.0]]


def content(**changes: Any) -> dict[str, Any]:
    """Ids with gaps, images out of order, annotations of a crowd, without area, without iscrowd."""
    return {
        "info": {"year": 2017},
        "images": [
            {"id": 70, "file_name": "b/2.jpg", "width": 20, "height": 10, "license": 3},
            {"id": 9, "file_name": "a/10.jpg", "width": 20, "height": 10},
            {"id": 8, "file_name": "a/9.jpg", "width": 20, "height": 10},
        ],
        "annotations": [
            {
                "id": 5,
                "image_id": 9,
                "category_id": 1,
                "bbox": [1, 2, 3, 4],
                "area": 9.5,
                "segmentation": POLYGON,
                "iscrowd": 0,
            },
            {"id": 3, "image_id": 70, "category_id": 18, "bbox": [1, 2, 3, 4], "area": 99},
            {"id": 4, "image_id": 9, "category_id": 90, "bbox": [0.5, 0, 30, 4], "iscrowd": 1},
        ],
        "categories": [{"id": 90, "name": "rider"}, {"id": 1, "name": "person"}, {"id": 18, "name": "dog"}],
    } | changes


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("b/2.jpg", "a/10.jpg", "a/9.jpg"):
        picture(tmp_path / "img" / name, 20, 10)
    return tmp_path / "img"


def put(root: Path, data: Any, name: str = "ann.json") -> Path:
    path = root.parent / name
    path.write_text(json.dumps(data))
    return path


def convert(root: Path, data: Any = None, **options: Any):
    return converted("coco", root, ann=put(root, content() if data is None else data), **options)


def test_still_pictures(root: Path) -> None:
    data, result = convert(root)
    assert data["images"] == [
        {"id": 1, "file_name": "b/2.jpg", "width": 20, "height": 10, "source_id": 70},
        {"id": 2, "file_name": "a/10.jpg", "width": 20, "height": 10, "source_id": 9},
        {"id": 3, "file_name": "a/9.jpg", "width": 20, "height": 10, "source_id": 8},
    ]
    assert data["videos"] == []
    assert data["categories"] == [{"id": 1, "name": "person"}, {"id": 18, "name": "dog"}, {"id": 90, "name": "rider"}]
    assert boxes(data, "category_id", "area", "iscrowd", "segmentation") == {
        "b/2.jpg": [([1, 2, 3, 4], 18, 12, 0, None)],
        "a/10.jpg": [([1, 2, 3, 4], 1, 9.5, 0, POLYGON), ([0.5, 0, 19.5, 4], 90, 78, 1, None)],
        "a/9.jpg": [],
    }
    assert (result.ignored, result.published) == (1, None)
    place = f"{root.parent}/ann.json: annotation 4 (x 0.5, y 0, w 30, h 4)"
    assert result.remarks == [f"clipped 1 x box that reaches beyond the picture: {place}"]


class TestClasses:
    def test_rename_and_merge(self, root: Path) -> None:
        data, _ = convert(root, map=["person=pedestrian", "rider=pedestrian"])
        assert data["categories"] == [{"id": 1, "name": "pedestrian"}, {"id": 18, "name": "dog"}]
        assert [entry["category_id"] for entry in data["annotations"]] == [18, 1, 1]

    def test_only_mapped(self, root: Path) -> None:
        data, result = convert(root, map=["rider=rider", "person=human being"], only_mapped=True)
        assert data["categories"] == [{"id": 1, "name": "human being"}, {"id": 90, "name": "rider"}]
        assert [entry["category_id"] for entry in data["annotations"]] == [1, 90]
        assert not any("unknown" in remark for remark in result.remarks)

    def test_drop_empty(self, root: Path) -> None:
        data, _ = convert(root, map=["dog=dog"], only_mapped=True, drop_empty=True)
        assert [image["file_name"] for image in data["images"]] == ["b/2.jpg"]

    def test_a_map_swaps_names(self, root: Path) -> None:
        data, _ = convert(root, map=["dog=person", "person=dog"])
        assert data["categories"][:2] == [{"id": 1, "name": "dog"}, {"id": 18, "name": "person"}]

    def test_mistakes(self, root: Path) -> None:
        path = put(root, content())
        refused(
            "coco",
            root,
            r"--map: .*ann\.json has no class 'cat'; its classes are dog, person, rider",
            ann=path,
            map=["cat=dog"],
        )
        for pair in ("person", "person=", "=person"):
            refused("coco", root, f"--map {pair}: write OLD=NEW", ann=path, map=[pair])


class TestVideos:
    def test_from_folders(self, root: Path) -> None:
        data, _ = convert(root, video_from_folder=True)
        assert [(video["name"], video["length"]) for video in data["videos"]] == [("b", 1), ("a", 2)]
        assert [(image["file_name"], image["frame_id"]) for image in data["images"]] == [
            ("b/2.jpg", 0),
            ("a/9.jpg", 0),
            ("a/10.jpg", 1),
        ]

    def test_cocovid_stays_one(self, root: Path) -> None:
        images = content()["images"]
        for image, video, number in zip(images, (4, 2, 4), (1, 0, 0)):
            image.update(video_id=video, frame_id=number, mot_frame_id=number + 5)
        images.append({"id": 1, "file_name": "still.jpg", "width": 5, "height": 5})
        picture(root / "still.jpg", 5, 5)
        annotations = content()["annotations"]
        annotations[0].update(instance_id=0, ignore=True, visibility=0.25)
        videos = [{"id": 2, "name": "two"}, {"id": 4, "name": "four"}]
        data, _ = convert(root, content(images=images, annotations=annotations, videos=videos))
        assert [video["name"] for video in data["videos"]] == ["four", "two"]
        assert [image["file_name"] for image in data["images"]] == ["a/9.jpg", "b/2.jpg", "a/10.jpg", "still.jpg"]
        assert [image.get("mot_frame_id") for image in data["images"]] == [5, 6, 5, None]
        found = boxes(data, "instance_id", "ignore", "visibility")["a/10.jpg"]
        assert found == [([1, 2, 3, 4], 1, True, 0.25), ([0.5, 0, 19.5, 4], None, False, None)]
        del images[0]["frame_id"]
        path = put(root, content(images=images, videos=videos))
        refused("coco", root, r"ann\.json: image 70: a video_id, but no frame_id", ann=path)


class TestParts:
    @pytest.fixture
    def many(self, root: Path) -> Path:
        images = [
            {"id": number, "file_name": f"v{number % 10}/{number}.jpg", "width": 5, "height": 5} for number in range(50)
        ]
        return put(root, content(images=images, annotations=[]), "many.json")

    def names(self, root: Path, many: Path, **options: Any) -> list[str]:
        data, _ = converted("coco", root, images="trust", ann=many, **options)
        return [image["file_name"] for image in data["images"]]

    def test_pictures_by_share(self, root: Path, many: Path) -> None:
        whole = self.names(root, many)
        first = self.names(root, many, split_ratio=0.75)
        second = self.names(root, many, split_ratio=0.75, part="second")
        assert (len(first), len(second)) == (38, 12)
        assert sorted(first + second) == sorted(whole)
        assert sorted(first) != sorted(whole)[:38]

    def test_parts_do_not_depend_on_order(self, root: Path, many: Path) -> None:
        first = self.names(root, many, split_ratio=0.5)
        data = json.loads(many.read_text())
        data["images"].reverse()
        many.write_text(json.dumps(data))
        assert sorted(self.names(root, many, split_ratio=0.5)) == sorted(first)

    def test_videos_stay_whole(self, root: Path, many: Path) -> None:
        parts = [
            {name.split("/")[0] for name in self.names(root, many, video_from_folder=True, split_ratio=0.7, part=part)}
            for part in ("first", "second")
        ]
        assert [len(part) for part in parts] == [7, 3]
        assert not parts[0] & parts[1]

    def test_by_list(self, root: Path, many: Path) -> None:
        wanted = root.parent / "wanted.txt"
        wanted.write_text("v3/3.jpg\r\n\r\nv7/17.jpg\r\n")
        assert self.names(root, many, only=wanted) == ["v3/3.jpg", "v7/17.jpg"]
        wanted.write_text("v3\n")
        assert len(self.names(root, many, only=wanted, video_from_folder=True)) == 5
        refused("coco", root, r"wanted\.txt:1: no picture or video is called 'v3'", ann=many, only=wanted)
        wanted.write_text("\n")
        refused("coco", root, r"wanted\.txt: names nothing", ann=many, only=wanted)

    @pytest.mark.parametrize("ratio", [0.0, 1.0, 0.001, -0.5, 7.0])
    def test_empty_parts(self, root: Path, many: Path, ratio: float) -> None:
        refused("coco", root, "of 50 pictures or videos one part would have none", ann=many, split_ratio=ratio)


class TestOddities:
    @pytest.mark.parametrize(
        ("annotation", "kind", "detail"),
        [
            ({"bbox": [1, 2, -3, 4]}, "box without an area", " (x 1, y 2, w -3, h 4)"),
            ({"bbox": [1, 2, math.nan, 4]}, "box with a value that is not finite", " (x 1, y 2, w nan, h 4)"),
            ({"bbox": [1, 2, 3]}, "annotation whose bbox is not four numbers", " ([1, 2, 3])"),
            ({"bbox": None}, "annotation whose bbox is not four numbers", " (None)"),
            ({"bbox": ["1", 2, 3, 4]}, "annotation whose bbox is not four numbers", " (['1', 2, 3, 4])"),
            ({"category_id": 2}, "box of unknown class '2'", ""),
            ({"image_id": 5}, "annotation of an image that the file does not list", " (image_id 5)"),
        ],
    )
    def test_left_out_and_counted(self, root: Path, annotation: dict, kind: str, detail: str) -> None:
        good = {"id": 1, "image_id": 8, "category_id": 1, "bbox": [1, 2, 3, 4]}
        data, result = convert(root, content(annotations=[good, {**good, "id": 2, **annotation}]))
        assert len(data["annotations"]) == 1
        assert result.remarks == [f"skipped 1 x {kind}: {root.parent}/ann.json: annotation 2{detail}"]

    def test_without_an_id(self, root: Path) -> None:
        annotation = {"image_id": 8, "category_id": 1, "bbox": [1, 2, 0, 4]}
        _, result = convert(root, content(annotations=[annotation]))
        assert "ann.json: annotation without id" in result.remarks[0]

    def test_area_that_is_no_number(self, root: Path) -> None:
        annotation = content()["annotations"][0] | {"area": math.nan}
        data, _ = convert(root, content(annotations=[annotation]))
        assert data["annotations"][0]["area"] == 12

    def test_no_segmentation(self, root: Path) -> None:
        data, _ = convert(root, no_segmentation=True)
        assert not any("segmentation" in entry for entry in data["annotations"])
        assert data["annotations"][1]["area"] == 12

    def test_sizes_that_are_not_recorded(self, root: Path) -> None:
        images = [{"id": 8, "file_name": "a/9.jpg"}, {"id": 9, "file_name": "b/2.jpg", "width": None, "height": 10.0}]
        data, _ = convert(root, content(images=images, annotations=[]))
        assert [(image["width"], image["height"]) for image in data["images"]] == [(20, 10)] * 2
        for width, shown in (("20", "'20'"), (-20, "-20"), (20.5, "20.5")):
            images[1]["width"] = width
            path = put(root, content(images=images))
            refused("coco", root, rf"ann\.json: image 9: width {shown} is no number of pixels", ann=path)

    def test_missing_lists_of_annotations(self, root: Path) -> None:
        data = content()
        del data["annotations"]
        assert convert(root, data)[0]["annotations"] == []

    def test_missing_picture(self, root: Path) -> None:
        (root / "a" / "9.jpg").unlink()
        refused("coco", root, r"a/9\.jpg: no such picture \(named in .*ann\.json: image 8\)", ann=put(root, content()))


class TestDamaged:
    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"images": []}, "not in COCO format"),
            ({"categories": []}, "not in COCO format"),
            ({"images": [{"id": 1}]}, r"images\[0\]: no key 'file_name'"),
            ({"annotations": [{"id": 1, "image_id": 8}]}, r"annotations\[0\]: no key 'category_id'"),
            ({"annotations": [7]}, r"annotations\[0\]: a int where an object"),
            ({"annotations": [{"image_id": [8], "category_id": 1}]}, r"annotations\[0\]: image_id is \[8\]"),
            ({"categories": [{"id": 1, "name": "a"}] * 2}, r"categories\[1\]: id 1 is used twice"),
            ({"images": [{"id": 1, "file_name": "a"}, {"id": 2, "file_name": "a"}]}, "images 1 and 2 are both a;"),
            (
                {"images": [{"id": 1, "file_name": "a"}, {"id": 1, "file_name": "b"}]},
                r"images\[1\]: id 1 is used twice",
            ),
        ],
    )
    def test_entries(self, root: Path, changes: dict, message: str) -> None:
        refused("coco", root, message, ann=put(root, content(**changes)))

    def test_truncated(self, root: Path) -> None:
        path = put(root, content())
        cut_off(path)
        refused("coco", root, r"ann\.json: no valid JSON .*truncated", ann=path)

    def test_other_files(self, root: Path) -> None:
        refused("coco", root, "not in COCO format", ann=put(root, [1, 2]))
        refused("coco", root, r"gone\.json: cannot be read", ann=root / "gone.json")


def test_published(root: Path) -> None:
    path = put(root, content(), "instances_val2017.json")
    assert converted("coco", root, ann=path)[1].published.images == 5000
    assert converted("coco", root, ann=path, drop_empty=True)[1].published is None


def test_our_data_sets_read_the_result(root: Path) -> None:
    from clmot_qd.datasets.coco_detection import CocoDetectionDataset

    converted("coco", root, ann=put(root, content()), map=["person=pedestrian", "rider=pedestrian"])
    dataset = CocoDetectionDataset(
        ann_file=str(root.parent / "coco-1.json"),
        data_prefix={"img": f"{root}/"},
        metainfo={"classes": ("pedestrian",)},
        pipeline=[],
        test_mode=True,
    )
    found = {Path(info["img_path"]).name: info["instances"] for info in map(dataset.get_data_info, range(3))}
    assert [instance["ignore_flag"] for instance in found["10.jpg"]] == [0, 1]
    assert found["10.jpg"][0]["bbox"] == [1, 2, 4, 6]


def test_what_the_protocols_need_survives(tmp_path: Path) -> None:
    image = dict(id=7, video_id=3, frame_id=0, file_name="a.jpg", width=64, height=48, source_id=4711, frame_index=31)
    annotation = dict(id=1, image_id=7, category_id=5, instance_id=2, bbox=[60, 1, 9, 9], difficulty=2, track_id=99)
    video = dict(id=3, name="v", neg_category_ids=[1], not_exhaustive_category_ids=[2], source_id=12, fps=5)
    category = dict(id=5, name="cup", merged=[dict(id=6, name="mug")])
    content = dict(images=[image], annotations=[annotation], videos=[video], categories=[category])
    (tmp_path / "own.json").write_text(json.dumps(content))
    for keep, bbox in ((True, [60, 1, 9, 9]), (False, [60, 1, 4, 9])):
        data, _ = converted("coco", tmp_path / "root", images="trust", ann=tmp_path / "own.json", keep_outside=keep)
        assert data["annotations"][0]["bbox"] == bbox
    for entry, name, keys in (
        (image, "images", ("source_id", "frame_index")),
        (annotation, "annotations", ("difficulty", "track_id")),
        (video, "videos", ("neg_category_ids", "not_exhaustive_category_ids", "source_id", "fps")),
        (category, "categories", ("merged",)),
    ):
        assert {key: data[name][0][key] for key in keys} == {key: entry[key] for key in keys}
