"""The second class of the demo data: what is written, how cars look and drive, and that people do not notice them."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from clmot_qd.datasets.demo.car import draw_car
from clmot_qd.datasets.demo.car_looks import BODIES, LIVERIES, CarLook, sample_car_pairs
from clmot_qd.datasets.demo.looks import luma, sample_pairs
from clmot_qd.datasets.demo.scene import NOBODY, DemoFrame, DemoScene
from clmot_qd.datasets.demo.street import Ground
from clmot_qd.datasets.demo.traffic import BESIDE, PACE, SIDEWAYS, drive
from clmot_qd.datasets.demo_scenes import VERSION, DemoSettings, build_scene, make_demo_data
from clmot_qd.datasets.mot_text import MOT_CLASSES, MotTable
from clmot_qd.datasets.video_dataset import CocoVideoDataset
from clmot_qd.errors import InputError
from clmot_qd.evaluation.evaluate import evaluate_tracks
from clmot_qd.evaluation.ground_truth import GroundTruth, read_cocovid
from clmot_qd.trackers.similarity import pairwise_iou

FIGURES, CARS = 6, 4
CLASSES = ("pedestrian", "car")
SMALL = DemoSettings(
    train_sequences=2, train_frames=3, test_sequences=2, test_frames=8, figures=FIGURES, cars=CARS, width=160, height=96
)


def quiet(_: str) -> None:
    """Swallow a progress line."""


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_demo_data(tmp_path_factory.mktemp("cars") / "data", SMALL, quiet)


@pytest.fixture(scope="module")
def driven() -> list[DemoFrame]:
    """Forty frames of a test sequence of the shipped size."""
    return list(build_scene(DemoSettings(test_frames=40, figures=FIGURES, cars=CARS), "test", 0))


def load(folder: Path, name: str) -> dict:
    return json.loads((folder / "annotations" / f"{name}.json").read_text())


# ---- without cars ------------------------------------------------------------------------------------------------


def test_a_data_set_without_cars_says_nothing_of_cars() -> None:
    """The stamp decides what is made anew, and it stands in the JSON files."""
    settings = DemoSettings()
    assert list(settings.stamp()) == [
        *("version", "seed", "train_sequences", "train_frames", "test_sequences", "test_frames"),
        *("figures", "width", "height", "fps", "speed"),
    ]
    assert settings.stamp()["version"] == VERSION == 2
    assert replace(settings, cars=2).stamp() == {**settings.stamp(), "cars": 2}


def test_the_same_data_set_is_not_made_anew(tmp_path: Path) -> None:
    (tmp_path / "demo_data.json").write_text(json.dumps(DemoSettings(seed=3).stamp()))
    lines: list[str] = []
    make_demo_data(tmp_path, DemoSettings(seed=3), lines.append)
    assert "nothing to do" in lines[0]


def test_cars_change_nothing_for_the_people() -> None:
    with_cars, without = (build_scene(replace(SMALL, cars=count), "test", 0) for count in (CARS, 0))
    assert with_cars.looks == without.looks
    for one, other in zip(with_cars, without):
        np.testing.assert_array_equal(one.bodies[:FIGURES], other.bodies)
        assert len(one.bodies) == FIGURES + CARS
        assert (one.visibility[:FIGURES] <= other.visibility).all()
        np.testing.assert_array_equal(one.image[:20], other.image[:20])  # above the roofs
    assert (one.image != other.image).any()


def test_cars_cast_shadows() -> None:
    """The ground right under a car's sill is darker than it is without the car."""
    settings = DemoSettings(test_frames=10, figures=2, cars=CARS)
    with_cars, without = (build_scene(replace(settings, cars=count), "test", 0) for count in (CARS, 0))
    ratios = []
    for one, other in zip(with_cars, without):
        for x0, _, x1, y1 in np.round(one.boxes[2:]).astype(int):
            rows = slice(y1 - 2, y1 + 1)
            ground = (one.owner[rows, x0:x1] == NOBODY) & (other.owner[rows, x0:x1] == NOBODY)
            if ground.sum() > 40:
                ratios.append(one.image[rows, x0:x1][ground].mean() / other.image[rows, x0:x1][ground].mean())
    assert len(ratios) > 10
    assert np.median(ratios) < 0.9


