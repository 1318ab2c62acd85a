"""The folder of the results: two runs at once, and sources that lie where results go."""

from __future__ import annotations

import importlib.util
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from stub_session import SquareSession, scene

from clmot_qd.apis.result_folder import check_folder
from clmot_qd.apis.video_io import VideoWriter
from clmot_qd.datasets.mot_text import read_tracks
from clmot_qd.errors import InputError

FRAMES = [scene(number) for number in range(8)]


def silent(done: int, total: int | None) -> None:
    pass


def write_pictures(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for number, frame in enumerate(FRAMES, start=1):
        cv2.imwrite(str(folder / f"{number:06d}.jpg"), frame)
    return folder


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# ------------------------------------------------------------------------------------------------------- two runs
def test_a_second_run_into_the_folder_is_refused_and_harms_nothing(tmp_path: Path) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow() -> Iterator[np.ndarray]:
        for number, frame in enumerate(FRAMES):
            yield frame
            if number == 3:
                begun.set()
                assert go_on.wait(90)

    outputs = ("mot", "frames")
    first = threading.Thread(
        target=lambda: SquareSession().track(slow(), tmp_path, outputs=outputs, progress=silent), daemon=True
    )
    first.start()
    assert begun.wait(90)
    before = content(tmp_path)
    with pytest.raises(InputError) as caught:
        SquareSession().track(FRAMES, tmp_path, outputs=outputs, progress=silent)
    assert str(caught.value) == f"{tmp_path}: another run is writing here; choose another --out-dir"
    after = content(tmp_path)  # the first run writes behind its network: it may have added to these meanwhile
    assert [name for name, data in before.items() if not after.get(name, b"").startswith(data)] == []
    go_on.set()
    first.join(90)
    assert not first.is_alive()
    assert read_tracks(tmp_path / "tracks.txt").frames.tolist() == np.repeat(np.arange(1, 9), 2).tolist()
    assert len(list((tmp_path / "frames").iterdir())) == 8
    SquareSession().track(FRAMES[:2], tmp_path, outputs=outputs, progress=silent)  # the lock is gone


def test_systems_without_locks_do_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fcntl", None)
    assert SquareSession().track(FRAMES, tmp_path, outputs=["mot"], progress=silent)


def test_results_of_another_run_are_not_called_this_ones(tmp_path: Path) -> None:
    """tracks.txt of an earlier run stands there, and the unfinished text of this one was taken away."""
    SquareSession().track(FRAMES, tmp_path, outputs=["mot"], progress=silent)

    def fail(done: int, total: int | None) -> None:
        (tmp_path / "tracks.partial.txt").unlink()
        raise InputError("enough")

    with pytest.raises(InputError, match=r"enough; the 1 frames tracked so far are in .*tracks\.partial\.txt"):
        SquareSession().track(FRAMES, tmp_path, outputs=["mot"], progress=fail)


# ------------------------------------------------------------------------------------------- sources in their place
@pytest.mark.parametrize("source", ["clip/frames", "clip/frames/*.jpg", "clip/frames/000001.jpg", "link"])
def test_pictures_are_not_replaced_by_those_made_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(write_pictures(tmp_path / "clip" / "frames"))
    before = content(tmp_path)
    with pytest.raises(InputError, match="the result would replace its source; choose another --out-dir"):
        SquareSession().track(source, "clip", outputs=["mot", "frames"], max_frames=3, progress=silent)
    assert content(tmp_path) == before
    SquareSession().track(source, "clip", outputs=["mot", "video"], max_frames=3, progress=silent)  # elsewhere in it
    SquareSession().track(source, "out", outputs=["frames"], max_frames=3, progress=silent)


@pytest.mark.parametrize("output", ["frames", "mot"])
def test_an_unfinished_folder_is_a_source_too(tmp_path: Path, output: str) -> None:
    write_pictures(tmp_path / "frames.partial")
    with pytest.raises(InputError, match="replace its source"):
        SquareSession().track(tmp_path / "frames.partial", tmp_path, outputs=[output], progress=silent)
    assert len(content(tmp_path)) == 8


def test_a_video_is_not_replaced_by_its_own_tracks(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "tracks.mp4", 10) as writer:
        for frame in FRAMES:
            writer.write(frame)
    before = content(tmp_path)
    with pytest.raises(InputError, match=r"tracks\.mp4: the result would replace its source"):
        SquareSession().track(tmp_path / "tracks.mp4", tmp_path, progress=silent)
    assert content(tmp_path) == before
    SquareSession().track(tmp_path / "tracks.mp4", tmp_path, outputs=["mot"], progress=silent)


# ------------------------------------------------------------------------------------------------ before the model
def test_a_folder_is_checked_without_being_made(tmp_path: Path) -> None:
    check_folder(tmp_path / "a" / "b")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("")
    for place in ("file", "file/out"):
        with pytest.raises(InputError, match="cannot be used as a folder for results"):
            check_folder(tmp_path / place)


class Model:
    """Stands for the inferencer: notes when it was loaded."""

    checkpoint_note = "loaded"
    device = "none"
    gives_masks = True
    order: list[str]

    def __init__(self, *args: Any, **options: Any) -> None:
        self.order.append("model")

    def track(self, *args: Any, **options: Any) -> list[Path]:
        return []


@pytest.mark.parametrize(
    ("source", "order"), [("rtsp://x/y", "model source"), ("0", "model source"), ("a.mp4", "source model")]
)
def test_live_sources_are_opened_after_the_model_was_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, order: str
) -> None:
    main = track_video(monkeypatch)
    main([source, "--config", "c", "--checkpoint", "w", "--out-dir", str(tmp_path)])
    assert " ".join(Model.order) == order


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--max-frames", "0"], "max_frames = 0"),
        (["--fps", "-1"], "fps = -1"),
        (["--out-dir", "FILE"], "cannot be used as a folder"),
        (["--outputs", "mots", "cocovid", "--show", "mask"], r"--show\) is about pictures, .*\(mots, cocovid\) is one"),
        (["--no-video", "--show", "id"], r"\(--show\) is about pictures, and no output \(mot\) is one; leave it out"),
    ],
)
def test_mistakes_are_told_before_the_model_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], message: str
) -> None:
    (tmp_path / "FILE").write_text("")
    monkeypatch.chdir(tmp_path)
    main = track_video(monkeypatch)
    with pytest.raises(InputError, match=message):
        main(["a.mp4", "--config", "c", "--checkpoint", "w", *options])
    assert Model.order == []


