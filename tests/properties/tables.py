"""Annotation files with awkward names and numbers, and tracks in their frames."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import hypothesis.strategies as st
import numpy as np

from clmot_qd.datasets.mot_text import MotTable, make_table
from clmot_qd.evaluation import GroundTruth, read_cocovid
from clmot_qd.masks import RleMasks

# Of one name, or of one part of a name with "/"; a colon could make a drive of it, which is refused.
LETTERS = "aZ09 _-.,;'\"<>&=%#é中\u00a0\U0001f600{}()[]"
names = st.text(LETTERS, min_size=1, max_size=8).filter(lambda text: text.strip(" .") == text)
video_names = st.lists(names, min_size=1, max_size=3).map("/".join)
whole = st.integers(1, 2**40)
EXTREMES = (0.0, 1e-9, 4e-6, 1e-5, 0.123456789, 1.0, 1919.99999, 1e6)
coordinates = st.one_of(st.floats(-1e6, 1e6), st.sampled_from([sign * value for value in EXTREMES for sign in (-1, 1)]))
sides = st.one_of(st.floats(0, 1e6, exclude_min=True), st.sampled_from(EXTREMES))
scores = st.one_of(st.floats(0, 1), st.sampled_from([0.0, 1.0, 5e-7, 1 / 3]))


class Scene(NamedTuple):
    """An annotation file and, for each of its videos, tracks."""

    content: dict[str, Any]
    tracks: dict[str, MotTable]

    def write(self, path: Path) -> GroundTruth:
        path.write_text(json.dumps(self.content), encoding="utf-8")
        return read_cocovid(path)


@st.composite
def scenes(draw: st.DrawFn, classes_from: int = 0, classes_to: int = 1300) -> Scene:
    """1 to 3 videos of 1 to 4 frames, numbered as nothing else is, classes numbered from ``classes_from``."""
    videos = draw(st.lists(video_names, min_size=1, max_size=3, unique=True))
    numbers = draw(st.lists(st.integers(classes_from, classes_to), min_size=1, max_size=4, unique=True))
    categories = dict(zip(draw(st.lists(names, min_size=len(numbers), max_size=len(numbers), unique=True)), numbers))
    content: dict[str, Any] = {
        "categories": [{"id": number, "name": name} for name, number in categories.items()],
        "videos": [{"id": 7 * number + 3, "name": name} for number, name in enumerate(videos)],
        "images": [],
        "annotations": [],
    }
    ids = iter(draw(st.lists(whole, min_size=12, max_size=12, unique=True)))
    tracks = {}
    for video in content["videos"]:
        frames = draw(st.lists(st.integers(1, 5000), min_size=1, max_size=4, unique=True))
        for place, frame in enumerate(frames):
            size = dict(width=draw(st.integers(1, 4000)), height=480)
            place_in_time = dict(id=next(ids), video_id=video["id"], frame_id=frame - 1, mot_frame_id=frame)
            content["images"].append(place_in_time | dict(file_name=f"{place}.jpg") | size)
        tracks[video["name"]] = draw(tables(frames, numbers))
    return Scene(content, tracks)


@st.composite
def tables(draw: st.DrawFn, frames: list[int], classes: list[int]) -> MotTable:
    """Rows in any order, no identity twice in a frame."""
    keys = st.tuples(st.sampled_from(frames), st.one_of(st.integers(0, 9), st.integers(0, 2**53 - 1)))
    places = draw(st.lists(keys, max_size=8, unique=True))
    rows = [draw(st.tuples(coordinates, coordinates, sides, sides, scores, st.sampled_from(classes))) for _ in places]
    values = np.array(rows, dtype=np.float64).reshape(-1, 6)
    where = np.array(places, dtype=np.int64).reshape(-1, 2)
    return make_table(where[:, 0], where[:, 1], values[:, :4], values[:, 4], values[:, 5].astype(np.int64))


@st.composite
def scenes_with_masks(draw: st.DrawFn) -> Scene:
    """The same with small pictures of one size in a video and a mask for every row; some are empty, some overlap."""
    scene = draw(scenes(classes_to=200))
    for video in scene.content["videos"]:
        size = draw(st.tuples(st.integers(1, 12), st.integers(1, 12)))
        for image in scene.content["images"]:
            if image["video_id"] == video["id"]:
                image.update(height=size[0], width=size[1])
        table = scene.tracks[video["name"]]
        rng = np.random.default_rng(draw(st.integers(0, 2**32)))
        bitmaps = rng.random((len(table), *size)) < rng.choice([0, 0.2, 0.6, 1], (len(table), 1, 1))
        scene.tracks[video["name"]] = replace(table, masks=RleMasks.of_bitmaps(bitmaps))
    return scene


def in_order(table: MotTable) -> MotTable:
    return table.select(np.lexsort((table.ids, table.frames)))
