"""Tracking into files with a model that gives masks: which files, what they hold, what is mended and refused."""

from __future__ import annotations

import errno
import json
import logging
import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from stub_session import MaskedSquareSession, SquareSession, scene
from test_track_files import FRAMES, names_in, silent
from test_track_files_failures import FullDisk, frames_then

from clmot_qd.apis import text_outputs
from clmot_qd.apis.many_videos import Job, is_finished
from clmot_qd.apis.text_outputs import MotsText, mots_numbers
from clmot_qd.apis.track_outputs import Clip, CocoVid
from clmot_qd.apis.track_table import stack_tracks
from clmot_qd.datasets.mot_text import read_tracks
from clmot_qd.datasets.mots_text import read_mots
from clmot_qd.errors import InputError
from clmot_qd.evaluation.formats.mots import class_numbers
from clmot_qd.evaluation.ground_truth import GroundTruth, read_cocovid
from clmot_qd.masks import RleMasks
from clmot_qd.trackers import Tracks
from clmot_qd.visualization import id_color

TEXTS = ("mot", "mots", "cocovid")


def track(folder: Path, count: int = 5, beyond: int = 0, **options: Any) -> list[Path]:
    return MaskedSquareSession(beyond=beyond).track(FRAMES[:count], folder, progress=silent, **options)


def tracked(count: int = 5, beyond: int = 0) -> list[Tracks]:
    return list(MaskedSquareSession(beyond=beyond).stream(FRAMES[:count]))


def test_masks_stand_in_both_files_bit_for_bit(tmp_path: Path) -> None:
    """The third frame's second track has an empty mask: a line in JSON, none in MOTS."""
    _, mots, cocovid = track(tmp_path, outputs=TEXTS)
    found = stack_tracks(tracked(), range(1, 6), [1, 2])
    assert found.masks is not None
    filled = found.masks.areas() > 0
    assert filled.sum() == 9

    table = read_mots(mots)
    assert table.masks is not None
    assert table.frames.tolist() == found.frames[filled].tolist() == [1, 1, 2, 2, 3, 4, 4, 5, 5]
    assert table.ids.tolist() == found.ids[filled].tolist()
    assert table.class_ids.tolist() == (found.class_ids[filled] + 10).tolist()  # 1 and 2 are cars and pedestrians
    assert table.masks.texts() == found.masks[filled].texts()

    entries = json.loads(cocovid.read_text())["annotations"]
    assert [entry["segmentation"] for entry in entries] == [
        {"size": [64, 96], "counts": text} for text in found.masks.texts()
    ]
    assert [entry["area"] for entry in entries] == found.masks.areas().tolist()
    assert [entry["bbox"][2] for entry in entries] == pytest.approx(found.bboxes[:, 2], abs=1e-5)
    read = read_cocovid(cocovid, masks=True).sequences["frames"].boxes.masks
    assert read is not None
    assert read.texts() == found.masks.texts()


def test_a_frame_without_tracks_has_no_rows(tmp_path: Path) -> None:
    dark = [np.zeros((64, 96, 3), np.uint8)] * 2
    written = MaskedSquareSession().track(dark, tmp_path, outputs=TEXTS, progress=silent)
    assert written[1].read_text() == ""
    with MotsText(Clip(tmp_path, "a", 30.0, (96, 64), ("thing",), None)) as output:
        output.add(1, Tracks.empty(), None)  # of a tracker that says nothing of masks then


def overlapping_scene(number: int) -> np.ndarray:
    frame = np.full((64, 96, 3), 60, np.uint8)
    for left, size in ((36, 10), (50, 10)):  # on both sides of the middle, so that their scores differ
        frame[20 + number : 20 + number + size, left : left + size] = 255
    return frame


