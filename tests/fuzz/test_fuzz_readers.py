"""Damaged files: every reader reads them or refuses them in one line, in bounded time and memory.

``campaign.py`` makes the files; the same seed makes the same ones.
"""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest
from locations import REPOSITORY

sys.path.append(str(Path(__file__).parent))
from guarded import guarded
from mutators import damage

from clmot_qd.errors import InputError

CAMPAIGN = REPOSITORY / "tests" / "fuzz" / "campaign.py"


def _run(cases: int, seed: int) -> str:
    command = [sys.executable, str(CAMPAIGN), "--cases", str(cases), "--seed", str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_few_damaged_files_of_every_kind() -> None:
    printed = _run(12, 20261122)
    readers = printed.count(" FAULTS")
    assert readers >= 45  # none was left out
    assert f"{12 * readers} cases" in printed


@pytest.mark.slow
def test_many_damaged_files_of_every_kind() -> None:
    _run(500, 7)


class TestHarness:
    """What looks for faults finds them."""

    def test_read_and_refused(self) -> None:
        assert guarded(lambda: None) == ("read", "")
        assert guarded(lambda: _raise(InputError("file.txt:3: wrong"))) == ("refused", "file.txt:3: wrong")

    @pytest.mark.parametrize(
        "error", [KeyError("x"), RecursionError(), MemoryError(), SystemExit(1), ValueError("x\ny")]
    )
    def test_any_other_error_is_a_fault(self, error: BaseException) -> None:
        kind, told = guarded(lambda: _raise(error))
        assert kind == "fault"
        assert told.startswith(type(error).__name__)

    def test_memory(self) -> None:
        assert guarded(lambda: bytearray(200 << 20))[0] == "fault"

    def test_memory_that_is_refused(self) -> None:
        assert guarded(lambda: bytes(1 << 40)) == guarded(lambda: bytes(1 << 40))
        assert guarded(lambda: bytes(1 << 40))[1].startswith("MemoryError")

    def test_message_of_two_lines(self) -> None:
        error = InputError("one")
        error.args = ("one\ntwo",)
        assert guarded(lambda: _raise(error))[0] == "fault"

    @pytest.mark.parametrize(
        ("kind", "content"),
        [("json", b'{"a": [1, {"b": 2}]}'), ("text", b"1,2,3\n4,5,6\n"), ("binary", bytes(range(99)))],
    )
    def test_the_same_generator_makes_the_same_file(self, kind: str, content: bytes) -> None:
        made = [[damage(content, kind, random.Random(f"{seed}")) for seed in range(200)] for _ in (1, 2)]
        assert made[0] == made[1]
        assert len(set(made[0])) > 50


def _raise(error: BaseException) -> None:
    raise error
