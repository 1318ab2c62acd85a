"""Tracking into files: what they hold, what is asked for, and memory."""

from __future__ import annotations

import gc
import json
import logging
import sys
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
import supervision
from stub_session import SquareSession, scene

from clmot_qd.apis.sheet_output import SHEET_FRAMES, Sheet
from clmot_qd.apis.track_files import name_of, track_to_files
from clmot_qd.apis.track_outputs import Clip, CocoVid
from clmot_qd.datasets.mot_text import read_tracks
from clmot_qd.errors import InputError
from clmot_qd.evaluation import read_cocovid
from clmot_qd.trackers import Tracks

ALL = ("mot", "cocovid", "video", "frames", "sheet")
FRAMES = [scene(number) for number in range(14)]


def silent(done: int, total: int | None) -> None:
    pass


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# ------------------------------------------------------------------------------------------------- what the files hold
def test_every_output_holds_what_was_tracked(tmp_path: Path) -> None:
    shown: list[tuple[int, int | None]] = []
    session = SquareSession()
    written = session.track(
        FRAMES, tmp_path, outputs=ALL, max_frames=5, fps=12.5, progress=lambda *counts: shown.append(counts)
    )
    assert [path.name for path in written] == ["tracks.txt", "tracks.json", "tracks.mp4", "frames", "contact_sheet.png"]
    assert names_in(tmp_path) == sorted(path.name for path in written)
    assert shown == [(number, 5) for number in range(1, 6)]
    tracked = list(SquareSession().stream(FRAMES[:5]))

    table = read_tracks(written[0])
    assert table.frames.tolist() == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert table.ids.tolist() == [1, 2] * 5
    assert table.class_ids.tolist() == [1, 2] * 5
    corners = np.concatenate([tracks.bboxes for tracks in tracked])
    np.testing.assert_allclose(table.bboxes[:, :2], corners[:, :2], atol=1e-5)
    np.testing.assert_allclose(table.bboxes[:, :2] + table.bboxes[:, 2:], corners[:, 2:], atol=2e-5)

    document = json.loads(written[1].read_text())
    assert document["videos"] == [
        {"id": 1, "name": "frames", "fps": 12.5, "length": 5, "width": 96, "height": 64},
    ]
    assert document["categories"] == [{"id": 1, "name": "left"}, {"id": 2, "name": "right"}]
    assert [(image["id"], image["frame_id"]) for image in document["images"]] == [(n + 1, n) for n in range(5)]
    assert [entry["image_id"] for entry in document["annotations"]] == table.frames.tolist()
    assert [entry["instance_id"] for entry in document["annotations"]] == table.ids.tolist()
    assert [entry["category_id"] for entry in document["annotations"]] == table.class_ids.tolist()
    np.testing.assert_allclose([entry["bbox"] for entry in document["annotations"]], table.bboxes, atol=1e-5)
    truth = read_cocovid(written[1])
    assert truth.sequences["frames"].boxes.ids.tolist() == table.ids.tolist()

    with av.open(str(written[2])) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert float(stream.average_rate) == 12.5
        assert sum(1 for _ in container.decode(video=0)) == 5

    assert names_in(written[3]) == [f"{number:06d}.jpg" for number in range(1, 6)]
    picture = cv2.imread(str(written[3] / "000003.jpg"))
    assert picture.shape == (7 * 64, 7 * 96, 3), "small pictures are enlarged"
    assert cv2.imread(str(written[4])) is not None