def test_no_pixel_of_the_mots_file_belongs_to_two(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    frames = [overlapping_scene(number) for number in range(4)]
    before = stack_tracks(list(MaskedSquareSession(beyond=4).stream(frames)), range(1, 5))
    mots, cocovid = MaskedSquareSession(beyond=4).track(frames, tmp_path, outputs=("mots", "cocovid"), progress=silent)
    after = read_mots(mots)
    assert before.masks is not None
    assert after.masks is not None
    trimmed = 0
    for number in range(1, 5):
        (first, second) = before.masks[before.frames == number].bitmaps()  # scores 0.9 and 0.6
        assert (first & second).any() == (number != 3)
        trimmed += int((first & second).any())
        kept = after.masks[after.frames == number].bitmaps()
        np.testing.assert_array_equal(kept, [first, second & ~first][: len(kept)])
    assert len(after) == 7
    (record,) = caplog.records
    assert record.getMessage() == (
        f"frames: tracks_mots.txt: {trimmed} of 8 predicted masks lost pixels to others of higher scores; "
        "1 predicted masks have no pixel and are left out"
    )
    # The other file may have overlaps, and keeps every bit.
    entries = json.loads(cocovid.read_text())["annotations"]
    assert [entry["segmentation"]["counts"] for entry in entries] == before.masks.texts()


def test_a_mask_that_others_cover_is_left_out(tmp_path: Path) -> None:
    rows = np.arange(2)
    masks = RleMasks.of_bitmaps(np.ones((2, 4, 4), np.uint8))
    tracks = Tracks(rows, np.ones((2, 4), np.float32), np.array([0.3, 0.8], np.float32), 0 * rows, rows, masks)
    with MotsText(Clip(tmp_path, "a", 30.0, (4, 4), ("pedestrian",), None)) as output:
        output.add(7, tracks, None)
    assert output.path.read_text() == f"7 1 2 4 4 {masks.texts()[0]}\n"
    assert "1 predicted masks have no pixel and are left out" in output.note


@pytest.mark.parametrize(
    ("classes", "numbers"),
    [
        (("pedestrian",), [2]),
        (("car", "pedestrian"), [1, 2]),
        (("pedestrian", "car"), [2, 1]),
        (("person",), [2]),
        (("person", "car", "bus"), [2, 1, 3]),
        (("person", "pedestrian", "rider"), [11, 2, 3]),
        ((), []),
    ],
)
def test_class_numbers_are_those_of_the_data_sets_and_of_export_files(
    classes: tuple[str, ...], numbers: list[int]
) -> None:
    assert mots_numbers(classes) == dict(enumerate(numbers))
    truth = GroundTruth("truth.json", {name: label + 1 for label, name in enumerate(classes)}, {})
    assert class_numbers(truth) == {label + 1: number for label, number in enumerate(numbers)}


@pytest.mark.parametrize(
    ("classes", "numbers"),
    [
        ((), [11, 12, 20, 21]),
        (("person",), [2, 11, 19, 20]),
        (("person", "bus", "rider"), [2, 11, 18, 19]),
    ],
)
def test_labels_without_a_name_get_numbers_that_no_class_has(
    tmp_path: Path, classes: tuple[str, ...], numbers: list[int]
) -> None:
    rows = np.arange(4)
    masks = RleMasks.of_bitmaps(np.eye(4, dtype=np.uint8)[:, None])
    tracks = Tracks(rows, np.ones((4, 4), np.float32), np.ones(4, np.float32), np.array([0, 1, 9, 10]), rows, masks)
    with MotsText(Clip(tmp_path, "a", 30.0, (4, 1), classes, None)) as output:
        output.add(1, tracks, None)
    assert read_mots(output.path).class_ids.tolist() == numbers


def test_what_is_written_unless_one_asks(tmp_path: Path) -> None:
    names = [path.name for path in track(tmp_path / "masks")]
    assert names == ["tracks.txt", "tracks_mots.txt", "tracks.mp4", "contact_sheet.png"]
    boxes = SquareSession().track(FRAMES[:2], tmp_path / "boxes", progress=silent)
    assert [path.name for path in boxes] == ["tracks.txt", "tracks.mp4", "contact_sheet.png"]
    for name in ("masks", "boxes"):
        assert is_finished(Job("video", tmp_path / name), None)
    assert is_finished(Job("video", tmp_path / "masks"), ("mots",))
    assert not is_finished(Job("video", tmp_path / "boxes"), ("mot", "mots"))


def test_texts_without_pictures(tmp_path: Path) -> None:
    """What --no-video is: the masks are not lost with the pictures."""
    names = [path.name for path in track(tmp_path / "masks", pictures=False)]
    assert names == ["tracks.txt", "tracks_mots.txt"]
    boxes = SquareSession().track(FRAMES[:2], tmp_path / "boxes", progress=silent, pictures=False)
    assert [path.name for path in boxes] == ["tracks.txt"]
    for name in ("masks", "boxes"):
        assert is_finished(Job("video", tmp_path / name), None, pictures=False)
        assert not is_finished(Job("video", tmp_path / name), None)
    named = track(tmp_path / "named", pictures=False, outputs=["frames"])
    assert [path.name for path in named] == ["frames"]


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        (dict(outputs=["mot", "mots"]), "output 'mots'"),
        (dict(show=["id", "mask"]), "show (--show) 'mask'"),
        (dict(show=["mask"], outputs=["mots", "sheet"]), "output 'mots'"),
    ],
)
def test_masks_of_a_model_without_are_refused_before_anything_is_tracked(
    tmp_path: Path, options: dict[str, Any], asked: str
) -> None:
    session = SquareSession()
    with pytest.raises(InputError) as caught:
        session.track(FRAMES, tmp_path / "out", progress=silent, **options)
    assert str(caught.value).startswith(f"{asked}: this model gives boxes alone; leave it out, or take")
    assert session.batches == []
    assert not (tmp_path / "out").exists()


def test_tracks_without_masks_in_a_session_that_promised_some(tmp_path: Path) -> None:
    class Forgetful(SquareSession):
        gives_masks = True

    with pytest.raises(InputError, match=r"tracks_mots.txt: frame 1 has tracks without masks; .*nothing was tracked"):
        Forgetful().track(FRAMES[:2], tmp_path, outputs=["mots"], progress=silent)


