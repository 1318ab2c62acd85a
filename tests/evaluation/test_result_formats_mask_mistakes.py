"""Result files of masks with mistakes: one line that names file and place; and oddities that are no mistakes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mask_scene import HEIGHT, WIDTH, assert_same_masks, mask_annotation, mask_tracks, read_scene
from PIL import Image
from result_scene import assert_same, tracks

from clmot_qd.errors import InputError
from clmot_qd.evaluation import GroundTruth
from clmot_qd.evaluation.formats import FORMATS, detect_format, read_predictions
from clmot_qd.masks import RleMasks

OF_MASKS = ("mots", "bdd100k-bitmasks")
KEY = {"bdd100k": "rle", "cocovid": "segmentation"}


@pytest.fixture
def truth(tmp_path: Path) -> GroundTruth:
    return read_scene(tmp_path)


def refused(message: str, act: Callable[[], Any]) -> None:
    with pytest.raises(InputError, match=message) as caught:
        act()
    assert "\n" not in str(caught.value)


class TestWriting:
    @pytest.mark.parametrize("name", OF_MASKS)
    def test_tracks_without_masks(self, name: str, tmp_path: Path, truth: GroundTruth) -> None:
        made = {"a": mask_tracks()["a"], "b": tracks()["b"]}
        message = r"out: b: predictions without masks, which this format is made of; use a model with a mask head"
        refused(message, lambda: FORMATS[name].write(tmp_path / "out", truth, made))
        assert not (tmp_path / "out").exists()

    @pytest.mark.parametrize("name", [*KEY, *OF_MASKS])
    def test_masks_of_another_size(self, name: str, tmp_path: Path, truth: GroundTruth) -> None:
        made = mask_tracks()
        made["b"] = replace(made["b"], masks=RleMasks.of_bitmaps(np.ones((4, WIDTH, HEIGHT))))
        path = tmp_path / ("out" if name in OF_MASKS else "out.json")
        message = r"out.*: b: predicted masks are of \(64, 48\) pixels \(height, width\), its pictures of \(48, 64\)"
        refused(message, lambda: FORMATS[name].write(path, truth, made))
        assert not path.exists()

    def test_images_of_several_sizes(self, tmp_path: Path) -> None:
        data = mask_annotation()
        data["images"][0]["width"] = 9
        truth = read_scene(tmp_path, data)
        message = r"ann.json: video 'b' has images of \[48, 9\] and of \[48, 64\] pixels .* must be of one size"
        refused(message, lambda: FORMATS["cocovid"].write(tmp_path / "x.json", truth, mask_tracks()))

    def test_sizes_that_the_annotation_file_does_not_have(self, tmp_path: Path) -> None:
        data = mask_annotation()
        for image in data["images"]:
            del image["height"]
        truth = read_scene(tmp_path, data)
        for name in (*KEY, *OF_MASKS):
            path = tmp_path / (name if name in OF_MASKS else f"{name}.json")
            FORMATS[name].write(path, truth, mask_tracks())
            assert_same_masks(read_predictions(path, truth, masks=True), mask_tracks())
        message = r"ann.json: images of 'a' have no height and width, which bitmasks need; add them"
        refused(message, lambda: FORMATS["bdd100k-bitmasks"].write(tmp_path / "out", truth, {"b": mask_tracks()["b"]}))

    @pytest.mark.parametrize("name", OF_MASKS)
    def test_a_file_is_no_folder(self, name: str, tmp_path: Path, truth: GroundTruth) -> None:
        refused("x.json: .* give a folder", lambda: FORMATS[name].write(tmp_path / "x.json", truth, mask_tracks()))

    def test_images_that_would_share_a_bitmask(self, tmp_path: Path) -> None:
        data = mask_annotation()
        data["images"][3]["file_name"], data["images"][4]["file_name"] = "left/1.jpg", "right/1.png"
        truth = read_scene(tmp_path, data)
        message = r"ann.json: video 'a' has two images called 1; each needs a file of its own"
        refused(message, lambda: FORMATS["bdd100k-bitmasks"].write(tmp_path / "out", truth, mask_tracks()))

    def test_more_classes_and_identities_than_there_are_numbers(self, tmp_path: Path) -> None:
        data = mask_annotation()
        data["categories"].append({"id": 256, "name": "dog"})
        truth = read_scene(tmp_path, data)
        made = mask_tracks()["a"]
        write = FORMATS["bdd100k-bitmasks"].write
        many = replace(made, class_ids=np.array([256, 1]))
        refused("a: more classes than bitmasks have numbers for", lambda: write(tmp_path / "out", truth, {"a": many}))
        rows = np.zeros(65_536, dtype=np.int64)
        many = replace(made.select(rows), ids=np.arange(65_536), frames=np.full(65_536, 4))
        many = replace(many, masks=RleMasks.of([b"0\\_3"] * 65_536, (HEIGHT, WIDTH)))
        from clmot_qd.evaluation.formats.numbering import fit_identities

        refused(
            "out: a: 65536 identities; this format has numbers for 65535",
            lambda: fit_identities("out", "a", many.ids, 1, 65_535),
        )


def change_line(file: Path, column: int, value: str) -> None:
    rows = [line.split(" ") for line in file.read_text().splitlines()]
    rows[1][column] = value
    file.write_text("".join(" ".join(row) + "\n" for row in rows))


MOTS = [
    (2, "7", r"b.txt: class 7 is none of .*ann.json, whose classes have the numbers 1, 2, 9 here"),
    (3, "64", r"b.txt:2: a mask of 64 x 64 pixels, the video has 64 x 48"),
    (5, "abc", r"b.txt:2: its mask is no list of runs that fill 64 x 48 pixels"),
    (0, "-1", r"b.txt:2: frame '-1' is no whole number"),
    (0, "0", r"b.txt:2: frame 0: frames count from 1"),
    (1, "1", r"b.txt:2: frame 1 has id 1 already in line 1"),
]


class TestReading:
    @pytest.mark.parametrize(("column", "value", "message"), MOTS)
    def test_mots(self, column: int, value: str, message: str, tmp_path: Path, truth: GroundTruth) -> None:
        FORMATS["mots"].write(tmp_path / "out", truth, mask_tracks())
        change_line(tmp_path / "out" / "b.txt", column, value)
        refused(message, lambda: read_predictions(tmp_path / "out", truth, masks=True))

    def test_mots_without_a_sequence(self, tmp_path: Path, truth: GroundTruth) -> None:
        FORMATS["mots"].write(tmp_path / "out", truth, mask_tracks())
        (tmp_path / "out" / "a.txt").unlink()
        refused(
            "a.txt: no such file; every sequence needs one",
            lambda: read_predictions(tmp_path / "out", truth, masks=True),
        )

    def test_regions_are_no_predictions(self, tmp_path: Path, truth: GroundTruth) -> None:
        """So that ground truth can be read as predictions."""
        FORMATS["mots"].write(tmp_path / "out", truth, mask_tracks())
        with open(tmp_path / "out" / "b.txt", "a") as handle:
            handle.write(f"1 10000 10 48 64 {mask_tracks()['b'].masks.texts()[1]}\n")
        assert_same_masks(read_predictions(tmp_path / "out", truth, masks=True), mask_tracks())

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda file: file.unlink(), "b-0001.png: no such picture of masks"),
            (lambda file: file.write_bytes(b"\x89PNG"), "b-0001.png: not a readable picture of masks"),
            (lambda file: Image.new("L", (WIDTH, HEIGHT)).save(file), "b-0001.png: .* the four channels R, G, B, A"),
            (lambda file: Image.new("RGBA", (WIDTH, 9)).save(file), "b-0001.png: masks of 64 x 9 pixels, .*64 x 48"),
            (
                lambda file: Image.new("RGBA", (WIDTH, HEIGHT), (2, 0, 0, 1)).save(file),
                "b-0001.png: class 2 is none of",
            ),
        ],
        ids=["missing", "damaged", "grey", "size", "class"],
    )
    def test_bitmasks(self, change: Callable, message: str, tmp_path: Path, truth: GroundTruth) -> None:
        FORMATS["bdd100k-bitmasks"].write(tmp_path / "out", truth, mask_tracks())
        change(tmp_path / "out" / "b" / "b-0001.png")
        refused(message, lambda: read_predictions(tmp_path / "out", truth, masks=True))

    def test_bitmask_of_one_object_in_two_classes(self, tmp_path: Path, truth: GroundTruth) -> None:
        FORMATS["bdd100k-bitmasks"].write(tmp_path / "out", truth, mask_tracks())
        picture = np.zeros((HEIGHT, WIDTH, 4), dtype=np.uint8)
        picture[0], picture[1] = (1, 0, 0, 5), (3, 0, 0, 5)
        Image.fromarray(picture).save(tmp_path / "out" / "b" / "b-0001.png")
        message = "b-0001.png: identity 5 has pixels of two classes or attributes"
        refused(message, lambda: read_predictions(tmp_path / "out", truth, masks=True))

    def test_marked_objects_of_bitmasks_are_no_predictions(self, tmp_path: Path, truth: GroundTruth) -> None:
        """BDD100K's tools mark what fills a frame without predictions as a crowd."""
        FORMATS["bdd100k-bitmasks"].write(tmp_path / "out", truth, mask_tracks())
        blank = Image.new("RGBA", (WIDTH, HEIGHT), (0, 3, 0, 1))
        blank.paste((1, 2, 0, 7), (0, 0, 9, 9))
        blank.paste((1, 1, 0, 8), (9, 9, 20, 20))
        blank.save(tmp_path / "out" / "b" / "b-0001.png")
        assert_same_masks(read_predictions(tmp_path / "out", truth, masks=True), mask_tracks())

    @pytest.mark.parametrize("name", KEY)
    @pytest.mark.parametrize(
        ("mask", "message"),
        [
            (None, "no key '{}', which others have; either all entries have masks, or none"),
            ({"size": [HEIGHT, WIDTH], "counts": "abc"}, "{}: its mask is no list of runs that fill 64 x 48 pixels"),
            ({"size": [WIDTH, HEIGHT], "counts": [WIDTH * HEIGHT]}, "{}: its mask is of size .*64, 48"),
            ({"counts": "0"}, "{}: its mask is of size None"),
            ("x", "{}: segmentation is neither polygons nor a mask"),
            ([[1, 2, "3"]], "{}: a polygon is a list of numbers"),
        ],
    )
    def test_json(self, name: str, mask: Any, message: str, tmp_path: Path, truth: GroundTruth) -> None:
        change_json(name, tmp_path, truth, lambda entry: entry.update({KEY[name]: mask}), first_alone=True)
        place = r"\[0\].labels\[0\]" if name == "bdd100k" else r"\[0\]"
        message = f"x.json: {place}: {message.format(KEY[name])}"
        refused(message, lambda: read_predictions(tmp_path / "x.json", truth, masks=True))

    @pytest.mark.parametrize("name", KEY)
    def test_json_where_images_have_no_size(self, name: str, tmp_path: Path) -> None:
        data = mask_annotation()
        for image in data["images"]:
            del image["width"]
        truth = read_scene(tmp_path, data)
        square = {"size": [2, 2], "counts": [0, 4]}
        change_json(name, tmp_path, truth, lambda entry: entry.update({KEY[name]: square}), first_alone=True)
        message = (
            r"its mask is of size \[48, 64\] \(height, width\), that of .* of \[2, 2\]; masks of a video are of one"
        )
        refused(message, lambda: read_predictions(tmp_path / "x.json", truth, masks=True))
        change_json(name, tmp_path, truth, lambda entry: entry.update({KEY[name]: [[0, 0, 9, 0, 9, 9]]}))
        message = "has no size .height, width., and its image has none either"
        refused(message, lambda: read_predictions(tmp_path / "x.json", truth, masks=True))


