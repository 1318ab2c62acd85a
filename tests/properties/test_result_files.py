"""What is written comes back: result files of every format, and every kind of file that only this package reads."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from tables import Scene, coordinates, in_order, names, scenes, scenes_with_masks, sides, tables, video_names

from clmot_qd.datasets.detections import CacheFolder, VideoDetections, read_cache, read_detection_file, write_cache
from clmot_qd.datasets.mot_text import MotTable, format_tracks, make_table, read_tracks, write_tracks
from clmot_qd.evaluation.formats import FORMATS, detect_format, read_predictions
from clmot_qd.evaluation.result_files import read_results, write_results
from clmot_qd.masks import RleMasks

# Files keep five decimals, and no side thinner than that.
DECIMALS = 1e-5


def assert_same(found: MotTable, expected: MotTable, score_error: float = 0.0) -> None:
    one, two = in_order(found), in_order(expected)
    np.testing.assert_array_equal(one.frames, two.frames)
    np.testing.assert_array_equal(one.ids, two.ids)
    np.testing.assert_array_equal(one.class_ids, two.class_ids)
    np.testing.assert_allclose(one.scores, two.scores, atol=score_error, rtol=0)
    np.testing.assert_allclose(one.bboxes, two.bboxes, atol=1.01 * DECIMALS, rtol=1e-12)
    assert (one.bboxes[:, 2:] > 0).all()


@given(table=tables([1, 2, 10**6], [-1, 1, 13]))
def test_mot_text(table: MotTable) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write_tracks(Path(folder, "a.txt"), table)
        text = Path(folder, "a.txt").read_text()
        assert_same(read_tracks(Path(folder, "a.txt")), table, 5.1e-7)
        assert format_tracks(table) == text
        again = in_order(read_tracks(Path(folder, "a.txt")))
        assert format_tracks(again) == text  # what was read is written the same


@pytest.mark.parametrize("name", [name for name, form in FORMATS.items() if not form.of_masks])
@given(scene=scenes())
def test_result_files(name: str, scene: Scene) -> None:
    with tempfile.TemporaryDirectory() as folder:
        truth = scene.write(Path(folder, "ann.json"))
        path = Path(folder, "out" if name == "mot" else "out.json")
        FORMATS[name].write(path, truth, scene.tracks)
        if any(len(table) for table in scene.tracks.values()):
            assert detect_format(path) == name
        found = FORMATS[name].read(path, truth)
        assert set(found) == set(scene.tracks)
        for video, table in scene.tracks.items():
            if name == "tao":  # numbered anew: no track of two videos has one number
                assert_same(found[video], renumbered(table, found[video]))
            else:
                assert_same(found[video], table, 5.1e-7 if name == "mot" else 0)


def renumbered(table: MotTable, found: MotTable) -> MotTable:
    """The table with the identities that TAO's file gave to it: one for each, in the same order."""
    old, place = np.unique(table.ids, return_inverse=True)
    new = np.unique(found.ids)
    assert len(old) == len(new)
    return replace(table, ids=new[place])


@given(scene=scenes())
def test_a_folder_of_bdd100k(scene: Scene) -> None:
    with tempfile.TemporaryDirectory() as folder:
        truth = scene.write(Path(folder, "ann.json"))
        FORMATS["bdd100k"].write(Path(folder, "out"), truth, scene.tracks)
        found = read_predictions(Path(folder, "out"), truth, "bdd100k")
        for video, table in scene.tracks.items():
            assert_same(found[video], table)


def assert_same_masks(found: MotTable, expected: MotTable) -> None:
    """Frames, identities, classes and every bit of the masks, whatever the order of the rows."""
    one, two = in_order(found), in_order(expected)
    np.testing.assert_array_equal(one.frames, two.frames)
    np.testing.assert_array_equal(one.ids, two.ids)
    np.testing.assert_array_equal(one.class_ids, two.class_ids)
    assert one.masks is not None
    assert two.masks is not None
    assert (one.masks.size, one.masks.texts()) == (two.masks.size, two.masks.texts())


@pytest.mark.parametrize("name", ["bdd100k", "cocovid"])
@given(scene=scenes_with_masks())
def test_json_with_masks(name: str, scene: Scene) -> None:
    with tempfile.TemporaryDirectory() as folder:
        truth = scene.write(Path(folder, "ann.json"))
        FORMATS[name].write(Path(folder, "out.json"), truth, scene.tracks)
        found = read_predictions(Path(folder, "out.json"), truth, name, masks=True)
        written = {key: without_overlaps(one) if name == "bdd100k" else one for key, one in scene.tracks.items()}
        if any(map(len, written.values())):
            assert detect_format(Path(folder, "out.json")) == name
            for video, table in written.items():
                assert_same(found[video], table)
                assert_same_masks(found[video], table)


def without_overlaps(table: MotTable) -> MotTable:
    """Paint each frame from the lowest to the highest score, and leave out what has no pixel."""
    assert table.masks is not None
    bitmaps = table.masks.bitmaps()
    for frame in set(table.frames.tolist()):
        rows = np.flatnonzero(table.frames == frame)
        owner = np.full(table.masks.size, -1)
        for row in rows[np.argsort(-table.scores[rows], kind="stable")[::-1]]:
            owner[bitmaps[row]] = row
        for row in rows:
            bitmaps[row] = owner == row
    return replace(table, masks=RleMasks.of_bitmaps(bitmaps)).select(bitmaps.any(axis=(1, 2)))


