"""What damaged files have brought to light: each input once ended in a traceback, a crash or all memory."""

from __future__ import annotations

import io
import json
import random
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

sys.path.append(str(Path(__file__).parent))
from coco_samples import annotations
from guarded import guarded
from source_samples import READERS as SOURCES
from text_samples import SEQINFO

from clmot_qd.apis.detection_files import read_images
from clmot_qd.apis.tuning.space import parse_value
from clmot_qd.apis.tuning.trial_files import TrialFiles
from clmot_qd.arrays import ArrayFile, read_array, write_arrays
from clmot_qd.datasets.coco_checks import IDENTITY_KEYS, VIDEO_KEYS, read_coco
from clmot_qd.datasets.coco_identity import CocoIdentityDataset
from clmot_qd.datasets.converters.caltech_video import read_frames
from clmot_qd.datasets.converters.images import image_size
from clmot_qd.datasets.converters.json_stream import stream_json
from clmot_qd.datasets.converters.mat_files import load_variable
from clmot_qd.datasets.detections import read_detection_file
from clmot_qd.datasets.mot_layout import find_sequences, list_frames
from clmot_qd.datasets.mot_text import read_ground_truth, read_tracks
from clmot_qd.errors import InputError, one_line
from clmot_qd.evaluation.detection_ap import read_detection_truth
from clmot_qd.evaluation.formats import read_predictions
from clmot_qd.evaluation.ground_truth import read_mot_root
from clmot_qd.evaluation.result_files import read_truth
from clmot_qd.files import has_halves, parse_json, read_json
from clmot_qd.visualization.report.kept import read_objects

DEEP, DIGITS = "[" * 100_000 + "]" * 100_000, "9" * 5000


def refused(read: Callable[[], Any], match: str) -> None:
    """The reader refuses in one line, within the limits of :func:`~guarded.guarded`."""
    kind, told = guarded(read)
    assert kind == "refused", told
    assert match in told


