"""The demo data set: its files, how they are written, and whether the labels are true."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from clmot_qd.datasets import demo_scenes
from clmot_qd.datasets.demo.scene import NOBODY, DemoFrame, composite
from clmot_qd.datasets.demo.sprites import Brush
from clmot_qd.datasets.demo.street import Ground
from clmot_qd.datasets.demo_scenes import DemoSettings, build_scene, make_demo_data
from clmot_qd.errors import InputError
from clmot_qd.trackers.similarity import pairwise_iou

SMALL = DemoSettings(
    train_sequences=2, train_frames=3, test_sequences=2, test_frames=5, figures=6, width=160, height=96
)


def quiet(_: str) -> None:
    """Swallow a progress line."""


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_demo_data(tmp_path_factory.mktemp("demo") / "data", SMALL, quiet)


@pytest.fixture(scope="module")
def walked() -> list[DemoFrame]:
    """Forty frames of a test sequence as they are shipped."""
    return list(build_scene(DemoSettings(test_frames=40), "test", 0))


def load(folder: Path, name: str) -> dict:
    return json.loads((folder / "annotations" / f"{name}.json").read_text())


# ---- the files ---------------------------------------------------------------------------------------------------


def test_equal_seeds_give_equal_bytes_and_another_seed_gives_other_pictures(small: Path, tmp_path: Path) -> None:
    first = contents(small)
    assert contents(make_demo_data(tmp_path / "again", SMALL, quiet)) == first
    other = contents(make_demo_data(tmp_path / "other", replace(SMALL, seed=1), quiet))
    assert other.keys() == first.keys()
    assert all(other[name] != data for name, data in first.items() if name.endswith(".jpg"))


def test_layout(small: Path) -> None:
    names = set(contents(small))
    assert {"demo_data.json", "annotations/train.json", "annotations/train_with_ids.json"} < names
    assert "train/DEMO-train-02/img1/000003.jpg" in names
    assert "test/DEMO-test-02/gt/gt.txt" in names
    assert not any(name.startswith("train/") and name.endswith("gt.txt") for name in names)
    seqinfo = (small / "test/DEMO-test-01/seqinfo.ini").read_text()
    assert "seqLength=5" in seqinfo
    assert "imWidth=160" in seqinfo


@pytest.mark.parametrize(("name", "split", "length"), [("train", "train", 3), ("test", "test", 5)])
def test_json_refers_to_pictures_that_exist(small: Path, name: str, split: str, length: int) -> None:
    document = load(small, name)
    assert [video["length"] for video in document["videos"]] == [length, length]
    for image in document["images"]:
        picture = cv2.imread(str(small / split / image["file_name"]))
        assert picture.shape == (image["height"], image["width"], 3)
        assert image["mot_frame_id"] == image["frame_id"] + 1
    frames = [image["frame_id"] for image in document["images"] if image["video_id"] == 2]
    assert frames == list(range(length))


def test_training_labels_carry_no_identity(small: Path) -> None:
    plain, with_ids = load(small, "train"), load(small, "train_with_ids")
    assert plain["annotations"]
    assert not any("instance_id" in entry for entry in plain["annotations"])
    ids = [entry.pop("instance_id") for entry in with_ids["annotations"]]
    assert with_ids == plain
    assert set(ids) <= set(range(1, 13))
    assert len(set(ids)) > 6


@pytest.mark.parametrize("name", ["train_with_ids", "test"])
def test_annotations_are_consistent(small: Path, name: str) -> None:
    document = load(small, name)
    ids = [entry["id"] for entry in document["annotations"]]
    assert ids == list(range(1, len(ids) + 1))
    video_of = {image["id"]: image["video_id"] for image in document["images"]}
    seen: dict[int, set[int]] = {}
    for entry in document["annotations"]:
        x, y, w, h = entry["bbox"]
        assert min(x, y) >= 0
        assert min(w, h) > 0
        assert x + w <= 160 + 1e-6
        assert y + h <= 96 + 1e-6
        assert entry["area"] == pytest.approx(w * h, abs=1e-3)
        assert entry["video_id"] == video_of[entry["image_id"]]
        assert entry["visibility"] >= demo_scenes.DROP_BELOW - 1e-3
        assert entry["ignore"] == (entry["mot_conf"] == 0) == (entry["category_id"] == 8)
        assert abs(entry["visibility"] - 0.25) < 1e-3 or entry["ignore"] == (entry["visibility"] < 0.25)
        seen.setdefault(entry["image_id"], set()).add(entry["instance_id"])
    assert sum(map(len, seen.values())) == len(ids), "an identity occurs twice in a picture"
    in_video = [{e["instance_id"] for e in document["annotations"] if e["video_id"] == video} for video in (1, 2)]
    assert not in_video[0] & in_video[1]


def test_mot_file_holds_what_the_json_holds(small: Path) -> None:
    document = load(small, "test")
    number = {image["id"]: image["mot_frame_id"] for image in document["images"]}
    expected = [
        [number[e["image_id"]], e["instance_id"], *e["bbox"], e["mot_conf"], e["mot_class_id"], e["visibility"]]
        for e in document["annotations"]
        if e["video_id"] == 2
    ]
    found = np.loadtxt(small / "test/DEMO-test-02/gt/gt.txt", delimiter=",")
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_train_and_test_show_different_figures_and_streets() -> None:
    train = [look for index in range(3) for look in build_scene(SMALL, "train", index).looks]
    test = [look for index in range(3) for look in build_scene(SMALL, "test", index).looks]
    assert len({*train, *test}) == len(train) + len(test)


def test_pictures_are_mostly_the_rendered_frames(small: Path) -> None:
    rendered = build_scene(SMALL, "test", 1).render(4).image
    assert cv2.PSNR(cv2.imread(str(small / "test/DEMO-test-02/img1/000005.jpg")), rendered) > 28


# ---- writing it --------------------------------------------------------------------------------------------------


def test_equal_settings_are_reused_and_other_settings_replace(tmp_path: Path) -> None:
    tiny = replace(SMALL, train_sequences=1, test_sequences=1, train_frames=1, test_frames=1)
    folder, lines = tmp_path / "data", []
    make_demo_data(folder, tiny, quiet)
    stamp = (folder / "demo_data.json").stat().st_mtime_ns
    make_demo_data(folder, tiny, lines.append)
    assert "already" in lines[0]
    assert (folder / "demo_data.json").stat().st_mtime_ns == stamp
    make_demo_data(folder, replace(tiny, test_frames=2), quiet)
    assert (folder / "test/DEMO-test-01/img1/000002.jpg").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_a_failure_leaves_the_old_data_and_no_debris(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "data"
    tiny = replace(SMALL, train_sequences=1, test_sequences=1, train_frames=1, test_frames=1)
    make_demo_data(folder, tiny, quiet)
    before = contents(folder)

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(demo_scenes, "write_mot_truth", fail)
    with pytest.raises(OSError, match="disk full"):
        make_demo_data(folder, replace(tiny, seed=5), quiet)
    assert contents(folder) == before
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_foreign_files_are_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match="not demo data"):
        make_demo_data(tmp_path, SMALL, quiet)
    with pytest.raises(InputError, match="is a file"):
        make_demo_data(tmp_path / "thesis.tex", SMALL, quiet)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_settings_out_of_range_are_named() -> None:
    with pytest.raises(InputError, match="figures = 1"):
        DemoSettings(figures=1)
    with pytest.raises(InputError, match=r"speed = 0\.0"):
        DemoSettings(speed=0.0)
    with pytest.raises(InputError, match="train_frames = 0"):
        DemoSettings(train_frames=0)


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = Path(__file__).resolve().parents[2] / "tools" / "make_demo_data.py"
    spec = importlib.util.spec_from_file_location("make_demo_data_tool", path)
    assert spec is not None
    assert spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    numbers = {"seed": 3, "train-sequences": 1, "train-frames": 1, "test-sequences": 1, "test-frames": 1}
    arguments = [f"--{name}={value}" for name, value in {**numbers, "cars": 2, "width": 160, "height": 96}.items()]
    assert tool.main(["--out", str(tmp_path / "data"), *arguments]) == 0
    stamp = json.loads((tmp_path / "data/demo_data.json").read_text())
    assert (stamp["seed"], stamp["cars"]) == (3, 2)
    assert "1 training and 1 test pictures" in capsys.readouterr().out


# ---- the truth ---------------------------------------------------------------------------------------------------


def square(size: float) -> Callable[[float, float], object]:
    brush = Brush(width=2.0, height=2.0, unit_px=40, origin=(1.0, 1.5))
    brush.polygon([(-size / 2, -size), (size / 2, -size), (size / 2, 0), (-size / 2, 0)], (50, 100, 150))
    sprite = brush.sprite(anchor=(0.0, 0.0))
    return lambda x, y: sprite.place(x, y, unit=20)


def test_visibility_of_an_occluded_sprite_is_the_uncovered_share_of_its_mask() -> None:
    behind, front, small = square(1.0)(30, 40), square(1.0)(40, 40), square(0.5)(30, 40)
    owner, visibility = composite(np.zeros((60, 80, 3), np.float32), [behind, front], [0, 1])
    assert visibility == pytest.approx([0.5, 1.0], abs=0.06)
    assert visibility[0] == (owner == 0).sum() / behind.mask.sum()
    # far to near decides, not the key
    owner, visibility = composite(np.zeros((60, 80, 3), np.float32), [small, behind], [1, 0])
    assert visibility.tolist() == [1.0, 0.0]
    assert set(np.unique(owner)) == {NOBODY, 0}


def test_what_lies_outside_the_picture_is_not_visible() -> None:
    layers = [square(1.0)(0, 40), square(1.0)(200, 40)]
    picture = np.zeros((60, 80, 3), np.float32)
    _, visibility = composite(picture, layers, [0, 1])
    assert visibility == pytest.approx([0.5, 0.0], abs=0.06)
    assert picture.any()


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_sprite_lands_on_its_box_at_any_size(mirrored: bool) -> None:
    brush = Brush(width=2.0, height=2.0, unit_px=40, origin=(1.0, 1.5))
    brush.polygon([(-0.2, -1), (0.6, -1), (0.6, 0), (-0.2, 0)], (50, 100, 150))
    for unit, x, y in ((40, 50.0, 60.0), (17.3, 30.4, 41.7), (9.1, 20.9, 30.2)):
        layer = brush.sprite(anchor=(0.0, 0.0)).place(x, y, unit, mirrored)
        reach = (-0.6, 0.2) if mirrored else (-0.2, 0.6)
        expected = [x + unit * reach[0], y - unit, x + unit * reach[1], y]
        np.testing.assert_allclose(layer.box, expected, atol=0.06 * unit)
        rows, columns = np.nonzero(layer.mask)
        tight = [layer.left + columns.min(), layer.top + rows.min()]
        tight += [layer.left + columns.max() + 1, layer.top + rows.max() + 1]
        np.testing.assert_allclose(tight, layer.box, atol=1.0)


def test_masks_fill_their_boxes(walked: list[DemoFrame]) -> None:
    for frame in walked[::5]:
        rows, columns = np.mgrid[: frame.owner.shape[0], : frame.owner.shape[1]] + 0.5
        for mask, (x0, y0, x1, y1), seen in zip(frame.masks, frame.boxes, frame.visibility):
            inside = (columns > x0 - 1) & (columns < x1 + 1) & (rows > y0 - 1) & (rows < y1 + 1)
            assert not (mask & ~inside).any()
            assert mask.any() == (seen > 0)
            if seen == 1.0:
                across, down = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
                tight = [across[0], down[0], across[-1] + 1, down[-1] + 1]
                np.testing.assert_allclose(tight, [x0, y0, x1, y1], atol=1.3)
        assert frame.owner.max() < len(frame.boxes), "an obstacle is nobody's mask"


def test_masks_follow_the_render_order(walked: list[DemoFrame]) -> None:
    """Where two bodies overlap, the one whose feet are lower in the picture is seen."""
    wins = []
    for frame in walked:
        feet = frame.bodies[:, 3]
        for near in np.flatnonzero(frame.visibility > 0.999):
            overlap = pairwise_iou(frame.bodies[near : near + 1], frame.bodies)[0] > 0.3
            wins += [feet[near] > feet[other] - 3 for other in np.flatnonzero(overlap) if other != near]
    assert len(wins) > 20
    assert all(wins)


def test_everybody_grows_towards_the_camera(walked: list[DemoFrame]) -> None:
    ground = Ground(192)
    for frame in walked[::10]:
        ratio = (frame.bodies[:, 3] - frame.bodies[:, 1]) / ground.body(frame.bodies[:, 3])
        assert ((ratio > 0.85) & (ratio < 1.2)).all()
    heights = np.concatenate([frame.bodies[:, 3] - frame.bodies[:, 1] for frame in walked])
    assert 30 < np.percentile(heights, 1) < 45
    assert 75 < np.percentile(heights, 99) < 100


def test_frames_are_rendered_independently_of_each_other() -> None:
    scene = build_scene(SMALL, "test", 0)
    in_order = [frame.image for frame in scene]
    assert len(in_order) == len(scene) == 5
    np.testing.assert_array_equal(scene.render(3).image, in_order[3])
    assert not np.array_equal(in_order[3], in_order[4])
