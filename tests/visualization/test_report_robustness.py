"""What a page must survive: strange names and boxes, damaged logs, runs that cannot be scored, wrong options."""

from __future__ import annotations

import base64
import json
import os
import re
import warnings
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from report_scene import Page, write_scene

from clmot_qd.apis.embedding_quality import embedding_quality
from clmot_qd.apis.embedding_quality_report import TRAINED, TrueObjects
from clmot_qd.errors import InputError
from clmot_qd.visualization.report import ReportRun, write_report
from clmot_qd.visualization.report.collecting import Request, make_report
from clmot_qd.visualization.report.figures import training_curves
from clmot_qd.visualization.report.history import Curve, History, read_history
from clmot_qd.visualization.report.kept import read_objects, read_qualities, write_objects, write_qualities
from clmot_qd.visualization.report.projection import project
from clmot_qd.visualization.report.result_folders import read_tracked
from clmot_qd.visualization.report.thumbnails import SIDE, picture_switches
from clmot_qd.visualization.report.tracked import Embedded

ODD = "a\x00b\x1b[31m\x85\udcff\ufffe漢字$_1$"
SHOWN = "a�b�[31m���漢字$_1$"


def log(run: Path, text: str) -> Path:
    path = run / "20260101_000000" / "vis_data" / "scalars.json"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return path


LINE = json.dumps(dict(loss=2.0, lr=0.1, iter=10)) + "\n"


def page_of(out: Path, runs: list[Path], **options: Any) -> Page:
    return Page(make_report(Request(runs=list(map(str, runs)), out=str(out), **options), lambda line: None))


def test_names_that_cannot_be_written(tmp_path: Path) -> None:
    scene = write_scene(tmp_path / "scene", sequence=ODD, class_name=ODD)
    curve = Curve([1, 2], [2.0, 1.0])
    run = ReportRun(
        ODD,
        [(ODD, ODD)],
        [ODD],
        History({f"loss_{ODD}": curve}, {}),
        read_tracked(scene / "truth.json", scene / "tracks.json", protocol="plain"),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # matplotlib's, about letters that its font lacks
        found = Page(write_report([run, run], tmp_path / "page.html", ODD))
    assert found.tables[f"Class {SHOWN}"][1][0] == SHOWN
    assert found.said("h1") == [SHOWN]
    drawings = [image["src"] for image in found.images if image["src"].startswith("data:image/svg")]
    assert len(drawings) == 2
    for drawing in drawings:
        texts = ElementTree.fromstring(base64.b64decode(drawing.partition(",")[2])).itertext()
        assert f"loss_{SHOWN}" in " ".join(texts)


def test_a_folder_whose_name_is_no_utf8(tmp_path: Path, capfd: pytest.CaptureFixture) -> None:
    from test_report_page import tool

    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/run\xff"))
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("this file system has no such names")
    log(folder, LINE)
    assert tool().main([str(folder)]) == 0
    assert Page(folder / "report.html").said("h2") == ["run�"]
    assert "run?/report.html" in capfd.readouterr().out


@pytest.mark.parametrize("text", ["", "\0" * 40, "\n\n", '{"grad_norm": 3.0, "iter": 1}\n'])
def test_a_log_without_curves_is_nothing_to_show(tmp_path: Path, text: str) -> None:
    log(tmp_path / "run", text)
    with pytest.raises(InputError, match=r"run: nothing to show\. No training curves: \*/vis_data/scalars.json has no"):
        page_of(tmp_path / "p.html", [tmp_path / "run"])
    assert not (tmp_path / "p.html").exists()
    log(tmp_path / "other", LINE)
    found = page_of(tmp_path / "p.html", [tmp_path / "run", tmp_path / "other"])
    assert any(line.startswith("No training curves: ") for line in found.said("li"))
    assert len(found.images) == 1


@pytest.mark.parametrize("step", ["1e999", "-1e999", "NaN", "1" + "0" * 400])
def test_an_iteration_that_is_no_number_is_named(tmp_path: Path, step: str) -> None:
    path = log(tmp_path / "run", LINE + f'{{"loss": 1.0, "iter": {step}}}\n' + LINE)
    with pytest.raises(InputError, match=r"scalars.json, line 2: iter is not finite; remove the line"):
        read_history([path])


def test_values_that_are_not_finite_are_drawn_around(tmp_path: Path) -> None:
    path = log(tmp_path / "run", LINE + f'{{"loss": 1e999, "lr": NaN, "big": 1{"0" * 400}, "iter": 11}}\n')
    assert training_curves(read_history([path])) is not None


@pytest.mark.parametrize("pixels", [(1, 1), (3, 2), (100, 160)])
def test_boxes_far_larger_than_the_picture(tmp_path: Path, pixels: tuple[int, int]) -> None:
    import cv2

    scene = write_scene(tmp_path / "scene")
    for name in ("truth.json", "tracks.json"):
        text = (scene / name).read_text()
        content = json.loads(text)
        for box in content["annotations"] if isinstance(content, dict) else content:
            if box["instance_id"] in (7, 31, 55):
                box["bbox"] = [-500000, -500000, 1000000, 1000000]
        (scene / name).write_text(json.dumps(content))
    for path in (scene / "img").iterdir():
        cv2.imwrite(str(path), np.zeros((*pixels, 3), np.uint8))
    tracked = read_tracked(scene / "truth.json", scene / "tracks.json", scene / "img", protocol="plain")
    (made,), missing = picture_switches(tracked.timelines[0].switches, tracked.pictures)
    assert missing == []
    data = base64.b64decode(made.before.uri.partition(",")[2])
    assert cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).shape == (SIDE, SIDE, 3)


