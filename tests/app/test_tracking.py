"""Jobs from upload to files, with a session that needs no network."""

from __future__ import annotations

import errno
import io
import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from clip_files import png, write_clip, write_zip
from PIL import Image
from sessions import MaskedWalkingSession, WalkingSession

from clmot_qd.app.choices import BISOFTMAX, JDE, OWN, Settings
from clmot_qd.app.jobs import Job, JobQueue, State
from clmot_qd.app.limits import Limits
from clmot_qd.app.models import Model, ModelFacts, ModelStore
from clmot_qd.app.service import Busy, Service
from clmot_qd.app.tracking import ARCHIVE, COCOVID, MASKS, TEXT, VIDEO, Tracking, TrackRow, track_rows
from clmot_qd.app.workspace import Workspace
from clmot_qd.datasets.mot_text import make_table, read_tracks
from clmot_qd.datasets.mots_text import read_mots
from clmot_qd.errors import InputError

OWN_TRACKER = dict(type="JDETracker", conf_thr=0.4, lost_frames=30)


class Desk:
    """A service whose one model is a :class:`WalkingSession`; its jobs can be waited for."""

    def __init__(self, workspace: Workspace, limits: Limits) -> None:
        self.session, self.workspace = WalkingSession(), workspace
        self.loads = 0
        # The checkpoint calls its classes otherwise than the configuration.
        facts = {"walk": ModelFacts(("pedestrian", "vehicle"), OWN_TRACKER)}
        store = ModelStore([Model("walk", "", "")], self._load)
        self.service = Service(facts, Tracking(store, workspace, limits), JobQueue(), workspace, limits)

    def _load(self, model: Model) -> WalkingSession:
        self.loads += 1
        return self.session

    def upload(self, name: str = "clip.mp4", **clip: Any) -> str:
        path = self.workspace.files / name
        return str(path if path.exists() else write_clip(path, **clip))

    def start(self, upload: str | None, kind: str = OWN, page: str = "p", **choice: Any) -> Job:
        settings = Settings(choice.pop("score_thr", None))
        return self.service.start(page, upload, "walk", kind, settings, **choice)

    def ended(self, upload: str | None, kind: str = OWN, **choice: Any) -> Job:
        job = self.start(upload, kind, **choice)
        assert job.wait(120)
        return job


@contextmanager
def opened(limits: Limits) -> Iterator[Desk]:
    with Workspace() as workspace:
        desk = Desk(workspace, limits)
        yield desk
        desk.service.queue.close()


@pytest.fixture
def desk() -> Iterator[Desk]:
    with opened(Limits(max_seconds=5)) as desk:
        yield desk


def test_a_job_leaves_video_table_and_files(desk: Desk) -> None:
    job = desk.ended(desk.upload(frames=6, fps=10))
    assert (job.state, job.error) == (State.DONE, "")
    outcome = job.result
    assert outcome.frames == 6
    assert outcome.rows == (
        TrackRow(100, "person", 1, 6, 6, 0.9),
        TrackRow(101, "car", 1, 6, 6, 0.8),
        TrackRow(102, "person", 1, 6, 6, 0.7),
    )
    assert {path.name for path in outcome.folder.iterdir()} == {TEXT, COCOVID, VIDEO, ARCHIVE}
    assert set(read_tracks(outcome.folder / TEXT).ids.tolist()) == {100, 101, 102}
    assert len(json.loads((outcome.folder / COCOVID).read_text())["annotations"]) == 18
    capture = cv2.VideoCapture(str(outcome.folder / VIDEO))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 6
    with zipfile.ZipFile(outcome.folder / ARCHIVE) as archive:
        assert archive.namelist() == [TEXT, COCOVID, VIDEO]
        for name in archive.namelist():
            assert archive.read(name) == (outcome.folder / name).read_bytes()
    assert (job.progress.done, job.progress.total) == (6, 6) or job.progress.step == "Packing the results"


@pytest.mark.parametrize("kind", [OWN, BISOFTMAX])
def test_a_model_with_masks_leaves_them_too_whatever_tracks_them(desk: Desk, kind: str) -> None:
    desk.session = MaskedWalkingSession()
    outcome = desk.ended(desk.upload(frames=6, fps=10), kind).result
    table, masks = read_tracks(outcome.folder / TEXT), read_mots(outcome.folder / MASKS)
    assert len(masks) == 18
    assert sorted(zip(masks.frames, masks.ids)) == sorted(zip(table.frames, table.ids))
    boxes = {(frame, one): box for frame, one, box in zip(table.frames, table.ids, table.bboxes)}
    for frame, one, (x, y, w, h) in zip(masks.frames, masks.ids, masks.bboxes):
        np.testing.assert_allclose(boxes[frame, one], [x, y - 1, w, h + 1], atol=1)
    entries = json.loads((outcome.folder / COCOVID).read_text())["annotations"]
    assert all(entry["segmentation"] for entry in entries)
    with zipfile.ZipFile(outcome.folder / ARCHIVE) as archive:
        assert archive.namelist() == [TEXT, MASKS, COCOVID, VIDEO]
        assert archive.read(MASKS) == (outcome.folder / MASKS).read_bytes()


