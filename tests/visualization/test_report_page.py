"""The page from result files: its numbers are those of the evaluation, names are escaped, nothing is outside of it."""

from __future__ import annotations

import base64
import importlib.util
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from locations import REPOSITORY
from report_scene import EVIL, SWITCH, Page, write_scene

from clmot_qd.errors import InputError
from clmot_qd.evaluation import evaluate_tracks
from clmot_qd.evaluation.formats import read_predictions
from clmot_qd.evaluation.result_files import read_truth
from clmot_qd.visualization.report.collecting import Request, make_report
from clmot_qd.visualization.report.page import Limits
from clmot_qd.visualization.report.tables import METRICS, comparison_tables, show
from clmot_qd.visualization.report.thumbnails import SIDE, choose_switches


def report(folder: Path, scenes: list[Path], **options: Any) -> Page:
    """The page about the result files of these scenes, judged by the truth of the first."""
    options = {"images": str(scenes[0] / "img"), **options}
    request = Request(
        gt=str(scenes[0] / "truth.json"),
        pred=[str(scene / "tracks.json") for scene in scenes],
        protocol="plain",
        out=str(folder / "page.html"),
        **options,
    )
    assert make_report(request, said.append) == folder / "page.html"
    return Page(folder / "page.html")


said: list[str] = []


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Page:
    folder = tmp_path_factory.mktemp("page")
    return report(folder, [write_scene(folder / "scene")])


def test_numbers_are_those_of_the_evaluation(page: Page, tmp_path: Path) -> None:
    scene = write_scene(tmp_path / "scene")
    truth = read_truth(scene / "truth.json")
    tracks = read_predictions(scene / "tracks.json", truth)
    row = evaluate_tracks(truth, tracks, protocol="plain", backends=("trackeval",)).overall("trackeval")
    heads, street, overall = page.tables["Class walker"]
    assert heads == ["sequence", *(column.name + {1: "↑", -1: "↓", 0: ""}[column.better] for column in METRICS)]
    assert street == ["street", *(show(row[column.name]) for column in METRICS)]
    assert overall == ["all sequences", *street[1:]]
    assert (row["IDSW"], row["FN"], row["FP"], row["GT_Dets"]) == (1, 1, 1, 19)
    assert page.said("dd")[:6] == street[1:7]


def test_the_switch_is_told_with_frames_and_ids(page: Page) -> None:
    assert page.tables["Identity switches"][1] == ["street", "walker", "7", "6", "31", "55", "2"]
    assert "switch: object 7, frame 6, track 31 to 55" in page.said("title")
    assert any(text.startswith("1 in all.") for text in page.said("p"))
    assert [image["alt"] for image in page.images] == ["before: frame 4, track 31", "after: frame 6, track 55"]