def test_a_configuration_that_cannot_be_loaded_is_noted(tmp_path: Path) -> None:
    for name, text in (("good", ""), ("bad", "model = dict(\n")):
        log(tmp_path / name, LINE)
        if text:
            (tmp_path / name / "config.py").write_text(text)
    bad = tmp_path / "bad"
    for options in (dict(no_tracks=True), {}):
        found = page_of(tmp_path / "p.html", [tmp_path / "good", bad], **options)
        assert sum("cannot be read as a configuration" in line for line in found.said("li")) == 1
        assert len(found.images) == 3
    with pytest.raises(InputError, match="cannot be read as a configuration"):
        page_of(tmp_path / "p.html", [bad], config=[str(bad / "config.py")])
    scene = write_scene(tmp_path / "scene", pictures=False)
    files = dict(pred=[str(scene / "tracks.json")], gt=str(scene / "truth.json"), protocol="plain")
    assert "Class walker" in page_of(tmp_path / "p.html", [bad], **files).tables


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(no_tracks=True, pred=["a"]), "--no-tracks and --pred contradict each other"),
        (dict(no_tracks=True, checkpoint=["a"]), "--no-tracks and --checkpoint contradict each other"),
        (dict(no_tracks=True, cache=["a"]), "--no-tracks and --cache contradict each other"),
        (dict(pred=["a"], cache=["a"]), "--pred and --cache contradict each other"),
    ],
)
def test_options_that_contradict_each_other(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    log(tmp_path / "run", LINE)
    with pytest.raises(InputError, match=re.escape(message)):
        page_of(tmp_path / "p.html", [tmp_path / "run"], **options)


def embedded(labels: int) -> Embedded:
    """12 boxes of each of 4 identities in two videos."""
    rng = np.random.default_rng(0)
    ids = np.repeat(np.arange(4), 12)
    objects = TrueObjects(
        {TRAINED: rng.normal(size=(48, 5)).astype(np.float32)},
        ids,
        np.tile(np.arange(12), 4),
        ids // 2,
        ids % labels,
        ["walker", "dog"],
    )
    return Embedded(objects, ["v0", "v1"])


def test_the_map_names_classes_where_there_are_several() -> None:
    one, several = project(embedded(1)), project(embedded(2))
    assert one is not None
    assert several is not None
    assert list(one.names) == ["v0: 0", "v0: 1", "v1: 2", "v1: 3"]
    assert list(several.names) == ["v0: walker 0", "v0: dog 1", "v1: walker 2", "v1: dog 3"]


def test_what_is_kept_of_embeddings(tmp_path: Path) -> None:
    known = embedded(2)
    write_objects(tmp_path / "o.npz", known)
    write_qualities(tmp_path / "q.npz", known.qualities)
    objects, qualities = read_objects(tmp_path / "o.npz"), read_qualities(tmp_path / "q.npz")
    assert objects is not None
    assert qualities is not None
    np.testing.assert_array_equal(objects.objects.embeds[TRAINED], known.objects.embeds[TRAINED])
    assert list(qualities) == ["walker", "dog", "all classes"]
    for name, quality in known.qualities.items():
        for field in ("objects", "identities", "tpr_at_far", "thresholds", "nearest"):
            np.testing.assert_equal(getattr(qualities[name], field), getattr(quality, field))  # NaN is NaN
        np.testing.assert_array_equal(qualities[name].same, quality.same)
        np.testing.assert_array_equal(qualities[name].different, quality.different)
    rows = known.objects.labels == 1
    dogs = [column[rows] for column in (known.objects.ids, known.objects.frames, known.objects.videos)]
    assert qualities["dog"].nearest == embedding_quality(known.objects.embeds[TRAINED][rows], *dogs).nearest
    for cut in (0, 100, (tmp_path / "q.npz").stat().st_size - 30):
        (tmp_path / "cut.npz").write_bytes((tmp_path / "q.npz").read_bytes()[:cut])
        assert read_qualities(tmp_path / "cut.npz") is None
    assert read_qualities(tmp_path / "none.npz") is None
    assert Embedded(known.objects, known.videos, {"x": qualities["dog"]}).qualities == {"x": qualities["dog"]}
