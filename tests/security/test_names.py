"""Names from files cannot leave the folders that they belong to, neither in what is written nor in what is read."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from coco_builder import cocovid, write_folder
from PIL import Image

from clmot_qd.apis.tuning.trial_files import _csv
from clmot_qd.datasets.converters.images import settle_size
from clmot_qd.datasets.converters.jde_text import open_jde_text
from clmot_qd.datasets.converters.report import Report
from clmot_qd.datasets.converters.source import Frame
from clmot_qd.datasets.detections.cache_files import cache_path
from clmot_qd.datasets.mot_text import empty_table, write_tracks
from clmot_qd.datasets.seqinfo import read_seqinfo
from clmot_qd.errors import InputError
from clmot_qd.evaluation import SequenceTruth, evaluate_tracks, read_cocovid, read_mot_root
from clmot_qd.evaluation.result_files import result_path
from clmot_qd.evaluation.trackeval_files import write_trackeval_files
from clmot_qd.names import PictureRoot, as_cell, check_below, path_below
from clmot_qd.visualization.report.measuring import image_root
from clmot_qd.visualization.report.tracked import pictures_of

ESCAPING = [
    "..",
    "../x",
    "../../x",
    "a/../../x",
    "/abs",
    "//abs",
    "a/b/../../../x",
    "..\\x",
    "a\\..\\..\\x",
    "\\\\host\\x",
]
ESCAPING += ["C:\\x", "c:x", "../" * 40 + "x"]
IMPOSSIBLE = ["", ".", "a/", "a//b", "./a", "a/./b", "a\0b", "\0", "x" * 300, "é" * 130, "\ud800", "a/" + "x" * 300]
FINE = [
    "a",
    "MOT17-02-FRCNN",
    "train/YFCC/v_1",
    "..a",
    "a..b",
    "...",
    " ",
    "-rf",
    "~",
    "é",
    "a\nb",
    "$(x)",
    "'\"",
    "x" * 200,
]


@pytest.mark.parametrize("name", [*ESCAPING, *IMPOSSIBLE])
def test_no_file_gets_such_a_name(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    with pytest.raises(InputError, match="no result file can be called") as told:
        write_tracks(result_path(folder, name, ".txt"), empty_table())
    assert "\n" not in str(told.value)
    assert len(str(told.value)) < len(str(folder)) + 200
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", FINE)
def test_other_names_are_files_below(name: str, tmp_path: Path) -> None:
    path = result_path(tmp_path / "a", name, ".txt")
    write_tracks(path, empty_table())
    assert (tmp_path / "a").resolve() in path.resolve().parents
    assert [found for found in tmp_path.rglob("*") if found.is_file()] == [path]


@pytest.mark.parametrize("name", [*ESCAPING, *IMPOSSIBLE, *FINE])
def test_cache_files_lie_in_their_folder(name: str, tmp_path: Path) -> None:
    try:
        path = cache_path(tmp_path, name)
    except InputError:
        assert name not in FINE
        return
    path.touch()
    assert path.parent == tmp_path
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("root", "path", "stays"),
    [
        *(("data", path, True) for path in ("data/a.jpg", "data/a/../b.jpg", "data/..a/b", "data", "data/a..jpg")),
        *(
            ("data", path, False)
            for path in ("data/../a.jpg", "../data/a.jpg", "/data/a.jpg", "database/a.jpg", "a.jpg")
        ),
        *(("data/", path, True) for path in ("data/a.jpg", "data//a.jpg", "data/./a.jpg")),
        ("data/a/..", "data/b.jpg", True),
        ("/data", "/data/../data/a.jpg", True),
        ("/data", "/data/../etc/passwd", False),
        ("/", "/etc/passwd", True),
        ("s3://bucket/a", "s3://bucket/a/b.jpg", True),
        ("s3://bucket/a", "s3://bucket/a/../b.jpg", False),
        ("", "../anything", True),
        ("", "a\0b", False),
        ("data", "data/a\0b", False),
    ],
)
def test_what_lies_below_a_root(root: str, path: str, stays: bool) -> None:
    if stays:
        check_below(root, [path], "file.json")
        return
    with pytest.raises(InputError, match=r"^file\.json: "):
        check_below(root, [path], "file.json")


# ------------------------------------------------------------------------------------------------------------ data sets
@pytest.mark.parametrize("kind", ["CocoVideoDataset", "CocoDetectionDataset", "CocoIdentityDataset"])
@pytest.mark.parametrize("check_files", [True, False])
@pytest.mark.parametrize("name", ["../../secret.png", "{root}/../secret.png", "v1/../../../secret.png", "a\0.png"])
def test_no_picture_outside_of_the_data_is_read(kind: str, check_files: bool, name: str, tmp_path: Path) -> None:
    from mmdet.registry import DATASETS

    root, content = tmp_path / "data", cocovid({1: [0, 1]})
    root.mkdir()
    arguments = write_folder(root, content)
    Image.new("RGB", (64, 48)).save(tmp_path / "secret.png")
    content["images"][1]["file_name"] = name.format(root=root)
    (root / "ann.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"ann\.json: .*(is not below|zero byte)"):
        DATASETS.build({**arguments, "type": kind, "check_files": check_files, "pipeline": []})


def test_names_that_stay_within_the_data_are_read(tmp_path: Path) -> None:
    from mmdet.registry import DATASETS

    content = cocovid({1: [0, 1, 2]})
    arguments = write_folder(tmp_path, content)
    names = [image["file_name"] for image in content["images"]]
    content["images"][1]["file_name"] = str(tmp_path / "img" / names[1])
    content["images"][2]["file_name"] = "v1/../" + names[2]
    (tmp_path / "ann.json").write_text(json.dumps(content))
    found = DATASETS.build({**arguments, "type": "CocoVideoDataset", "pipeline": []})
    assert found[0]["video_length"] == 3 if isinstance(found[0], dict) else len(found) == 1


@pytest.mark.parametrize(
    "line", ["imDir=..", "imDir=../../other", "imDir=/etc", "imExt=/../../x.jpg", "imExt=.jpg/../../x", "imExt=.a\0b"]
)
def test_seqinfo_names_no_other_folder(line: str, tmp_path: Path) -> None:
    (tmp_path / "seqinfo.ini").write_text(f"[Sequence]\n{line}\n")
    with pytest.raises(InputError, match=r"seqinfo\.ini: im(Dir|Ext)"):
        read_seqinfo(tmp_path / "seqinfo.ini")
    (tmp_path / "seqinfo.ini").write_text("[Sequence]\nimDir=img1/\nimExt=.JPG\n")
    assert read_seqinfo(tmp_path / "seqinfo.ini").image_dir == "img1/"


@pytest.mark.parametrize("kind", ["CocoVideoDataset", "CocoDetectionDataset"])
@pytest.mark.parametrize("link", ["data_root", "data_prefix"])
def test_a_root_may_be_a_link(kind: str, link: str, tmp_path: Path) -> None:
    from mmdet.registry import DATASETS

    (tmp_path / "disk").mkdir()
    content = cocovid({1: [0, 1]})
    write_folder(tmp_path / "disk", content)
    names = [image["file_name"] for image in content["images"]]
    content["images"][1]["file_name"] = str(tmp_path / "disk" / "img" / names[1])
    (tmp_path / "disk" / "ann.json").write_text(json.dumps(content))
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mot").symlink_to(tmp_path / "disk")
    place = {"data_root": f"{tmp_path}/data/mot/", "ann_file": "ann.json", "data_prefix": {"img": "img/"}}
    if link == "data_prefix":
        place = {"data_root": f"{tmp_path}/data/", "ann_file": "mot/ann.json", "data_prefix": {"img": "mot/img/"}}
    DATASETS.build({**place, "type": kind, "pipeline": []})
    content["images"][1]["file_name"] = str(tmp_path / "other" / names[1])
    (tmp_path / "disk" / "ann.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"is not below .*data_root='' and data_prefix=dict\(img=''\)\)$"):
        DATASETS.build({**place, "type": kind, "pipeline": [], "check_files": False})


def test_a_report_takes_the_pictures_that_the_data_set_takes(tmp_path: Path) -> None:
    (tmp_path / "ann.json").write_text(json.dumps(cocovid({1: [0]})))
    truth = read_cocovid(tmp_path / "ann.json")
    content = json.loads((tmp_path / "ann.json").read_text())
    content["images"][0]["file_name"] = "../other/a.jpg"
    (tmp_path / "ann.json").write_text(json.dumps(content))
    dataset = {"dataset": {"data_root": "data/", "data_prefix": {"img": "img/"}}}
    found = pictures_of(truth, image_root(dataset))
    assert found == {("clip-1", 1): Path("data/img/../other/a.jpg")}
    for root in ("data/img", PictureRoot("img/", "data/")):
        with pytest.raises(InputError, match="is not below"):
            pictures_of(truth, root)


@pytest.mark.parametrize("policy", ["check", "skip-bad", "trust"])
def test_converters_take_no_picture_outside_of_their_folder(policy: Any, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    Image.new("RGB", (6, 4)).save(tmp_path / "out.png")
    for name in ("../out.png", str(tmp_path / "out.png")):
        with pytest.raises(InputError, match=r"here: .* is not below"):
            settle_size(Frame(name, 6, 4, [], place="here"), tmp_path / "in", policy, Report())


def test_jde_lists_lead_to_no_other_label_file(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "list.train").write_text("../x/images/a.jpg\n")
    with pytest.raises(InputError, match=r"list\.train:1: .* is not below"):
        open_jde_text(tmp_path / "in", Report(), lists=[tmp_path / "list.train"])


@pytest.mark.parametrize("segment", ["../../out", "/out", "a\0b"])
def test_waymo_pictures_are_written_below_their_folder(segment: str, tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    from pyarrow import parquet

    from clmot_qd.datasets.converters.waymo_images import CAMERA, SEGMENT, TIME, read_pictures

    data = io.BytesIO()
    Image.new("RGB", (6, 4)).save(data, "JPEG")
    columns = {SEGMENT: [segment], TIME: [5], CAMERA: [1], "[CameraImageComponent].image": [data.getvalue()]}
    (tmp_path / "a").mkdir()
    parquet.write_table(arrow.table(columns), tmp_path / "a" / "x.parquet")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError, match="no picture can be called"):
        list(read_pictures(tmp_path / "a" / "x.parquet", tmp_path / "a" / "b" / "c"))
    assert sorted(tmp_path.rglob("*")) == before


# --------------------------------------------------------------------------------------------------------------- tables
def mot_root(folder: Path, name: str) -> Path:
    sequence = folder / "gt" / name
    (sequence / "gt").mkdir(parents=True)
    (sequence / "gt" / "gt.txt").write_text("1,1,10,10,20,20,1,1,1\n2,1,12,10,20,20,1,1,1\n")
    (sequence / "seqinfo.ini").write_text("[Sequence]\nseqLength=2\nimWidth=64\nimHeight=48\n")
    return folder / "gt"


def test_a_sequence_is_no_formula_in_a_table(tmp_path: Path) -> None:
    name = "=HYPERLINK(evil)"
    truth = read_mot_root(mot_root(tmp_path, name))
    scores = evaluate_tracks(truth, {name: truth.sequences[name].boxes}, ["pedestrian"], backends=("trackeval",))
    write_trackeval_files(scores, tmp_path / "out")
    rows = (tmp_path / "out" / "pedestrian_detailed.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["seq", "'=HYPERLINK(evil)", "COMBINED"]


@pytest.mark.parametrize("name", ["../../up", "/abs", "a\0b", "x" * 300])
def test_a_class_is_no_path(name: str, tmp_path: Path) -> None:
    from dataclasses import replace

    truth = read_mot_root(mot_root(tmp_path, "a"))
    renamed = replace(truth, categories={name: 1})
    assert isinstance(truth.sequences["a"], SequenceTruth)
    scores = evaluate_tracks(
        renamed, {"a": truth.sequences["a"].boxes}, [name], (), protocol="plain", backends=("trackeval",)
    )
    with pytest.raises(InputError, match="can be called"):
        write_trackeval_files(scores, tmp_path / "a" / "b" / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["gt"]


def test_cells_of_a_search_are_text() -> None:
    from clmot_qd.apis.tuning.search import Trial

    text = _csv([Trial({"=a": "=cmd", "thr": -0.5, "n": 3}, {"@IDF1": 0.5}, "+note")])
    assert text == "trial,'=a,thr,n,'@IDF1,note\n0,'=cmd,-0.5,3,0.5,'+note\n"


@pytest.mark.parametrize(("text", "cell"), [("=1", "'=1"), ("\t=1", "'\t=1"), ("a=1", "a=1"), ("", ""), ("-a", "'-a")])
def test_what_a_spreadsheet_would_run(text: str, cell: str) -> None:
    assert as_cell(text) == cell


def test_the_folder_is_not_asked_for(tmp_path: Path) -> None:
    """Names are judged by what they say: nothing is looked up, and nothing made."""
    made: Callable[[], Path] = lambda: path_below(tmp_path / "gone", "a/b", ".x")  # noqa: E731
    assert made() == tmp_path / "gone" / "a" / "b.x"
    assert np.all([not path.exists() for path in (tmp_path / "gone", made())])
