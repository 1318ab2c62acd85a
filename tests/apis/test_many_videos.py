"""Many videos: which they are, where their results go, who tracks them, and what is left when one fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from forked_processes import run_forked
from stub_session import MaskedSquareSession, SquareSession, scene

from clmot_qd.apis import many_videos
from clmot_qd.apis.many_videos import Job, expand_sources, is_finished, plan_jobs, share_out, track_each, track_shared
from clmot_qd.errors import InputError


def write_pictures(folder: Path, frames: int) -> Path:
    folder.mkdir(parents=True)
    for number in range(frames):
        cv2.imwrite(str(folder / f"{number:03d}.png"), scene(number))
    return folder


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """Three sequences of 4, 6 and 5 frames, one of them in MOTChallenge's folder, and things that are none."""
    root = tmp_path / "clips"
    write_pictures(root / "clip2", 6)
    write_pictures(root / "clip10", 5)
    write_pictures(root / "clip1" / "img1", 4)
    (root / ".hidden.mp4").write_bytes(b"")
    (root / "notes.md").write_text("none")
    (root / "empty").mkdir()
    return root


def test_a_folder_holds_videos_in_natural_order(clips: Path) -> None:
    assert expand_sources([str(clips)]) == [str(clips / name) for name in ("clip1", "clip2", "clip10")]
    (clips / "clip3.MP4").write_bytes(b"")
    assert [Path(source).name for source in expand_sources([str(clips)])] == ["clip1", "clip2", "clip3.MP4", "clip10"]


def test_what_is_one_source_stays_what_it_is(clips: Path) -> None:
    for source in (str(clips / "clip2"), str(clips / "clip1"), str(clips / "empty"), "0", "no such file", "a/*.png"):
        assert expand_sources([source]) == [source]
    assert expand_sources(["rtsp://camera/stream.txt"]) == ["rtsp://camera/stream.txt"]