@pytest.mark.parametrize(("name", "lowest", "highest"), [("mots", 0, 1_000_000), ("bdd100k-bitmasks", 1, 65_535)])
@given(scene=scenes_with_masks())
def test_formats_of_masks(name: str, lowest: int, highest: int, scene: Scene) -> None:
    with tempfile.TemporaryDirectory() as folder:
        truth = scene.write(Path(folder, "ann.json"))
        FORMATS[name].write(Path(folder, "out"), truth, scene.tracks)
        found = read_predictions(Path(folder, "out"), truth, name)
        assert set(found) == set(scene.tracks)
        for video, table in scene.tracks.items():
            expected = without_overlaps(table)
            if len(expected) and not lowest <= expected.ids.min() <= expected.ids.max() <= highest:
                expected = replace(expected, ids=np.unique(expected.ids, return_inverse=True)[1] + 1)
            assert_same_masks(found[video], expected)
        FORMATS[name].write(Path(folder, "again"), truth, found)
        again = read_predictions(Path(folder, "again"), truth, name)
        for video, table in found.items():
            assert_same_masks(again[video], table)  # what was read is written the same


one = st.tuples(st.integers(1, 30), coordinates, coordinates, sides, sides, st.floats(0, 1), st.integers(0, 2))
detections = st.lists(one, max_size=8)


def of_rows(rows: list[Any], width: int) -> VideoDetections:
    values = np.array(rows, dtype=np.float64).reshape(-1, 7)
    boxes = np.hstack((values[:, 1:3], values[:, 1:3] + values[:, 3:5])).astype(np.float32)
    embeds = np.random.default_rng(len(rows)).normal(size=(len(rows), width)).astype(np.float32) if width else None
    frames, labels = values[:, [0, 6]].T.astype(np.int64)
    return VideoDetections(frames, boxes, values[:, 5].astype(np.float32), labels, embeds, np.arange(1, 31))


@given(
    videos=st.dictionaries(video_names, detections, min_size=1, max_size=3),
    classes=st.tuples(names, names, names),
    width=st.sampled_from([0, 1, 5]),
    identity=st.dictionaries(names, st.one_of(names, st.integers(), st.none())),
)
def test_caches_of_detections(videos: dict[str, Any], classes: Any, width: int, identity: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        made = {name: of_rows(rows, width) for name, rows in videos.items()}
        paths = [write_cache(folder, name, found, classes, identity) for name, found in made.items()]
        assert len(set(paths)) == len(made)
        kept = CacheFolder(folder)
        assert (set(kept), kept.classes, kept.identity) == (set(made), classes, identity)
        for name, expected in made.items():
            for found in (kept[name], read_detection_file(folder).videos[name]):
                for key, values in vars(expected).items():
                    np.testing.assert_array_equal(getattr(found, key), values)
        video, listed, _ = read_cache(paths[0])
        assert video in made
        assert listed == classes


def test_the_class_of_number_0_is_a_class(tmp_path: Path) -> None:
    """Many a COCO file counts from 0. As "no class" its boxes were taken for those of any class that was scored."""
    numbers = {"car": 0, "bus": 1}
    content = {
        "categories": [{"id": number, "name": name} for name, number in numbers.items()],
        "videos": [{"id": 1, "name": "a"}],
        "images": [{"id": 1, "video_id": 1, "frame_id": 0, "file_name": "a.jpg", "width": 9, "height": 9}],
        "annotations": [],
    }
    table = make_table([1, 1], [1, 2], [[0, 0, 4, 4], [5, 5, 4, 4]], class_ids=[0, 1])
    truth = Scene(content, {"a": table}).write(tmp_path / "ann.json")
    write_results(tmp_path / "out", truth, {"a": table})
    assert read_results(tmp_path / "out", truth)["a"].class_ids.tolist() == [0, 1]
    assert read_tracks(tmp_path / "out" / "a.txt").class_ids.tolist() == [-1, 1]  # the benchmarks' own files


def as_csv(rows: list[Any], path: Path) -> None:
    """Columns in another order, a semicolon between them, corners instead of sizes."""
    lines = [f"{label};{f};{x!r};{x + w!r};{y!r};{y + h!r};{score!r}" for f, x, y, w, h, score, label in rows]
    path.write_text("\n".join(["class;frame;x1;x2;y1;y2;score", *lines]) + "\n")


def as_json(rows: list[Any], path: Path) -> None:
    keys = ("frame", "bbox", "score", "class")
    entries = [(f, [x, y, w, h], score, label) for f, x, y, w, h, score, label in rows]
    path.write_text(json.dumps([dict(zip(keys, entry)) for entry in entries]))


def as_mot_text(rows: list[Any], path: Path) -> None:
    lines = [f"{f},-1,{x!r},{y!r},{w!r},{h!r},{score!r},-1,-1,-1\n" for f, x, y, w, h, score, _ in rows]
    path.write_text("".join(lines))


place, thick = st.floats(-1e4, 1e4), st.floats(0.01, 1e4)
boxes = st.tuples(st.integers(1, 30), place, place, thick, thick, st.floats(0, 1), st.integers(0, 12))


@pytest.mark.parametrize("form", [as_csv, as_json, as_mot_text])
@given(rows=st.lists(boxes, min_size=1, max_size=8))
def test_detections_of_others(form: Any, rows: list[Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "clip.json" if form is as_json else "clip.txt")
        form(rows, path)
        found = read_detection_file(path)
        detected = found.videos["clip"]
        values = np.array(rows, dtype=np.float64)
        np.testing.assert_array_equal(detected.frames, values[:, 0])
        corners = np.hstack((values[:, 1:3], values[:, 1:3] + values[:, 3:5]))
        np.testing.assert_allclose(detected.bboxes, corners, rtol=1e-12, atol=1e-8)
        np.testing.assert_array_equal(detected.scores, values[:, 5])
        classes = [str(int(label)) for label in values[:, 6]] if form is not as_mot_text else []
        assert [found.classes[label] for label in detected.labels if classes] == classes