def test_thumbnails_show_the_object(page: Page) -> None:
    for image in page.images:
        data = base64.b64decode(image["src"].removeprefix("data:image/jpeg;base64,"))
        crop = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        assert crop.shape == (SIDE, SIDE, 3)
        blue, green, red = crop[SIDE // 2, SIDE // 2].tolist()
        assert red > 200 > 80 > max(blue, green)  # the object is red and in the middle
        edge = round(SIDE / 2 + SIDE * 20 / (2 * 1.7 * 40))  # its right edge: 20 wide in a square of 1.7 * 40
        assert crop[SIDE // 2, edge + 5].tolist() == pytest.approx([90, 90, 90], abs=25)
        assert crop[SIDE // 2, edge - 8, 2] > 200


def test_nothing_is_outside_of_the_page(page: Page) -> None:
    addresses = [v for _, values in page.attributes for k, v in values.items() if k in ("src", "href", "xlink:href")]
    assert addresses
    assert all(address.startswith(("data:", "#")) for address in addresses)
    policy = next(values["content"] for tag, values in page.attributes if values.get("http-equiv"))
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert not re.search(r"url\((?!#)", page.source)
    assert len({v["id"] for _, v in page.attributes if "id" in v}) == sum("id" in v for _, v in page.attributes)
    anchors = {v["href"][1:] for tag, v in page.attributes if tag == "a"}
    assert anchors <= {v["id"] for _, v in page.attributes if "id" in v}


def test_names_are_escaped(tmp_path: Path) -> None:
    scene = write_scene(tmp_path / "scene", sequence=f"a{EVIL}$x_1$", class_name=EVIL)
    found = report(tmp_path, [scene], names=[f"{EVIL}'\""], title=f"</title>{EVIL}")
    assert EVIL not in found.source
    assert len(re.findall("<script", found.source)) == 1
    assert found.tables[f"Class {EVIL}"][1][0] == f"a{EVIL}$x_1$"


def test_runs_side_by_side(tmp_path: Path) -> None:
    first, second = write_scene(tmp_path / "a"), write_scene(tmp_path / "b")
    path = second / "tracks.json"
    path.write_text(path.read_text().replace('"instance_id": 55', '"instance_id": 31'))  # without the switch
    found = report(tmp_path, [first, second], names=["base", "_better$"])
    heads, base, better = found.tables["All sequences"]
    place = heads.index("IDSW↓")
    assert base[place].strip() == "1"
    assert better[place].split() == ["0", "-1"]
    assert [text for text in found.said("strong") if text == "0"] == ["0"] * 3  # in all, per sequence, in its total
    assert found.tables["IDSW per sequence, class walker"][1][1:] == ["1 \N{NO-BREAK SPACE}", "0 -1"]
    assert found.tables["IDSW per sequence, class walker"][0] == ["sequence", "base↓", "_better$↓"]
    assert ("span", {"class": "change good"}) in found.attributes
    assert "There are none." in found.said("p")


def test_runs_of_one_name_are_numbered(tmp_path: Path) -> None:
    scene = write_scene(tmp_path / "scene")
    found = report(tmp_path, [scene, scene], max_switches=0)
    assert found.said("h2") == ["Comparison", "1. tracks.json", "2. tracks.json"]


def test_differences_have_a_sign_and_a_tone(tmp_path: Path) -> None:
    scene = write_scene(tmp_path / "scene")
    truth = read_truth(scene / "truth.json")
    tracks = read_predictions(scene / "tracks.json", truth)
    fewer = {name: table.select(table.ids != 2) for name, table in tracks.items()}
    scores = [evaluate_tracks(truth, found, protocol="plain", backends=("trackeval",)) for found in (tracks, fewer)]
    table = comparison_tables({"all": scores[0], "fewer": scores[1]}, 12)[0]
    cells = dict(zip((column.name for column in table.columns), table.rows[1].cells))
    change = scores[1].overall("trackeval")["HOTA"] - scores[0].overall("trackeval")["HOTA"]
    assert (cells["HOTA"].change, cells["HOTA"].tone, cells["HOTA"].best) == (f"{change:+.2f}", "bad", False)
    assert (cells["FN"].change, cells["FN"].tone) == ("+9", "bad")
    assert (cells["FP"].change, cells["FP"].tone, cells["FP"].best) == ("+0", "", False)  # equal: none is the best
    assert table.rows[0].cells[0].best


def test_runs_on_other_data_are_not_compared(tmp_path: Path) -> None:
    from clmot_qd.visualization.report.page import ReportRun, write_report
    from clmot_qd.visualization.report.result_folders import read_tracked

    scenes = [write_scene(tmp_path / "a"), write_scene(tmp_path / "b", pictures=False)]
    truth = scenes[1] / "truth.json"
    truth.write_text(truth.read_text().replace("[120.0, 15", "[121.0, 15"))
    runs = [
        ReportRun(scene.name, tracked=read_tracked(scene / "truth.json", scene / "tracks.json", protocol="plain"))
        for scene in scenes
    ]
    found = Page(write_report([*runs, ReportRun("c")], tmp_path / "page.html"))
    assert "All sequences" not in found.tables
    told = found.said("li")
    assert "b was scored on other data than the first run, so it has no row." in told
    assert "c has no tracks, so it has no row." in told


def test_without_pictures_there_is_everything_else(tmp_path: Path) -> None:
    scene = write_scene(tmp_path / "scene", pictures=False)
    found = report(tmp_path, [scene])
    assert [text for text in found.said("li") if "2 frames are not shown" in text and "003.png" in text]
    assert found.said("div").count("no picture") == 2
    assert found.tables["Identity switches"][1][0] == "street"
    without = report(tmp_path, [scene], images=None)
    assert [text for text in without.said("li") if "(--images)" in text]
    assert not without.images


def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    found = report(tmp_path, [write_scene(tmp_path / "scene")], max_switches=0, max_timelines=0)
    assert "1 in all." in found.said("p")
    assert "1 timelines with fewer switches are left out." in found.said("p")
    assert not found.images


def test_switches_are_chosen_evenly() -> None:
    assert choose_switches(range(10), 4) == [0, 3, 6, 9]  # type: ignore[arg-type, comparison-overlap]
    assert choose_switches(range(3), 4) == [0, 1, 2]  # type: ignore[arg-type, comparison-overlap]
    assert choose_switches(range(5), 1) == [0]  # type: ignore[arg-type, comparison-overlap]
    assert Limits().switches == Request().max_switches


def test_only_the_first_frames(tmp_path: Path) -> None:
    found = report(tmp_path, [write_scene(tmp_path / "scene")], max_frames=5)
    row = dict(zip(found.tables["Class walker"][0], found.tables["Class walker"][1]))
    assert (row["IDSW↓"], row["FN↓"], row["FP↓"], row["GT_Dets"]) == ("0", "1", "0", "9")


def test_the_command_on_folders_of_sequences(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "gt" / "clip" / "gt").mkdir(parents=True)
    (tmp_path / "gt" / "clip" / "gt" / "gt.txt").write_text("1,1,5,5,20,40,1,1,1\n2,1,6,5,20,40,1,1,1\n")
    (tmp_path / "gt" / "clip" / "img1").mkdir()
    for number in (1, 2):
        cv2.imwrite(str(tmp_path / "gt" / "clip" / "img1" / f"{number:06d}.jpg"), np.zeros((60, 60, 3), np.uint8))
    (tmp_path / "res").mkdir()
    (tmp_path / "res" / "clip.txt").write_text("1,4,5,5,20,40,1,-1,-1,-1\n2,9,6,5,20,40,1,-1,-1,-1\n")
    monkeypatch.chdir(tmp_path)
    assert tool().main(["--gt", "gt", "--pred", "res"]) == 0
    assert capsys.readouterr().out.startswith("wrote report.html (")
    found = Page(tmp_path / "report.html")
    assert found.tables["Identity switches"][1] == ["clip", "pedestrian", "1", "2", "4", "9", "1"]
    assert len(found.images) == 2


def tool() -> Any:
    spec = importlib.util.spec_from_file_location("tool_report", REPOSITORY / "tools" / "report.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ([], "nothing to report on: give a RUN_DIR"),
        (["--pred", "a"], "--pred: without a RUN_DIR the ground truth must be named"),
        (["--gt", "a"], "nothing to report on"),
        (["run", "--gt", "a"], "--gt: belongs to result files"),
        (["run", "--images", "a"], "--images: belongs to result files"),
        (["nowhere"], "nowhere: no such folder; give the work_dir"),
        (["run", "--config", "a", "b"], "--config: 2 given for 1 runs"),
        (["run", "--max-frames", "0"], "--max-frames: 0; give 1 or more"),
        (["run", "--max-switches", "-1"], "--max-switches: -1; give 0 or more"),
        (["run", "--out", "page.pdf"], "page.pdf: the page is written as .html"),
        (["run"], "run: no run: no configuration"),
        (["--gt", "nowhere.json", "--pred", "a"], "nowhere.json: cannot be read"),
    ],
)
def test_mistakes(command: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as caught:
        tool().main(command)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.glob("**/*.html"))


@pytest.mark.parametrize(("module", "name"), [("jinja2", "jinja2"), ("sklearn", "scikit-learn")])
def test_a_missing_package_is_named(module: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, module, None)
    scene = write_scene(tmp_path / "scene")
    with pytest.raises(InputError, match=rf"{name} is not installed; run: pip install clmot_qd\[report\]"):
        report(tmp_path, [scene])
    assert not list(tmp_path.glob("*.html"))


def test_the_known_switch_is_the_scenes() -> None:
    assert SWITCH["frame"] - SWITCH["last"] == 2