class TestText:
    @pytest.mark.parametrize("text", [f'{{"a": {DEEP}}}', f"[{DIGITS}]"], ids=["deep", "digits"])
    @pytest.mark.parametrize("read", [read_json, lambda path: list(stream_json(path))])
    def test_json_that_nobody_writes(self, tmp_path: Path, text: str, read: Callable[[Path], Any]) -> None:
        (tmp_path / "a.json").write_text(text)
        refused(lambda: read(tmp_path / "a.json"), "nested too deeply" if "[[" in text else "thousands of digits")

    @pytest.mark.parametrize("read", [read_json, lambda path: [entry for _, entry in stream_json(path)]])
    def test_half_a_character(self, tmp_path: Path, read: Callable[[Path], Any]) -> None:
        (tmp_path / "a.json").write_text(r'["cut \ud83d", "whole \ud83d\ude00", "\\ud83d", {"\udc00": [1]}]')
        assert read(tmp_path / "a.json") == ["cut \ufffd", "whole \U0001f600", r"\ud83d", {"\ufffd": [1]}]

    @pytest.mark.parametrize(
        ("text", "has"),
        [
            *(
                (text, False)
                for text in (r"\ud55c\uad6d", r"\ud7ff", r"\ud83d\ude00", r"\uD83D\uDE00" * 3, r"C:\\udata")
            ),
            *((text, True) for text in (r"\ud83d", r"\ude00", r"\ud83d\ude00\ude00", r"\ud83d\ud83d\ude00")),
            *((text, True) for text in (r"\ud83d\\ude00", r"\ud83d \ude00", r"\\ud83d\ude00", r"\ude00\ud83d")),
        ],
    )
    def test_pairs_are_no_halves(self, text: str, has: bool) -> None:
        """Whole texts need not be rebuilt; what looks half may be whole, not the other way round."""
        assert has_halves(f'["{text}"]') == has
        value = parse_json("a.json", f'["{text}"]', "")
        assert value == [json.loads(f'"{text}"').encode("utf-16", "surrogatepass").decode("utf-16", "replace")]
        assert any("\ud800" <= one <= "\udfff" for one in json.loads(f'"{text}"')) == has

    def test_no_half_is_missed(self) -> None:
        rng = random.Random(0)
        pieces = [r"\\", r"\ud83d", r"\uDE00", r"\udc00", r"\ud55c", r"\uD9ff", "ud83d", "udc00", r"\n", r"\"", "a"]
        for _ in range(5000):
            text = f'["{"".join(rng.choices(pieces, k=rng.randrange(1, 8)))}"]'
            parse_json("a.json", text, "")[0].encode()

    def test_message_of_one_line(self) -> None:
        assert str(InputError("class 'a\nb\x1b[31m' of 世界")) == r"class 'a b\x1b[31m' of 世界"
        assert len(str(InputError("x" * 10**6))) < 3000
        told = "Caught InputError in worker process 0.\nOriginal Traceback (most recent call last):\nInputError: a"
        assert one_line(InputError(told)) == "a"

    @pytest.mark.parametrize("row", ["1,9007199254740993,1,2,3,4,1,1,1", "1e300,1,1,2,3,4,1,1,1"])
    def test_numbers_that_cannot_be_told_from_others(self, tmp_path: Path, row: str) -> None:
        (tmp_path / "gt.txt").write_text(f"{row}\n")
        refused(lambda: read_ground_truth(tmp_path / "gt.txt"), "gt.txt:1: frame")

    def test_half_a_class(self, tmp_path: Path) -> None:
        (tmp_path / "rows.txt").write_text("1,1,1,2,3,4,1,1,1\n2,1,1,2,3,4,1,1.5,1\n")
        refused(lambda: read_ground_truth(tmp_path / "rows.txt"), "rows.txt:2: class 1.5: must be a whole number")
        refused(lambda: read_tracks(tmp_path / "rows.txt"), "rows.txt:2: class 1.5: must be a whole number, as in the")

    @pytest.mark.parametrize("frame", [10**9, 10**15])
    def test_one_row_far_away(self, tmp_path: Path, frame: int) -> None:
        sequence = tmp_path / "a" / "gt"
        sequence.mkdir(parents=True)
        (sequence / "gt.txt").write_text(f"1,1,1,2,3,4,1,1,1\n{frame},1,1,2,3,4,1,1,1\n")
        refused(lambda: read_mot_root(tmp_path), f"a box in frame {frame}: frames are counted from 1 up to 10000000")
        (tmp_path / "det.txt").write_text(f"{frame},-1,1,2,3,4,0.5\n")
        found = read_detection_file(tmp_path / "det.txt").videos["det"]
        refused(found.all_frames, f"a detection in frame {frame}")

    @pytest.mark.parametrize(
        ("old", "new", "match"),
        [
            ("seqLength=3", "seqLength=1000000000", "seqLength=1000000000 must be a whole number up to 10000000"),
            ("seqLength=3", "seqLength=9000000", "seqLength=9000000, but no folder img1"),
            ("seqLength=3", "seqLength=1e308", "seqLength=1e308 must be"),
            ("imWidth=96", "imWidth=96.5", "imWidth=96.5 must be a whole number"),
            ("imDir=img1", f"imDir={'i' * 300}\nseqLength=", "seqinfo.ini"),
        ],
    )
    def test_seqinfo(self, tmp_path: Path, old: str, new: str, match: str) -> None:
        (tmp_path / "a").mkdir()
        (tmp_path / "a" / "seqinfo.ini").write_text(SEQINFO.replace(old, new))
        refused(lambda: [list_frames(sequence) for sequence in find_sequences(tmp_path)], match)

    def test_seqinfo_that_is_a_folder(self, tmp_path: Path) -> None:
        (tmp_path / "a" / "seqinfo.ini").mkdir(parents=True)
        refused(lambda: find_sequences(tmp_path), "seqinfo.ini: cannot be read (Is a directory)")

    def test_folder_that_no_file_system_has(self, tmp_path: Path) -> None:
        (tmp_path / "a").mkdir()
        (tmp_path / "a" / "seqinfo.ini").write_text(SEQINFO.replace("img1", "i" * 300).replace("seqLength=3\n", ""))
        refused(lambda: list_frames(find_sequences(tmp_path)[0]), "no such folder")