# ----------------------------------------------------------------------------------------------- crashes and full disks
def test_what_was_tracked_before_an_error_is_in_both_texts(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        MaskedSquareSession().track(
            frames_then(OSError("broken pipe")), tmp_path, outputs=(*TEXTS, "video"), progress=silent
        )
    both = f"{tmp_path}/tracks.partial.txt and {tmp_path}/tracks_mots.partial.txt"
    assert str(caught.value).endswith(f"the 4 frames tracked so far are in {both}")
    assert names_in(tmp_path) == ["tracks.partial.txt", "tracks_mots.partial.txt"]
    assert read_mots(tmp_path / "tracks_mots.partial.txt").frames.tolist() == [1, 1, 2, 2, 3, 4, 4]
    assert read_tracks(tmp_path / "tracks.partial.txt").frames.max() == 4


def test_a_disk_that_fills_up_leaves_whole_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = len(track(tmp_path / "whole", count=1, outputs=["mots"])[0].read_bytes())

    def enter(self: Any) -> Any:
        self._handle = FullDisk(self.partial.open("wb", buffering=0), room=2 * first + first // 4)
        return self

    monkeypatch.setattr(text_outputs.MotsText, "__enter__", enter)
    with pytest.raises(InputError, match=r"No space left on device.*the 2 frames .*tracks_mots\.partial\.txt$"):
        track(tmp_path / "full", outputs=["mots"])
    assert names_in(tmp_path / "full") == ["tracks_mots.partial.txt"]
    assert read_mots(tmp_path / "full" / "tracks_mots.partial.txt").frames.tolist() == [1, 1, 2, 2]


def test_the_texts_are_complete_before_the_video_is_known_to_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Any, *args: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(CocoVid, "__exit__", full)
    with pytest.raises(InputError, match=r"all frames .*/tracks_mots\.txt and .*/tracks\.txt$"):
        track(tmp_path, outputs=["mots", "cocovid", "mot"])
    assert names_in(tmp_path)[-2:] == ["tracks.txt", "tracks_mots.txt"]


def test_a_folder_that_is_removed_gets_the_masks_back(tmp_path: Path) -> None:
    out = tmp_path / "out"

    def remove(done: int, total: int | None) -> None:
        if done == 3:
            (out / "tracks_mots.partial.txt").unlink()

    with pytest.raises(InputError, match="was removed, or emptied"):
        MaskedSquareSession().track(FRAMES, out, outputs=["mots"], progress=remove)
    assert read_mots(out / "tracks_mots.partial.txt").frames.max() == 4


# ------------------------------------------------------------------------------------------------------------- pictures
def colours_in(folder: Path, show: Any) -> dict[str, int]:
    """How many pixels of a drawn frame have the colour of id 1, and how many are mixed of it and white."""
    video = MaskedSquareSession(("left",)).track(
        [scene(0, 640, 400)] * 2, folder, outputs=["frames"], progress=silent, show=show
    )
    picture = cv2.imread(str(video[0] / "000001.jpg")).astype(int)
    colour = np.array(id_color(1))
    mixed = colour * 0.45 + 255 * 0.55
    return {
        "line": int((np.abs(picture - colour).max(axis=2) < 40).sum()),
        "fill": int((np.abs(picture - mixed).max(axis=2) < 12).sum()),
    }


def test_boxes_and_masks_are_shown_unless_one_is_named(tmp_path: Path) -> None:
    both, boxes, masks = (
        colours_in(tmp_path / name, show)
        for name, show in (("both", None), ("boxes", ["box"]), ("masks", ["id", "mask"]))
    )
    assert boxes["fill"] == 0
    assert masks["fill"] > 2000
    assert abs(both["fill"] - masks["fill"]) < 300  # what the boxes cover
    assert both["line"] > boxes["line"] + 200
    assert colours_in(tmp_path / "words", ["id"])["fill"] > 2000


# ---------------------------------------------------------------------------------------------------------- their table
def test_a_table_has_masks_where_all_tracks_have_one() -> None:
    one, *_ = tracked(1)
    bare = Tracks(one.instances_id, one.bboxes, one.scores, one.labels, one.detection_index)
    table = stack_tracks([one, Tracks.empty(), one], [1, 2, 3])
    assert table.masks is not None
    assert one.masks is not None
    assert table.masks.texts() == 2 * one.masks.texts()
    assert stack_tracks([one, bare], [1, 2]).masks is None
    assert stack_tracks([Tracks.empty()], [1]).masks is None
    nothing = stack_tracks([one.select(np.array([], int))], [1]).masks
    assert nothing is not None
    assert nothing.size == (64, 96)


def test_the_log_is_quiet_where_masks_share_no_pixel(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        track(tmp_path, count=2, outputs=TEXTS)
    assert caplog.records == []
