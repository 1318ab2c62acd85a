"""Writing all or nothing, and how a user's mistake is shown."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from torch.utils.data import DataLoader

from clmot_qd.errors import InputError, one_line, run_command
from clmot_qd.files import atomic_path, check_writable, write_text


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "file.txt"
    write_text(target, "old")

    def write_half() -> None:
        with atomic_path(target) as path:
            path.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert [p.name for p in target.parent.iterdir()] == ["file.txt"]
    assert target.read_text() == "old"


def test_a_written_file_has_the_usual_permissions_and_suffix(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    with atomic_path(tmp_path / "video.mp4") as path:
        assert path.suffix == ".mp4"
        assert path.parent == tmp_path
        path.write_text("x")
    assert (tmp_path / "video.mp4").stat().st_mode == (tmp_path / "plain").stat().st_mode


def fail(error: BaseException) -> int:
    raise error


@pytest.mark.parametrize(
    ("main", "code", "text"),
    [
        (lambda: None, 0, ""),
        (lambda: 3, 3, ""),
        (lambda: fail(InputError("a.txt:3: wrong; mend it")), 2, "error: a.txt:3: wrong; mend it\n"),
        (lambda: fail(KeyboardInterrupt()), 130, "stopped\n"),
    ],
)
def test_exit_codes(main, code: int, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        run_command(main)
    assert raised.value.code == code
    assert capsys.readouterr().err == text


def test_a_defect_of_ours_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        run_command(lambda: 1 // 0)


class Broken:
    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> int:
        raise InputError("frame 7: unreadable; replace it")


def test_an_error_in_a_loader_process_is_told_in_its_own_words() -> None:
    with pytest.raises(InputError) as raised:
        next(iter(DataLoader(Broken(), num_workers=1)))
    assert one_line(raised.value) == "frame 7: unreadable; replace it"


def test_an_error_while_a_registry_builds_is_told_in_its_own_words() -> None:
    def build() -> None:
        try:
            raise InputError("train.json: no such file (ann_file)")
        except Exception as error:
            raise type(error)(f"class `X` in x.py: {error}") from None

    with pytest.raises(InputError) as raised:
        build()
    assert one_line(raised.value) == "train.json: no such file (ann_file)"


@pytest.mark.parametrize("name", ["folder", "", "file/below"])
def test_where_no_file_can_be_written(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    for write in (check_writable, lambda target: write_text(target, "x")):
        with pytest.raises(InputError, match=r"a folder; name the file to write|cannot be written"):
            write(name)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


def test_a_command_that_is_ended_from_outside_cleans_up(tmp_path: Path) -> None:
    program = """
import os, signal, sys
from clmot_qd.errors import run_command
from clmot_qd.files import atomic_path
def main():
    with atomic_path(sys.argv[1]) as path:
        os.kill(os.getpid(), signal.SIGTERM)
        path.write_text("never")
run_command(main)
"""
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path / "out.json")], check=False)
    assert done.returncode == 128 + 15
    assert not list(tmp_path.iterdir())