def test_trackers_and_classes_change_and_the_weights_stay_loaded(desk: Desk) -> None:
    upload = desk.upload()
    ids = [{row.id for row in desk.ended(upload, kind).result.rows} for kind in (OWN, JDE, BISOFTMAX)]
    assert ids == [{100, 101, 102}, {100, 101, 102}, {0, 1, 2}]  # a JDE tracker is the configuration's own here
    assert {row.class_name for row in desk.ended(upload, classes=("vehicle",)).result.rows} == {"car"}
    assert len(desk.ended(upload, classes=("pedestrian", "vehicle")).result.rows) == 3
    assert {row.id for row in desk.ended(upload, JDE, score_thr=0.75).result.rows} == {1, 2}
    assert desk.loads == 1


def test_a_zip_of_pictures_is_tracked(desk: Desk) -> None:
    upload = write_zip(desk.workspace.files / "a.zip", {f"{i}.png": png(i) for i in range(4)})
    job = desk.ended(str(upload))
    assert (job.error, job.result.frames) == ("", 4)
    assert not (job.result.folder / "frames").exists()


def zipped(entries: dict[str, bytes], kind: int = zipfile.ZIP_STORED) -> bytes:
    with io.BytesIO() as file:
        with zipfile.ZipFile(file, "w", kind) as archive:
            for name, content in entries.items():
                archive.writestr(zipfile.ZipInfo(name), content, kind)  # without the time, for the same bytes each time
        return file.getvalue()