class TestAnnotations:
    @pytest.mark.parametrize(
        ("change", "match"),
        [
            (lambda data: data["images"].append(7), "image number 5 is a int, not an object with keys"),
            (lambda data: data.update(images=7), "what should be the list of every image is a int"),
            (lambda data: data["images"][0].update(id=[1]), "not of the expected form"),
            (lambda data: data["images"][0].update(file_name=None), "file_name is None; it must be str"),
            (lambda data: data["images"][0].update(width="64"), "width is '64'; it must be float or int"),
            (lambda data: data["images"][0].update(frame_id="x"), "frame_id is 'x'; it must be int"),
            (lambda data: data["images"][0].update(video_id={}), "video_id is {}; it must be int"),
            (lambda data: data["annotations"][0].update(area=[]), "area is []; it must be float or int"),
            (lambda data: data["annotations"][0].update(instance_id="7"), "instance_id is '7'; it must be"),
            (lambda data: data["annotations"][0].update(bbox=[1, 2, 10**400, 4]), "bbox must be [x, y, w, h]"),
            (lambda data: data["categories"][0].update(name=None), "name is None; it must be int or str"),
            (lambda data: data["annotations"][0].update(category_id="z"), "has category_id z"),
            (lambda data: data.update(videos=[5]), "video number 0 is a int"),
        ],
    )
    def test_entries_of_another_kind(self, tmp_path: Path, change: Callable[[dict], None], match: str) -> None:
        data = annotations()
        change(data)
        (tmp_path / "ann.json").write_text(json.dumps(data))
        refused(lambda: read_coco(tmp_path / "ann.json", {**VIDEO_KEYS, **IDENTITY_KEYS}), match)

    def test_data_set(self, tmp_path: Path) -> None:
        data = annotations()
        data["annotations"][0]["iscrowd"] = data["annotations"][0]["ignore"] = []
        data["annotations"][0]["segmentation"] = 5
        data["categories"].append({"id": "three", "name": "third"})  # category ids of two kinds
        (tmp_path / "ann.json").write_text(json.dumps(data))
        kind, told = guarded(
            lambda: CocoIdentityDataset(
                data_root=str(tmp_path), ann_file="ann.json", data_prefix={"img": ""}, pipeline=[], check_files=False
            )
        )
        assert kind in ("read", "refused"), told

    @pytest.mark.parametrize(
        ("change", "match"),
        [
            (lambda data: data["images"][0].update(source_id={}), "not of the expected form"),
            (lambda data: data["categories"][0].update(merged=[[1]]), "not of the expected form"),
            (lambda data: data["videos"][0].pop("name"), "has no key 'name'"),
        ],
    )
    def test_index_of_images(self, tmp_path: Path, change: Callable[[dict], None], match: str) -> None:
        data = annotations()
        change(data)
        (tmp_path / "ann.json").write_text(json.dumps(data))
        (tmp_path / "tao.json").write_text(
            '[{"track_id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 1}]'
        )
        refused(lambda: read_predictions(tmp_path / "tao.json", read_truth(tmp_path / "ann.json"), "tao"), match)

    @pytest.mark.parametrize("key", ["score", "image_id", "category_id", "bbox"])
    def test_results_with_a_number_of_400_digits(self, tmp_path: Path, key: str) -> None:
        (tmp_path / "ann.json").write_text(json.dumps(annotations()))
        entry = dict(image_id=1000, category_id=1, bbox=[1, 2, 3, 4], score=0.5, instance_id=1)
        entry[key] = [10**400] * 4 if key == "bbox" else 10**400
        (tmp_path / "found.json").write_text(json.dumps([entry]))
        refused(lambda: read_predictions(tmp_path / "found.json", read_truth(tmp_path / "ann.json"), "cocovid"), "[0]")
        refused(lambda: read_detection_file(tmp_path / "found.json", images=read_images(tmp_path / "ann.json")), "[0]")

    def test_labels_that_are_a_number(self, tmp_path: Path) -> None:
        (tmp_path / "ann.json").write_text(json.dumps(annotations()))
        (tmp_path / "bdd.json").write_text('[{"videoName": "clip-1", "name": "000000.png", "labels": 7}]')
        truth = read_truth(tmp_path / "ann.json")
        refused(
            lambda: read_predictions(tmp_path / "bdd.json", truth, "bdd100k"), "[0]: labels is 7; it must be a list"
        )

    def test_image_that_is_a_list(self, tmp_path: Path) -> None:
        (tmp_path / "ann.json").write_text(json.dumps(annotations()))
        (tmp_path / "found.json").write_text('[{"image_id": [], "category_id": 1, "bbox": [1, 2, 3, 4], "score": 1}]')
        images = read_images(tmp_path / "ann.json")
        refused(lambda: read_detection_file(tmp_path / "found.json", images=images), "image_id [] is not in the")

    def test_detection_truth(self, tmp_path: Path) -> None:
        for section, change in (("annotations", {"bbox": [1, 2, 10**400, 4]}), ("categories", {"name": []})):
            data = annotations()
            data[section][0].update(change)
            (tmp_path / "ann.json").write_text(json.dumps(data))
            refused(lambda: read_detection_truth(tmp_path / "ann.json"), f"{section}[0]")