def test_a_number_is_a_camera_whatever_is_called_so(clips: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clips.rename(clips.with_name("0"))
    monkeypatch.chdir(clips.parent)
    assert expand_sources(["0"]) == ["0"]
    assert len(expand_sources(["./0"])) > 1


def test_a_name_that_no_file_can_have_is_told() -> None:
    with pytest.raises(InputError, match=r"cannot be read \(File name too long\); check the path"):
        expand_sources(["a" * 5000])


def test_a_list_names_videos_from_its_own_folder(clips: Path) -> None:
    listed = clips / "videos.txt"
    listed.write_text(f"\ufeff# ours\r\n\r\nclip2\r\n {clips / 'clip10'} \r\nhttps://host/clip.mp4\r\nclip2\r\n")
    assert expand_sources([str(listed)]) == [str(clips / "clip2"), str(clips / "clip10"), "https://host/clip.mp4"]
    listed.write_text("clip2\nclip7\n")
    with pytest.raises(InputError, match=r"videos\.txt: line 2: .*clip7: no such file or folder"):
        expand_sources([str(listed)])
    listed.write_text("# none\n")
    with pytest.raises(InputError, match=r"videos\.txt: lists no video"):
        expand_sources([str(listed)])


def test_results_of_equal_names_get_the_folder_before_them(tmp_path: Path) -> None:
    one, two = write_pictures(tmp_path / "east" / "cam", 1), write_pictures(tmp_path / "west" / "cam" / "img1", 1)
    three = write_pictures(tmp_path / "tower", 1)
    jobs = plan_jobs([str(one), str(two.parent), str(three), str(one)], "out")
    assert [job.folder.as_posix() for job in jobs] == ["out/east_cam", "out/west_cam", "out/tower"]
    assert [job.source for job in jobs] == [str(one), str(two), str(three)]


def test_names_that_one_folder_would_hold_are_refused(tmp_path: Path) -> None:
    one, two = write_pictures(tmp_path / "a" / "x", 1), write_pictures(tmp_path / "b" / "a" / "x", 1)
    with pytest.raises(InputError, match="their results would have one folder, a_x"):
        plan_jobs([str(one), str(two)], "out")
    with pytest.raises(InputError, match="their results would have one folder, X"):
        plan_jobs([str(one), str(tmp_path / "X")], "out")


@pytest.mark.parametrize("source", ["0", "rtsp://user:secret@camera/stream"])
def test_what_does_not_end_is_refused(source: str) -> None:
    with pytest.raises(InputError, match="a camera or a stream does not end") as refused:
        plan_jobs(["a.mp4", source], "out")
    assert "secret" not in str(refused.value)


def test_videos_are_shared_by_their_frames(clips: Path) -> None:
    jobs = plan_jobs(expand_sources([str(clips)]), "out")
    (clips / "broken.mp4").write_text("none")
    shares = share_out([*jobs, Job(str(clips / "broken.mp4"), Path("out/broken"))], 3)
    assert [[job.folder.name for job in hand] for hand in shares] == [["clip2"], ["clip10"], ["clip1", "broken"]]
    assert share_out(jobs[:1], 3)[1:] == [[], []]


def test_one_process_opens_no_video_to_share_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(many_videos, "open_source", lambda source: pytest.fail("opened"))
    jobs = [Job("a.mp4", Path("out/a")), Job("b.mp4", Path("out/b"))]
    assert share_out(jobs, 1) == [jobs]


def test_a_pattern_without_quotes_is_no_list_of_videos(clips: Path, tmp_path: Path) -> None:
    """It gave each picture a folder of results."""
    given = [str(path) for path in sorted((clips / "clip2").iterdir())]
    with pytest.raises(InputError) as refused:
        plan_jobs(expand_sources(given), tmp_path / "out")
    pattern = clips / "clip2" / "*.png"
    assert str(refused.value) == (
        f"{given[0]}: one picture is no video; give its folder, or quote the pattern: '{pattern}'"
    )
    assert len(plan_jobs(given[:1], tmp_path / "out")) == 1


def test_a_folder_of_videos_and_pictures_is_refused(clips: Path) -> None:
    """The videos were ignored."""
    (clips / "clip1" / "street.mp4").write_bytes(b"")
    with pytest.raises(InputError, match="clip1: holds videos, and a folder of pictures beside them; name those that"):
        expand_sources([str(clips / "clip1")])
    (clips / "clip2" / "street.mp4").write_bytes(b"")
    assert expand_sources([str(clips / "clip2")]) == [str(clips / "clip2")]  # its pictures are what it is opened for


def test_one_failure_does_not_stop_the_others(clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (clips / "clip3.mp4").write_text("none")
    cv2.imwrite(str(clips / "clip2" / "004.png"), np.zeros((8, 8, 3), np.uint8))
    sources = expand_sources([str(clips)])
    assert not track_shared(SquareSession, sources, tmp_path / "out", outputs=["mot"])
    printed = capsys.readouterr()
    assert printed.out.splitlines()[-1] == "2 videos tracked, 2 failed"
    assert "clip3.mp4: cannot be read as a video" in printed.err
    assert "004.png" in printed.err
    assert sorted(path.parent.name for path in (tmp_path / "out").rglob("tracks.txt")) == ["clip1", "clip10"]


def test_errors_that_are_ours_do_not_stop_the_others_either(clips: Path, tmp_path: Path) -> None:
    class Failing(SquareSession):
        def _reset_tracker(self) -> None:
            if self.batches and len(self.batches) < 5:
                raise RuntimeError("out of memory\nand more")
            super()._reset_tracker()

    jobs = plan_jobs(expand_sources([str(clips)]), tmp_path / "out")
    errors = [job.error for job in track_each(Failing(), jobs, outputs=["mot"])]
    assert errors[0] is None
    assert errors[1] == f"{clips / 'clip2'}: RuntimeError: out of memory"
    with pytest.raises(KeyboardInterrupt):
        track_each(SquareSession(), jobs, interrupt, outputs=["mot"])


def interrupt(job: Job) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("options", [dict(outputs=["mot", "mots"]), dict(show=["mask"])], ids=["outputs", "show"])
def test_masks_of_a_model_without_are_refused_once_and_not_for_each_video(
    clips: Path, tmp_path: Path, options: dict[str, Any]
) -> None:
    with pytest.raises(InputError, match="this model gives boxes alone"):
        track_shared(SquareSession, expand_sources([str(clips)]), tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_finished_videos_are_left_out(clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    out, sources = tmp_path / "out", expand_sources([str(clips)])
    assert track_shared(SquareSession, sources, out, outputs=["mot"])
    (out / "clip2" / "tracks.txt").unlink()
    (out / "clip10" / "tracks.partial.txt").write_text("a later run that stopped")
    capsys.readouterr()
    assert track_shared(SquareSession, sources, out, outputs=["mot"], skip_finished=True)
    assert capsys.readouterr().out.splitlines() == [
        f"wrote {out / 'clip2'}",
        f"wrote {out / 'clip10'}",
        "2 videos tracked, 1 finished before, 0 failed",
    ]
    assert not is_finished(plan_jobs(sources, out)[0], ["mot", "cocovid"])
    assert track_shared(lambda: pytest.fail("not needed"), sources, out, outputs=["mot"], skip_finished=True)
    assert many_videos.plan_jobs(sources, out)[0].error is None


def test_finished_texts_are_left_out(clips: Path, tmp_path: Path) -> None:
    out, sources = tmp_path / "out", expand_sources([str(clips)])
    assert track_shared(MaskedSquareSession, sources, out, pictures=False)
    assert {path.name for path in out.glob("*/*")} == {"tracks.txt", "tracks_mots.txt"}
    options = dict(skip_finished=True, pictures=False)
    assert track_shared(lambda: pytest.fail("not needed"), sources, out, **options)


def test_processes_share_the_videos(clips: Path, tmp_path: Path) -> None:
    """Also where there are more processes than videos."""
    (clips / "clip4.mp4").write_text("none")
    run_forked("apis.shared_videos", [("shared", 1), ("shared", 2), ("shared", 6)], tmp_path)
    assert {path.read_text() for path in tmp_path.glob("good-*")} == {"False"}
    assert len([*tmp_path.glob("good-*")]) == 9
    alone, *others = (results_of(tmp_path / f"of-{count}") for count in (1, 2, 6))
    assert sorted(alone) == [f"clip{n}/tracks.{suffix}" for n in (1, 10, 2) for suffix in ("json", "txt")]
    assert others == [alone, alone]


def results_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