def test_a_source_of_ones_own_may_fill_one_array_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing comes later, in a thread."""

    class Own:
        fps, size, name, is_live = 30.0, (96, 64), "mine", False

        def __iter__(self) -> Iterator[np.ndarray]:
            buffer = np.empty_like(FRAMES[0])
            for frame in FRAMES[:5]:
                buffer[:] = frame
                yield buffer

    def draw(self: Any, frame: np.ndarray, tracks: Tracks) -> np.ndarray:
        time.sleep(0.02)
        return frame.copy()

    monkeypatch.setattr("clmot_qd.visualization.TrackDrawer.draw", draw)
    for source, folder in ((Own(), "own"), (FRAMES[:5], "list")):
        SquareSession(prefetch=0).track(source, tmp_path / folder, outputs=["frames"], progress=silent)
    for path in (tmp_path / "list" / "frames").iterdir():
        assert (tmp_path / "own" / "frames" / path.name).read_bytes() == path.read_bytes()


def test_one_class_leaves_the_class_column_open(tmp_path: Path) -> None:
    written = SquareSession(("thing",)).track(FRAMES[:2], tmp_path, outputs=["mot"], progress=silent)
    assert {line.split(",")[7] for line in written[0].read_text().splitlines()} == {"-1"}


def test_labels_without_names_get_a_category(tmp_path: Path) -> None:
    written = SquareSession(()).track(FRAMES[:2], tmp_path, outputs=["cocovid"], progress=silent)
    found = json.loads(written[0].read_text())["categories"]
    assert found == [{"id": 1, "name": "class 0"}, {"id": 2, "name": "class 1"}]


def test_boxes_without_area_are_given_some(tmp_path: Path) -> None:
    """What a Kalman filter makes of an object that shrinks fast; the text has them so, too."""
    boxes = np.array([[5, 5, 5, 9], [1, 2, 3, 2], [4, 4, 4, 4], [1, 1, 9, 9]], np.float32)
    rows = np.arange(4)
    with CocoVid(Clip(tmp_path, "a", 30.0, (96, 64), ("thing",), None)) as output:
        output.add(1, Tracks(rows, boxes, np.ones(4, np.float32), 0 * rows, rows), None)
    bboxes = read_cocovid(output.path).sequences["a"].boxes.bboxes
    assert len(bboxes) == 4
    assert bboxes[:, 2:].min() == 1e-5


def test_frames_without_tracks_are_images_without_annotations(tmp_path: Path) -> None:
    written = SquareSession().track([np.zeros((64, 96, 3), np.uint8)] * 3, tmp_path, outputs=ALL, progress=silent)
    assert written[0].read_text() == ""
    document = json.loads(written[1].read_text())
    assert (document["annotations"], len(document["images"])) == ([], 3)


def test_another_run_replaces_the_pictures_and_leaves_other_files(tmp_path: Path) -> None:
    SquareSession().track(FRAMES[:5], tmp_path, outputs=["frames"], progress=silent)
    (tmp_path / "frames" / "mine.jpg").write_bytes(b"kept")
    SquareSession().track(FRAMES[:2], tmp_path, outputs=["frames"], progress=silent)
    assert names_in(tmp_path / "frames") == ["000001.jpg", "000002.jpg", "mine.jpg"]
    assert names_in(tmp_path) == ["frames"]


def test_the_bar_goes_to_standard_error(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    SquareSession().track(FRAMES[:3], tmp_path, outputs=["mot"])
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "3/3" in shown.err


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("a/My clip.mp4", "My_clip"),
        ("MOT17-02/img1", "MOT17-02"),
        ("frames/*.png", "video"),
        ("x/clip-1", "clip-1"),
        (Path("x/clip-1"), "clip-1"),
        (0, "camera_0"),
        (np.int64(3), "camera_3"),
        ("rtsp://192.168.1.10", "192.168.1.10"),
        (".hidden", "hidden"),
        ("rtsp://user:secret@host:554", "host_554"),
        ("rtsp://user:secret@host/street", "street"),
        ([], "frames"),
    ],
)
def test_result_folder_names(source: Any, name: str) -> None:
    assert name_of(source) == name


def test_folders_keep_their_dots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """cam.1 and cam.2 are two cameras, and ".." is called as it is elsewhere."""
    inner = tmp_path / "street" / "cam.1"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    assert [name_of(name) for name in (".", "..", inner, "../cam.1", "../cam.2")] == [
        "cam.1",
        "street",
        "cam.1",
        "cam.1",
        "cam",
    ]


def test_pictures_keep_their_names_in_json(tmp_path: Path) -> None:
    clip = tmp_path / "clip"
    for number, name in enumerate(["a/7.png", "a/8.png", "b/7.png"]):
        (clip / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(clip / name), scene(number))

    def names(source: Any) -> list[str]:
        written = SquareSession().track(source, tmp_path / "out", outputs=["cocovid"], progress=silent)
        return [image["file_name"] for image in json.loads(written[0].read_text())["images"]]

    assert names(clip / "a") == ["7.png", "8.png"]
    assert names(f"{clip}/*/*.png") == ["a/7.png", "a/8.png", "b/7.png"]
    assert names(FRAMES[:2]) == ["000001.jpg", "000002.jpg"]


@pytest.mark.parametrize(
    ("classes", "show", "labels"),
    [
        (("left", "right"), None, {"1 left 0.90", "2 right 0.60"}),
        (("thing",), None, {"1 0.90", "2 0.60"}),
        (("left", "right"), ["id"], {"1", "2"}),
        (("left", "right"), ["score", "class"], {"left 0.90", "right 0.60"}),
    ],
)
def test_what_stands_beside_the_boxes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, classes: tuple[str, ...], show: Any, labels: set[str]
) -> None:
    seen: set[str] = set()
    original = supervision.LabelAnnotator.annotate
    monkeypatch.setattr(
        supervision.LabelAnnotator,
        "annotate",
        lambda self, *args, labels: (seen.update(labels), original(self, *args, labels=labels))[1],
    )
    SquareSession(classes).track(FRAMES[:1], tmp_path, outputs=["frames"], progress=silent, show=show)
    assert seen == labels


def test_large_pictures_are_made_small_before_they_are_kept(tmp_path: Path) -> None:
    with Sheet(Clip(tmp_path, "clip", 10.0, (1920, 1080), ("a",), 5)) as sheet:
        for number in range(1, 6):
            sheet.add(number, Tracks.empty(), np.zeros((1080, 1920, 3), np.uint8))
        assert {picture.shape for picture in sheet._pictures.values()} == {(360, 640, 3)}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(max_frames=1.5), "max_frames = 1.5: must be a whole number"),
        (dict(max_frames="3"), "max_frames = '3': must be a whole number"),
        (dict(fps=0), "fps = 0: must be a positive number"),
        (dict(fps="a"), "fps = 'a': must be a positive number"),
        (dict(show=["ids"]), "show = .*: give a list of id, class, score"),
        (dict(max_frames=0), "max_frames = 0"),
        (dict(outputs=["mot", "gif"]), "output 'gif' is unknown; choose from mot, mots, cocovid, video, frames, sheet"),
        (dict(outputs=[]), "outputs"),
        (dict(outputs="mot"), "outputs = 'mot': give a list"),
        (dict(outputs=["mot", "mot"]), "different names"),
        (
            dict(show=["mask"], outputs=["mots", "cocovid"]),
            r"show \(--show\) is about pictures, and no output \(mots, cocovid\) is one; leave it out, or add vi",
        ),
        (dict(show=["id"], pictures=False), r"no output \(mot\) is one"),
        (dict(fps=5000.0, outputs=["video"]), "fps = 5000"),
    ],
)
def test_wrong_arguments_are_named_before_anything_is_tracked(
    tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    session = SquareSession()
    with pytest.raises(InputError, match=message):
        session.track(FRAMES, tmp_path / "out", progress=silent, **options)
    assert session.batches == []


# ---------------------------------------------------------------------------------------------------- memory, the sheet
def test_frames_that_are_overwritten_are_drawn_as_they_were(tmp_path: Path) -> None:
    """Pictures are drawn later, in a thread."""

    def reusing() -> Iterator[np.ndarray]:
        buffer = np.empty_like(FRAMES[0])
        for frame in FRAMES:
            buffer[:] = frame
            yield buffer

    for name, frames in (("own", FRAMES), ("same", reusing())):
        SquareSession().track(frames, tmp_path / name, outputs=["frames"], progress=silent)
    for picture in (tmp_path / "own" / "frames").iterdir():
        assert (tmp_path / "same" / "frames" / picture.name).read_bytes() == picture.read_bytes()


@pytest.mark.parametrize(("outputs", "slack"), [(["mot", "cocovid"], 50_000), (["video"], 2_500_000)])
def test_memory_does_not_grow_with_the_video(tmp_path: Path, outputs: list[str], slack: int) -> None:
    """200 frames more with 400 boxes more: keeping their tracks would take a kilobyte each, their pictures 460.

    A few frames and pictures may wait for the thread that draws and encodes.
    """
    held: dict[int, int] = {}

    def measure(done: int, total: int | None) -> None:
        if done in (60, 260):
            gc.collect()
            held[done] = tracemalloc.get_traced_memory()[0]

    frames = (scene(number) for number in range(270))
    tracemalloc.start()
    SquareSession(batch_size=2).track(frames, tmp_path, outputs=outputs, progress=measure)
    tracemalloc.stop()
    assert held[260] < held[60] + slack, held


@pytest.mark.parametrize("length", [None, 3, 500])
def test_the_contact_sheet_is_spread_over_all_of_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, length: int | None
) -> None:
    captions: list[str] = []
    monkeypatch.setattr(
        "clmot_qd.visualization.contact_sheet",
        lambda frames, columns, texts: captions.extend(texts) or frames[0],
    )
    count = length or 500
    with Sheet(Clip(tmp_path, "clip", 10.0, (32, 32), ("a",), length)) as sheet:
        for number in range(1, count + 1):
            sheet.add(number, Tracks.empty(), np.zeros((32, 32, 3), np.uint8))
    numbers = [int(text.split()[1]) for text in captions]
    assert len(numbers) == min(SHEET_FRAMES, count)
    assert numbers[0] == 1
    assert max(np.diff(numbers)) <= 2 * min(np.diff(numbers))
    assert numbers[-1] >= (count if length else 400)


def test_a_clip_shorter_than_said_still_gets_its_sheet(tmp_path: Path) -> None:
    class Short(list):
        def __len__(self) -> int:
            return 100

    written = SquareSession().track(Short(FRAMES), tmp_path, outputs=["sheet"], progress=silent)
    assert cv2.imread(str(written[0])) is not None


def test_text_alone_needs_no_library_for_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "supervision", None)
    SquareSession().track(FRAMES[:2], tmp_path / "a", outputs=["mot", "cocovid"], progress=silent)
    with pytest.raises(InputError, match="pip install supervision"):
        SquareSession().track(FRAMES[:2], tmp_path / "b", outputs=["video"], progress=silent)
    assert names_in(tmp_path / "b") == []


def test_without_pyav_the_video_says_what_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "clmot_qd.apis.video_io", raising=False)
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(InputError, match="pip install av"):
        SquareSession().track(FRAMES[:2], tmp_path, progress=silent)
    assert SquareSession().track(FRAMES[:2], tmp_path, outputs=["mot", "frames"], progress=silent)


def test_the_log_is_quiet_when_all_goes_well(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        track_to_files(SquareSession(), FRAMES, tmp_path, progress=silent)
    assert caplog.records == []