class TestArrays:
    def test_what_is_written_is_no_bomb(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Embeddings of a stub are all the same."""
        monkeypatch.setattr("clmot_qd.arrays.SMALL", 1000)
        for name, rows in (("small", 20), ("large", 10**6)):
            write_arrays(tmp_path / f"{name}.npz", {"frames": np.ones(3), "embeds": np.zeros(rows, np.int8)})
            with ArrayFile(tmp_path / f"{name}.npz") as arrays:
                assert arrays["frames"].tolist() == [1, 1, 1]
                assert arrays["embeds"].shape == (rows,)
        write_arrays(tmp_path / "packed.npz", {"a": np.arange(10**4) * 7 % 1000})
        assert (tmp_path / "packed.npz").stat().st_size < 20_000

    def test_bomb(self, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("frames.npy", bytes(80 << 20))
        refused(lambda: ArrayFile(tmp_path / "a.npz"), "unpacks to more than 100 times its size")
        assert read_objects(tmp_path / "a.npz") is None

    @pytest.mark.parametrize(
        ("form", "shape"), [("<i8", (10**15,)), ("<i8", (2**62, 4)), ("<U0", (10**9,)), ("|V0", (10**9,))]
    )
    def test_shape_that_the_file_does_not_have(self, tmp_path: Path, form: str, shape: tuple[int, ...]) -> None:
        head = io.BytesIO()
        np.lib.format.write_array_header_1_0(head, {"descr": form, "fortran_order": False, "shape": shape})
        with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
            archive.writestr("frames.npy", head.getvalue() + bytes(80))
        refused(lambda: ArrayFile(tmp_path / "a.npz")["frames"], "a.npz: ")
        (tmp_path / "a.npy").write_bytes(head.getvalue() + bytes(80))
        refused(lambda: read_array(tmp_path / "a.npy"), "a.npy: cannot be read as .npy")

    def test_head_that_is_no_python(self, tmp_path: Path) -> None:
        np.save(tmp_path / "a.npy", np.ones(3))
        content = (tmp_path / "a.npy").read_bytes()
        (tmp_path / "a.npy").write_bytes(content.replace(b"}", b"(", 1))
        refused(lambda: read_array(tmp_path / "a.npy"), "cannot be read as .npy")


class TestMatlab:
    def test_more_cells_than_bytes(self, tmp_path: Path) -> None:
        savemat(tmp_path / "a.mat", {"pool": np.array([["a", "b"]], dtype=object)})
        content = (tmp_path / "a.mat").read_bytes()
        sides = struct.pack("<2i", 1, 2)
        (tmp_path / "a.mat").write_bytes(content.replace(sides, struct.pack("<2i", 1, 50_000_000), 1))
        refused(lambda: load_variable(tmp_path / "a.mat", "pool"), "no MATLAB file that can be read")

    def test_bomb(self, tmp_path: Path) -> None:
        savemat(tmp_path / "a.mat", {"pool": 1.0})
        content = (tmp_path / "a.mat").read_bytes()
        packed = zlib.compress(content[128:] + bytes(80 << 20))
        (tmp_path / "a.mat").write_bytes(content[:128] + struct.pack("<2I", 15, len(packed)) + packed)
        refused(lambda: load_variable(tmp_path / "a.mat", "pool"), "it unpacks to more than 100 times its size")

    @pytest.mark.parametrize("compressed", [False, True])
    def test_what_is_whole_is_read(self, tmp_path: Path, compressed: bool) -> None:
        names = np.array([["a", "ä"], ["", "x" * 99]], dtype=object)
        inner = np.array([[(np.eye(3), names)]], dtype=[("id", object), ("names", object)])
        given = {"A": {"n": 1 + 2j, "cells": names, "inner": inner, "none": np.empty((0, 0)), "small": np.int8(3)}}
        savemat(tmp_path / "a.mat", given, do_compression=compressed)
        value = load_variable(tmp_path / "a.mat", "A")[0, 0]
        assert value["n"].item() == 1 + 2j
        assert value["inner"][0, 0]["id"].tolist() == np.eye(3).tolist()
        assert value["cells"][1, 1].item() == "x" * 99


class TestPictures:
    def test_size_that_pillow_fears(self, tmp_path: Path) -> None:
        Image.new("RGB", (8, 8)).save(tmp_path / "a.bmp")
        content = bytearray((tmp_path / "a.bmp").read_bytes())
        struct.pack_into("<2i", content, 18, 60_000, 60_000)
        (tmp_path / "a.bmp").write_bytes(content)
        refused(lambda: image_size(tmp_path / "a.bmp"), "not a readable picture")

    def test_name_with_a_zero_byte(self, tmp_path: Path) -> None:
        refused(lambda: image_size(tmp_path / "a\0.jpg"), "not a readable picture")

    def test_video_whose_picture_has_four_gigabytes(self, tmp_path: Path) -> None:
        from seq_samples import write_seq

        video = write_seq(tmp_path / "a.seq", [b"\xff\xd8abc\xff\xd9"] * 2)
        content = video.read_bytes()
        video.write_bytes(content[:1024] + b"\xff\xff\xff\xff" + content[1028:])
        refused(lambda: list(read_frames(video, [0, 1])), "frame 0 is no whole JPEG picture")


class TestMasks:
    """pycocotools ended the process."""

    @pytest.mark.parametrize(
        ("segmentation", "match"),
        [
            ({"counts": [10, -20, 3072, 10], "size": [48, 64]}, "no list of runs"),
            ({"counts": [20, 3042], "size": [48, 64]}, "no list of runs"),  # not enough: comparing never ended
            ({"counts": [10, 2**40], "size": [48, 64]}, "no list of runs"),
            ({"counts": [1.5, 3], "size": [48, 64]}, "no list of runs"),
            ({"counts": "o" * 50, "size": [48, 64]}, "no list of runs"),
            ({"counts": "\u20ac", "size": [48, 64]}, "no list of runs"),
            ({"counts": "PP3", "size": [48, 64]}, "ok"),
            ([[1e9, 1, -1e9, 1, 9, 9]], "in or near the picture"),
            ([[1, 1, 9, 1, float("nan"), 9]], "in or near the picture"),
            ([[0, 0, 64, 48] * 500], "pixels of outline"),
            ([[1, 2, 3, "4", 5, 6]], "in or near the picture"),
            (7, "neither polygons nor a mask"),
        ],
    )
    def test_lvis(self, tmp_path: Path, segmentation: Any, match: str) -> None:
        self._refused(tmp_path, lambda data: data["annotations"][0].update(segmentation=segmentation), match)

    def test_box_far_outside(self, tmp_path: Path) -> None:
        change = dict(bbox=[-1e308, 5, 20, 30], segmentation=[])
        self._refused(tmp_path, lambda data: data["annotations"][0].update(change), "ok")

    @pytest.mark.parametrize("size", [0, -5, 10**9, "64", None])
    def test_picture_of_no_size(self, tmp_path: Path, size: Any) -> None:
        self._refused(tmp_path, lambda data: data["images"][0].update(height=size), "pixels")

    def _refused(self, folder: Path, change: Callable[[dict], Any], match: str) -> None:
        reader = next(reader for reader in SOURCES if reader.name == "convert-lvis-coco")
        (folder / "sample").mkdir()
        reader.build(folder / "sample")
        path = folder / "sample" / "root" / "annotations" / "lvis_v0.5_train.json"
        data = json.loads(path.read_text())
        change(data)
        path.write_text(json.dumps(data))
        if match == "ok":
            assert guarded(lambda: reader.read(folder / "sample"))[0] == "read"
        else:
            refused(lambda: reader.read(folder / "sample"), match)


class TestSettings:
    @pytest.mark.parametrize(
        "content",
        [
            '{"search": 5, "trials": []}',
            '{"search": {}, "trials": [{"settings": 1, "scores": {}, "note": ""}]}',
            DEEP,
            "[]",
        ],
        ids=["search", "settings", "deep", "list"],
    )
    def test_trials(self, tmp_path: Path, content: str) -> None:
        (tmp_path / "trials.json").write_text(content)
        refused(lambda: TrialFiles(tmp_path, {}).read(), "trials.json")

    def test_trials_that_are_a_folder(self, tmp_path: Path) -> None:
        (tmp_path / "trials.json").mkdir()
        refused(lambda: TrialFiles(tmp_path, {}).read(), "cannot be read (Is a directory)")

    @pytest.mark.parametrize("text", ["{[]: 1}", "(" * 5000, "-" * 100_000 + "1", "9" * 5000, "\0"], ids=range(5))
    def test_value_that_is_no_python(self, text: str) -> None:
        assert parse_value(text) == text


class TestLongLines:
    """One long line took hours, or ended in an error of the csv module."""

    @pytest.mark.parametrize("blank", [" ", "1", ", ", "(1,2,3,4) "], ids=["blank", "digit", "comma", "box"])
    def test_eth(self, tmp_path: Path, blank: str) -> None:
        reader = next(reader for reader in SOURCES if reader.name == "convert-eth")
        (tmp_path / "sample").mkdir()
        reader.build(tmp_path / "sample")
        path = tmp_path / "sample" / "root" / "eth01" / "annot.idl"
        path.write_text(f'"left/image_00000001_0.png": (1,2,3,{blank * 100_000}x;\n')
        refused(lambda: reader.read(tmp_path / "sample"), "annot.idl:1: no box (x1, y1, x2, y2)")

    def test_csv_without_the_end_of_a_text(self, tmp_path: Path) -> None:
        (tmp_path / "a.csv").write_text('frame,x,y,w,h\n1,2,3,4,5\n1,"2,3,4,5\n' + "1,2,3,4,5\n" * 20_000)
        refused(lambda: read_detection_file(tmp_path / "a.csv"), "a.csv: no CSV from line ")

    def test_csv_with_a_hundred_thousand_columns(self, tmp_path: Path) -> None:
        names = ",".join(f"e{number}" for number in range(100_000))
        (tmp_path / "a.csv").write_text(f"frame,x,y,w,h,{names}\n1,2,3,4,5{',1' * 99_999}\n")
        refused(lambda: read_detection_file(tmp_path / "a.csv"), "a.csv:2: 100004 columns")

    def test_names_of_thousands_of_digits(self, tmp_path: Path) -> None:
        (tmp_path / "a.csv").write_text(f"frame,x,y,w,h,class,e{DIGITS}\n1,2,3,4,5,{DIGITS},1\n1,2,3,4,5,car,1\n")
        found = read_detection_file(tmp_path / "a.csv")
        assert found.classes == (DIGITS, "car")
        assert found.class_numbers() == [1, 2]