def test_sequences_show_different_cars() -> None:
    cars = [car for split in ("train", "test") for index in range(3) for car in build_scene(SMALL, split, index).cars]
    assert len(set(cars)) == len(cars) == 6 * CARS


# ---- the files ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["train_with_ids", "test"])
def test_classes_and_identities(small: Path, name: str) -> None:
    """Identities are unique over both classes; an identity is a person's or a car's for good."""
    document = load(small, name)
    assert [entry["name"] for entry in document["categories"]] == list(MOT_CLASSES)
    assert document["info"]["cars"] == CARS
    kinds = {"pedestrian": set(), "car": set(), "distractor": set()}
    for entry in document["annotations"]:
        number = entry["instance_id"] - 1
        is_car = number % (FIGURES + CARS) >= FIGURES
        assert number // (FIGURES + CARS) == entry["video_id"] - 1
        kind = MOT_CLASSES[entry["category_id"] - 1]
        assert kind == ("distractor" if entry["ignore"] else "car" if is_car else "pedestrian")
        assert entry["ignore"] == (entry["visibility"] < 0.25) or abs(entry["visibility"] - 0.25) < 1e-3
        assert entry["mot_class_id"] == entry["category_id"]
        kinds[kind].add(entry["instance_id"])
    assert len(kinds["pedestrian"]) > FIGURES
    assert len(kinds["car"]) > CARS
    assert not kinds["pedestrian"] & kinds["car"]


def test_training_labels_carry_classes_but_no_identity(small: Path) -> None:
    plain, with_ids = load(small, "train"), load(small, "train_with_ids")
    assert not any("instance_id" in entry for entry in plain["annotations"])
    assert {entry["category_id"] for entry in plain["annotations"]} >= {1, 3}
    for entry in with_ids["annotations"]:
        del entry["instance_id"]
    assert with_ids == plain


def test_mot_file_has_both_classes(small: Path) -> None:
    entries = [entry for entry in load(small, "test")["annotations"] if entry["video_id"] == 1]
    rows = np.loadtxt(small / "test/DEMO-test-01/gt/gt.txt", delimiter=",")
    np.testing.assert_array_equal(rows[:, 1], [entry["instance_id"] for entry in entries])
    np.testing.assert_array_equal(rows[:, 7], [entry["category_id"] for entry in entries])
    assert {1, 3} <= set(rows[:, 7])


def test_the_data_set_class_reads_two_labels(small: Path) -> None:
    dataset = CocoVideoDataset(
        ann_file="annotations/train_with_ids.json",
        data_root=str(small),
        data_prefix={"img_path": "train/"},
        metainfo={"classes": CLASSES},
        pipeline=[],
    )
    instances = [instance for video in dataset for frame in video["images"] for instance in frame["instances"]]
    labels = {(instance["bbox_label"], instance["category_id"]) for instance in instances}
    assert labels == {(0, 1), (1, 3)}


def truth_as_tracks(truth: GroundTruth) -> dict[str, MotTable]:
    return {name: sequence.boxes.select(sequence.boxes.scores > 0) for name, sequence in truth.sequences.items()}


def test_each_class_is_scored_by_itself(small: Path) -> None:
    """Perfect tracks give 100 for both; a new identity for every car in the second half halves the cars' IDF1 alone."""
    truth = read_cocovid(small / "annotations/test.json")
    perfect = truth_as_tracks(truth)
    scores = evaluate_tracks(truth, perfect, CLASSES)
    for backend in ("trackeval", "motmetrics"):
        assert [scores.overall(backend, name)["IDF1"] for name in CLASSES] == [100, 100]
    swapped = {}
    for name, table in perfect.items():
        late_car = (table.class_ids == 3) & (table.frames > 4)
        swapped[name] = replace(table, ids=table.ids + 1000 * late_car)
    scores = evaluate_tracks(truth, swapped, CLASSES)
    assert scores.overall("trackeval", "pedestrian")["IDF1"] == 100
    assert 40 < scores.overall("trackeval", "car")["IDF1"] < 80
    assert scores.flat()["car/IDSW"] == scores.overall("motmetrics", "car")["IDSW"] > 0