def damaged_zip(kind: int) -> bytes:
    """A zip whose packed bytes were turned round."""
    content = bytearray(zipped({"1.png": png(size=(400, 300)) + np.random.default_rng(0).bytes(5000)}, kind))
    for index in range(len(content) // 3, len(content) // 2):
        content[index] ^= 0xFF
    return bytes(content)


def bad_zips() -> dict[str, tuple[bytes, str]]:
    """By name: a zip that cannot be used, and what is said of it."""
    huge = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(huge, "PNG")
    return {
        "no-picture.zip": (zipped({"1.jpg": b"not a picture"}), "picture 1 of the zip is no JPEG picture"),
        "cut-picture.zip": (zipped({"1.png": png(), "2.png": png()[:20]}), "picture 2 of the zip is no PNG picture"),
        "huge.zip": (zipped({"1.png": huge.getvalue()}), "larger than this page takes (9.4 million pixels)"),
        "deflate.zip": (damaged_zip(zipfile.ZIP_DEFLATED), "cannot be unpacked"),
        "bzip2.zip": (damaged_zip(zipfile.ZIP_BZIP2), "cannot be unpacked"),
        "lzma.zip": (damaged_zip(zipfile.ZIP_LZMA), "cannot be unpacked"),
        "cut.zip": (zipped({"1.png": png()})[:-10], "cannot be unpacked"),
    }


BAD_UPLOADS: dict[str, tuple[bytes | None, str]] = {
    "text.mp4": (b"a text", "neither a video"),
    "cut.mp4": (None, "cannot be opened"),
    "empty.avi": (b"RIFF\x04\x00\x00\x00AVI LIST", "cannot be opened"),
    **bad_zips(),
}


@pytest.mark.parametrize("name", BAD_UPLOADS)
def test_a_bad_upload_is_one_line_leaves_nothing_and_the_next_one_works(desk: Desk, name: str) -> None:
    content, message = BAD_UPLOADS[name]
    good = desk.upload()
    path = desk.workspace.files / name
    path.write_bytes(Path(good).read_bytes()[:700] if content is None else content)
    job = desk.ended(str(path))
    assert job.state is State.FAILED
    assert message in job.error
    assert "in the server" not in job.error
    assert str(desk.workspace.root) not in job.error
    assert not list((desk.workspace.files / "jobs").iterdir())
    assert desk.ended(good).state is State.DONE


@pytest.mark.parametrize("name", ["shots.jpg/1.png", "9" * 5000 + ".png", "²/1.png"], ids=["folder", "long", "digit"])
def test_odd_names_in_a_zip_do_no_harm(desk: Desk, name: str) -> None:
    entries = {"shots.jpg/": b"", name: png(), "2.png": png()}
    assert desk.ended(str(write_zip(desk.workspace.files / "a.zip", entries))).error == ""


def test_a_video_that_was_cut_off_says_so(desk: Desk) -> None:
    content = Path(write_clip(desk.workspace.files / "whole.avi", frames=40, size=(160, 96))).read_bytes()
    (desk.workspace.files / "cut.avi").write_bytes(content[: len(content) * 5 // 6])
    outcome = desk.ended(str(desk.workspace.files / "cut.avi")).result
    assert 1 < outcome.frames < 36
    assert (outcome.said_frames, outcome.is_cut_off, outcome.rate) == (40, True, 10.0)


def test_no_job_begins_where_its_results_have_no_room(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    upload = desk.upload()
    size = Path(upload).stat().st_size
    monkeypatch.setattr(
        "clmot_qd.app.workspace.Workspace.used_bytes", lambda _: 20 * desk.service.limits.max_bytes - 2 * size
    )
    assert desk.ended(upload).state is State.DONE
    monkeypatch.setattr(
        "clmot_qd.app.workspace.Workspace.used_bytes", lambda _: 20 * desk.service.limits.max_bytes - size
    )
    with pytest.raises(InputError, match="no room left for the results"):
        desk.start(upload)


def test_messages_of_the_tracking_itself_hold_no_path_of_the_server(desk: Desk) -> None:
    entries = {"1.png": png(), "2.png": png(size=(32, 32))}
    job = desk.ended(str(write_zip(desk.workspace.files / "a.zip", entries)))
    assert "32x32" in job.error
    assert str(desk.workspace.root) not in job.error


def test_a_video_that_lies_about_its_length_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(Limits(max_frames=5)) as desk:
        monkeypatch.setattr("clmot_qd.app.clips._probe", lambda path, limits: (3, 10.0))
        job = desk.ended(desk.upload(frames=9))
        assert "6 frames; this page takes at most 5" in job.error
    with opened(Limits(max_seconds=0.45)) as desk:
        job = desk.ended(desk.upload(frames=9))
        assert "0.5 s long; this page takes at most 0.45 s" in job.error


def test_a_cancelled_job_stops_and_leaves_nothing(desk: Desk) -> None:
    desk.session.before_detection = lambda: desk.service.cancel("p")
    job = desk.ended(desk.upload())
    assert job.state is State.CANCELLED
    assert desk.session.detected == 1
    assert not list((desk.workspace.files / "jobs").iterdir())


def test_a_full_disk_is_told_as_the_operators_matter(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise InputError("/secret/tracks.mp4: cannot be written") from OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Tracking, "_write", full)
    assert "disk is full" in desk.ended(desk.upload()).error


def test_a_page_has_one_job_at_a_time(desk: Desk) -> None:
    def second() -> None:
        desk.session.before_detection = lambda: None
        with pytest.raises(Busy, match="tracking a video already"):
            desk.start(desk.upload(), page="a")
        told.append(desk.service.queue.ahead(desk.start(desk.upload(), page="b")))

    told: list[int] = []
    desk.session.before_detection = second
    assert desk.ended(desk.upload(), page="a").state is State.DONE
    assert told == [1]
    assert desk.ended(desk.upload(), page="a").state is State.DONE
    desk.service.cancel("nobody")


def test_what_was_not_uploaded_here_is_refused(desk: Desk, tmp_path: Path) -> None:
    outside = write_clip(tmp_path / "a.mp4")
    for upload, message in ((None, "choose a video first"), ("", "first"), (str(outside), "not uploaded here")):
        with pytest.raises(InputError, match=message):
            desk.start(upload)
    assert "choose it again" in desk.ended(str(desk.workspace.files / "swept.mp4")).error
    with pytest.raises(InputError, match="this model is not offered"):
        desk.service.start("p", desk.upload(), "other", OWN, Settings())
    with pytest.raises(InputError, match="knows pedestrian, vehicle"):
        desk.start(desk.upload(), classes=("dog",))


def test_the_example_is_drawn_once_and_can_be_tracked(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clmot_qd.app.service.EXAMPLE_FRAMES", 3)
    path = desk.service.example()
    drawn = path.stat().st_mtime_ns
    assert desk.service.example().stat().st_mtime_ns == drawn
    assert desk.workspace.holds(path)
    assert desk.ended(str(path)).result.frames == 3


def test_rows_are_what_a_loop_says() -> None:
    rng = np.random.default_rng(0)
    count = 200
    frames, ids = np.divmod(rng.permutation(400)[:count], 10)
    table = make_table(frames + 1, ids, rng.uniform(1, 9, (count, 4)), rng.random(count), rng.integers(1, 4, count))
    rows = track_rows(table, ("a", "b"))
    assert [row.id for row in rows] == sorted(set(ids.tolist()), key=lambda i: (min(frames[ids == i]), i))
    for row in rows:
        mine = [i for i in range(count) if table.ids[i] == row.id]
        assert (row.first, row.last) == (min(table.frames[mine]), max(table.frames[mine]))
        assert row.length == len(mine)
        assert row.score == pytest.approx(sum(table.scores[mine]) / len(mine), abs=6e-4)
        numbers = [int(table.class_ids[i]) for i in mine]
        most = max(sorted(set(numbers)), key=numbers.count)
        assert row.class_name == ("a", "b", "3")[most - 1]


def test_a_class_that_is_left_open_is_the_only_one() -> None:
    table = make_table(np.array([1]), np.array([7]), np.ones((1, 4)), np.array([0.5]))
    assert track_rows(table, ("person",))[0].class_name == "person"
    assert track_rows(table, ())[0].class_name == "object"