def change_json(
    name: str, folder: Path, truth: GroundTruth, change: Callable[[dict], Any], first_alone: bool = False
) -> None:
    """Write the scene, change its first entry or all of them."""
    FORMATS[name].write(folder / "x.json", truth, mask_tracks())
    data = json.loads((folder / "x.json").read_text())
    entries = [label for frame in data for label in frame["labels"]] if name == "bdd100k" else data
    for entry in entries[:1] if first_alone else entries:
        change(entry)
    (folder / "x.json").write_text(json.dumps(data))


BAD_MASKS = (None, {"size": [2, 2], "counts": [0, 4]}, [], [[1, 2, 3]], "x")


@pytest.mark.parametrize("name", KEY)
@pytest.mark.parametrize("mask", BAD_MASKS)
def test_boxes_are_read_whatever_stands_beside_them(name: str, mask: Any, tmp_path: Path, truth: GroundTruth) -> None:
    """Masks are read where they are asked for, and files of others have all kinds."""
    change_json(name, tmp_path, truth, lambda entry: entry.update({KEY[name]: mask}), first_alone=True)
    found = read_predictions(tmp_path / "x.json", truth)
    assert_same(found, mask_tracks())
    assert all(table.masks is None for table in found.values())


class TestOddities:
    def test_scalabel_without_boxes_and_scores(self, tmp_path: Path, truth: GroundTruth) -> None:
        """As BDD100K describes the files of segmentation tracking: the box is that around the mask."""
        change_json("bdd100k", tmp_path, truth, lambda label: label.update(box2d=None) or label.pop("score"))
        assert_same_masks(read_predictions(tmp_path / "x.json", truth, masks=True), mask_tracks())
        change_json("bdd100k", tmp_path, truth, lambda label: [label.pop(key) for key in ("box2d", "score")])
        found = read_predictions(tmp_path / "x.json", truth, masks=True)
        assert_same_masks(found, mask_tracks())
        for table in found.values():
            np.testing.assert_array_equal(table.bboxes[:, 2:] + table.bboxes[:, :2], table.masks.boxes()[:, 2:])
            assert (table.scores == 1).all()
        empty = {"size": [HEIGHT, WIDTH], "counts": [HEIGHT * WIDTH]}
        change_json("bdd100k", tmp_path, truth, lambda label: (label.pop("box2d"), label.update(rle=empty)))
        message = r"x.json: \[0\].labels\[0\]: its rle has no pixel, and it has no box2d; remove the label"
        refused(message, lambda: read_predictions(tmp_path / "x.json", truth, masks=True))

    def test_coco_masks_as_lists_and_polygons(self, tmp_path: Path, truth: GroundTruth) -> None:
        runs = {"size": [HEIGHT, WIDTH], "counts": [5, 7, HEIGHT * WIDTH - 12]}
        corner = [[0, 0, 4, 0, 4, 4, 0, 4]]
        for mask, pixels in ((runs, 7), (corner, 16)):
            change_json("cocovid", tmp_path, truth, lambda entry, mask=mask: entry.update(segmentation=mask))
            found = read_predictions(tmp_path / "x.json", truth, masks=True)
            assert found["b"].masks.areas().tolist() == [pixels] * 4

    def test_folders_with_other_texts(self, tmp_path: Path, truth: GroundTruth) -> None:
        FORMATS["mots"].write(tmp_path / "out", truth, mask_tracks())
        (tmp_path / "out" / "NOTES.txt").write_bytes(b"trained on 6 of them\xff\n")
        (tmp_path / "out" / "0.txt").write_text("\n")
        (tmp_path / "out" / "1.txt").mkdir()
        assert detect_format(tmp_path / "out") == "mots"
        (tmp_path / "out" / "0.txt").write_text("2024-01-01 my run\n")
        assert detect_format(tmp_path / "out") == "mots"
        for file in ("a.txt", "b.txt"):
            (tmp_path / "out" / file).write_text((tmp_path / "out" / file).read_text().replace(" ", "\t"))
        assert_same_masks(read_predictions(tmp_path / "out", truth), mask_tracks())
        (tmp_path / "out" / "0.txt").write_text("\ufeff1 2 3 4 5 6 7 8 9 10\n")  # MOT text with blanks
        assert detect_format(tmp_path / "out") == "mot"