def test_settings_are_checked_and_odd_numbers_draw() -> None:
    with pytest.raises(InputError, match="cars = -1: must be at least 0"):
        DemoSettings(cars=-1)
    for cars in (1, 3, 12):
        frame = build_scene(replace(SMALL, cars=cars), "train", 0).render(0)
        assert len(frame.boxes) == len(frame.visibility) == FIGURES + cars


# ---- the truth ---------------------------------------------------------------------------------------------------


def test_masks_fill_the_boxes_of_cars(driven: list[DemoFrame]) -> None:
    free = 0
    for frame in driven:
        rows, columns = np.mgrid[: frame.owner.shape[0], : frame.owner.shape[1]] + 0.5
        for row in range(FIGURES, FIGURES + CARS):
            mask, (x0, y0, x1, y1) = frame.masks[row], frame.boxes[row]
            inside = (columns > x0 - 1) & (columns < x1 + 1) & (rows > y0 - 1) & (rows < y1 + 1)
            assert not (mask & ~inside).any()
            assert mask.any() == (frame.visibility[row] > 0)
            if frame.visibility[row] == 1.0:
                free += 1
                across, down = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
                tight = [across[0], down[0], across[-1] + 1, down[-1] + 1]
                np.testing.assert_allclose(tight, [x0, y0, x1, y1], atol=1.3)
                assert mask.sum() > 0.6 * (x1 - x0) * (y1 - y0)
        assert frame.owner.max() < FIGURES + CARS, "an obstacle is nobody's mask"
    assert free > 3


def test_the_nearer_of_a_car_and_a_person_is_seen(driven: list[DemoFrame]) -> None:
    """Whose lower edge is lower in the picture is in front: a person behind a car is hidden, one in front is not."""
    behind, before = [], []
    for frame in driven:
        feet = frame.bodies[:, 3]
        for car in range(FIGURES, FIGURES + CARS):
            for person in range(FIGURES):
                if share_inside(frame.boxes[person], frame.boxes[car]) > 0.7:
                    (behind if feet[person] < feet[car] - 3 else before).append(frame.visibility[person])
    assert len(behind) > 5
    assert max(behind) < 0.6
    assert len(before) > 5
    assert max(before) > 0.99
    assert np.percentile(before, 75) > 0.65  # other cars may hide them


def share_inside(one: np.ndarray, other: np.ndarray) -> float:
    """Share of the first box that lies in the second."""
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    return float(np.prod(np.maximum(0, sides)) / max(1e-9, np.prod(one[2:] - one[:2])))


# ---- how they drive ----------------------------------------------------------------------------------------------


def test_traffic_stays_near_the_picture_and_in_its_lanes() -> None:
    """Three hundred frames under a camera that stands still."""
    ground, width = Ground(192), 320
    path = drive(np.random.default_rng(1), np.zeros((300, 2)), 6, width, ground)
    x, rows = path.feet[..., 0], path.feet[..., 1]
    longest = PACE[1] * ground.body(rows.max())
    assert x.min() > -BESIDE * width - longest
    assert x.max() < (1 + BESIDE) * width + longest
    assert x.min() < 0 < width < x.max(), "some leave the picture"
    steps = np.diff(path.feet, axis=0)
    assert (np.abs(steps[..., 1]) <= SIDEWAYS * np.abs(steps[..., 0]) + 1e-9).all(), "nobody slides sideways"
    stopped = steps[..., 0] == 0
    assert 0.05 < stopped.mean() < 0.2
    assert ((steps[..., 0] < 0) == path.leftwards[1:])[~stopped].all()
    assert (rows.max(axis=0) - rows.min(axis=0) > 5).all(), "everybody changes lanes now and then"
    assert len(np.unique(rows[0])) == 6


def test_cars_drive_along_the_far_side_and_come_back(driven: list[DemoFrame]) -> None:
    ground = Ground(192)
    bodies = np.stack([frame.bodies[FIGURES:] for frame in driven])
    far, near = ground.rows
    assert bodies[..., 3].min() > far - 0.04 * 192  # the camera shakes
    assert bodies[..., 3].max() < far + 0.36 * (near - far) + 0.04 * 192
    ratio = (bodies[..., 3] - bodies[..., 1]) / ground.body(bodies[..., 3])
    assert ((ratio > 0.65) & (ratio < 1.3)).all()
    moves = np.abs(np.diff(bodies[..., [0, 3]], axis=0)).mean(axis=(0, 1))
    assert moves[0] > 6 * moves[1], "along the street, not across it"
    visibility = np.stack([frame.visibility[FIGURES:] for frame in driven])
    hidden = visibility < 0.05
    assert (hidden[:-1] & ~hidden[1:]).any(), "a car comes back"
    assert (visibility > 0.25).mean() > 0.4
    assert bodies[..., 2].max() < 320 * 1.8
    assert bodies[..., 0].min() > -320 * 0.8