@pytest.mark.parametrize(("options", "pictures"), [([], True), (["--no-video"], False)])
@pytest.mark.parametrize("sources", [["a.mp4"], ["a.mp4", "b.mp4"]], ids=["one", "many"])
def test_no_video_leaves_the_choice_of_texts_to_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sources: list[str], options: list[str], pictures: bool
) -> None:
    asked: list[dict[str, Any]] = []
    main = track_video(monkeypatch)
    monkeypatch.setattr(Model, "track", lambda self, *args, **options: asked.append(options) or [])
    assert main([*sources, "--config", "c", "--checkpoint", "w", "--out-dir", str(tmp_path / "out"), *options]) == 0
    assert [(one["outputs"], one["pictures"]) for one in asked] == [(None, pictures)] * len(sources)


def test_no_video_is_not_said_beside_outputs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    main = track_video(monkeypatch)
    with pytest.raises(SystemExit):
        main(["a.mp4", "--config", "c", "--checkpoint", "w", "--no-video", "--outputs", "mot"])
    assert "argument --outputs: not allowed with argument --no-video" in capsys.readouterr().err


def track_video(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The command, with everything heavy replaced."""
    place = Path(__file__).parents[2] / "tools" / "track_video.py"
    spec = importlib.util.spec_from_file_location("track_video", place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    Model.order = []
    monkeypatch.setattr("clmot_qd.apis.inferencer.TrackingInferencer", Model)
    monkeypatch.setattr("clmot_qd.apis.frame_sources.open_source", lambda *args: Model.order.append("source") or args)
    return module.main