def test_boxes_of_consecutive_frames_overlap_little_unless_slowed_down() -> None:
    medians = []
    for speed in (1.0, 0.2):
        frames = list(build_scene(DemoSettings(test_frames=30, figures=2, cars=4, speed=speed), "test", 0))
        own = [np.diag(pairwise_iou(b.bodies[2:], a.bodies[2:])) for a, b in pairwise(frames)]
        medians.append(np.median(own))
    assert medians[0] < 0.5
    assert medians[1] > 0.75


def test_cars_look_where_they_drive() -> None:
    """A blue bonnet is on the left of a red car exactly when the car moves to the left."""
    car = CarLook("saloon", 1.0, (30.0, 30.0, 230.0), "bonnet", (230.0, 30.0, 30.0), (200.0, 200.0, 200.0))
    people = sample_pairs(np.random.default_rng(0), 2)
    ways = []
    for seed in range(4):
        scene = DemoScene(people, 30, (320, 192), np.random.default_rng(seed), cars=[car])
        for before, after in pairwise(scene):
            moved = after.bodies[2, 0] - before.bodies[2, 0]
            if abs(moved) > 25 and after.visibility[2] > 0.9:
                colours = after.image.astype(int)
                blue = after.masks[2] & (colours[..., 0] > colours[..., 2] + 60)
                middle = 0.5 * (after.bodies[2, 0] + after.bodies[2, 2])
                ways.append((moved < 0, np.flatnonzero(blue.any(axis=0)).mean() < middle))
    assert {left for left, _ in ways} == {True, False}
    assert all(moving == facing for moving, facing in ways)


# ---- how they look -----------------------------------------------------------------------------------------------


def test_pairs_look_alike_but_not_the_same() -> None:
    rng = np.random.default_rng(7)
    bodies = set()
    for _ in range(20):
        looks = sample_car_pairs(rng, 8)
        for first, second in zip(looks[::2], looks[1::2]):
            assert (first.body, first.length, first.rims) == (second.body, second.length, second.rims)
            assert np.abs(np.subtract(first.paint, second.paint)).max() < 20
            assert first.livery != second.livery
            assert abs(luma(first.accent) - luma(first.paint)) > 40
            assert abs(luma(second.accent) - luma(second.paint)) > 30
            bodies.add(first.body)
        assert len({look.body for look in looks}) == 4, "bodies are spread over the pairs"
    assert bodies == set(BODIES)


@pytest.mark.parametrize("body", BODIES)
def test_every_livery_shows_on_every_body(body: str) -> None:
    """Two liveries never look the same, and none hides the paint or vanishes."""
    pictures = []
    for livery in LIVERIES:
        look = CarLook(body, 1.0, (0.0, 0.0, 255.0), livery, (255.0, 0.0, 0.0), (200.0, 200.0, 200.0))
        layer = draw_car(look, 80).place(100.0, 100.0, 40.0)
        blue = layer.pixels[..., 0] > layer.pixels[..., 2] + 60
        red = layer.pixels[..., 2] > layer.pixels[..., 0] + 60
        assert 0.03 < blue.sum() / layer.mask.sum() < 0.6, livery
        assert red.sum() / layer.mask.sum() > 0.15, livery
        pictures.append(blue)
        longer = draw_car(replace(look, length=1.2), 80).place(100.0, 100.0, 40.0)
        share = (longer.pixels[..., 0] > longer.pixels[..., 2] + 60).sum() / longer.mask.sum()
        assert share == pytest.approx(blue.sum() / layer.mask.sum(), abs=0.03), "a longer car has a longer pattern"
    for index, one in enumerate(pictures):
        for other in pictures[:index]:
            assert (one ^ other).mean() > 0.01
