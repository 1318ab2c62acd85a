"""Cases take turns, what is not meant to be timed is not, and one broken case costs nobody else's figures."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from clmot_qd.benchmark import measuring
from clmot_qd.benchmark.cases import Case, Group, Missing, Options, ProcessCase
from clmot_qd.benchmark.measuring import Measurement, measure_group, times_faster
from clmot_qd.benchmark.processes import run_process
from clmot_qd.errors import InputError

THREE = Options(rounds=3)


class Clock:
    """A clock that the cases turn themselves."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now

    def takes(self, *seconds: float):
        """A function whose calls take so long, one after the other; the last for ever."""
        left = list(seconds)

        def run() -> None:
            self.now += left.pop(0) if len(left) > 1 else left[0]

        return run


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(measuring, "time", clock)
    return clock


def group(*cases: Case | ProcessCase | Missing, **fields) -> Group:
    return Group("here", "some", "frame", list(cases), **fields)


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


class TestTurns:
    def test_a_b_a_b_after_one_call_each_that_is_not_counted(self) -> None:
        calls: list[str] = []
        cases = [Case(name, lambda name=name: calls.append(name)) for name in "ab"]
        result = measure_group(group(*cases), THREE)
        assert "".join(calls) == "ab" + "ab" * 3
        assert [len(entry.seconds) for entry in result.measurements] == [3, 3]

    def test_the_first_call_is_not_counted_and_the_rest_is(self, clock: Clock) -> None:
        result = measure_group(group(Case("a", clock.takes(100, 1, 2, 6), units=2)), THREE)
        assert result.measurements[0].seconds == [0.5, 1, 3]
        assert result.measurements[0].median == 1
        assert result.measurements[0].quartiles == (0.75, 2)

    def test_what_comes_before_a_run_is_not_timed(self, clock: Clock) -> None:
        order: list[str] = []
        case = Case(
            "a", lambda: order.append("run"), before=lambda: (order.append("before"), clock.takes(50)()), units=1
        )
        assert measure_group(group(case), THREE).measurements[0].seconds == [0, 0, 0]
        assert order == ["before", "run"] * 4

    def test_as_many_as_fit_into_some_seconds(self, clock: Clock) -> None:
        least, most, seconds = measuring._TURNS
        slow = measure_group(group(Case("a", clock.takes(seconds))), Options())
        fast = measure_group(group(Case("a", clock.takes(seconds / 1000))), Options())
        between = measure_group(group(Case("a", clock.takes(seconds / 9.5))), Options())
        counts = [len(result.measurements[0].seconds) for result in (slow, between, fast)]
        assert counts == [least, 10, most]

    def test_quick_takes_fewer(self, clock: Clock) -> None:
        case = group(Case("a", clock.takes(10)))
        assert len(measure_group(case, Options(quick=True)).measurements[0].seconds) == 1

    def test_a_group_may_limit_its_turns_but_not_raise_them(self, clock: Clock) -> None:
        assert len(measure_group(group(Case("a", clock.takes(1)), rounds=2), THREE).measurements[0].seconds) == 2
        assert len(measure_group(group(Case("a", clock.takes(1)), rounds=9), THREE).measurements[0].seconds) == 3

    def test_the_ratio_is_taken_within_a_turn(self) -> None:
        """The machine slows down tenfold: the medians' ratio would be off, the turns' ratio is not."""
        ours, peer = Measurement("a", seconds=[1, 10, 10]), Measurement("b", peer=True, seconds=[2, 20, 2])
        assert times_faster(ours, peer) == 2
        assert peer.median / ours.median == pytest.approx(0.2)

    def test_progress_is_told(self) -> None:
        told: list[tuple[str, int]] = []
        measure_group(group(Case("a", lambda: None), rounds=1), THREE, lambda *what: told.append(what))
        assert told == [("a", 0), ("a", 1)]

    def test_the_garbage_collector_is_left_as_it_was(self) -> None:
        measure_group(group(Case("a", lambda: None)), THREE)
        assert gc.isenabled()
        assert gc.get_freeze_count() == 0

    def test_memory_is_asked_once(self) -> None:
        asked: list[int] = []
        case = Case("a", lambda: None, memory=lambda: asked.append(1) or 2.5)
        assert measure_group(group(case), THREE).measurements[0].memory == 2.5
        assert asked == [1]


class TestTrouble:
    def test_one_broken_case_costs_nobody_elses_figures(self, capsys: pytest.CaptureFixture[str]) -> None:
        def wrong() -> None:
            raise ValueError("no such thing\nand more")

        broken, whole = measure_group(group(Case("a", wrong), Case("b", lambda: None)), THREE).measurements
        assert (broken.problem, broken.seconds) == ("failed: ValueError: no such thing", [])
        assert (whole.problem, len(whole.seconds)) == (None, 3)
        assert "Traceback" in capsys.readouterr().err

    def test_a_users_mistake_is_one_line(self, capsys: pytest.CaptureFixture[str]) -> None:
        def wrong() -> None:
            raise InputError("there: wrong; do so")

        assert measure_group(group(Case("a", wrong)), THREE).measurements[0].problem == "failed: there: wrong; do so"
        assert not capsys.readouterr().err

    def test_ctrl_c_ends_it(self) -> None:
        def stop() -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            measure_group(group(Case("a", stop)), THREE)

    def test_a_later_turn_may_break(self) -> None:
        outcomes = iter([0, 0, 1])
        case = Case("a", lambda: 1 / (1 - next(outcomes)))
        entry = measure_group(group(case), THREE).measurements[0]
        assert entry.problem == "failed: ZeroDivisionError: division by zero"
        assert len(entry.seconds) == 1

    def test_what_is_not_installed_says_what_to_do(self) -> None:
        entry = measure_group(group(Missing("x", "pip install x")), THREE).measurements[0]
        assert (entry.problem, entry.seconds, entry.peer) == ("pip install x", [], False)


class TestProcesses:
    def test_time_and_memory_from_outside(self) -> None:
        small = ProcessCase("s", python("pass"))
        large = ProcessCase("l", python("import time; x = bytearray(200 << 20); time.sleep(0.3)"), units=3)
        _, low = run_process(small, THREE)
        started = time.perf_counter()
        seconds, high = run_process(large, THREE)
        assert 0.1 < seconds <= (time.perf_counter() - started) / 3
        assert 190 < high - low < 260

    def test_the_memory_of_this_process_is_not_counted(self) -> None:
        """A new process takes over its parent's peak until it loads its own program."""
        ours = np.ones(400 << 17)  # 400 MiB
        _, peak = run_process(ProcessCase("s", python("pass")), THREE)
        assert peak < 100 < ours.nbytes / 2**20

    def test_what_it_reports_itself_counts(self) -> None:
        code = "from clmot_qd.benchmark.cases import report_figures; report_figures(0.25, 12.5); print('done')"
        assert run_process(ProcessCase("s", python(code), units=10), THREE) == (0.25, 12.5)

    def test_it_may_leave_its_memory_to_the_system(self) -> None:
        code = "from clmot_qd.benchmark.cases import report_figures; report_figures(0.25)"
        seconds, peak = run_process(ProcessCase("s", python(code)), THREE)
        assert seconds == 0.25
        assert peak > 1

    def test_other_json_that_it_prints_is_its_own_affair(self) -> None:
        seconds, _ = run_process(ProcessCase("s", python("print('[1]'); print('{\"loss\": 1}'); print(3)")), THREE)
        assert seconds > 0

    def test_its_threads_are_those_of_the_options(self) -> None:
        code = "import os, sys; sys.exit(os.environ['OMP_NUM_THREADS'])"
        failed = measure_group(group(ProcessCase("s", python(code))), Options(rounds=1, threads=7)).measurements[0]
        assert failed.problem == "failed: exit code 1: 7"

    def test_a_process_that_fails_says_its_last_words(self) -> None:
        case = ProcessCase("s", python("import sys; print('reading', file=sys.stderr); sys.exit('no disk')"))
        entry = measure_group(group(case), THREE).measurements[0]
        assert (entry.problem, entry.seconds) == ("failed: exit code 1: no disk", [])

    def test_a_process_killed_by_a_signal_fails(self) -> None:
        case = ProcessCase("s", python("import os; os.kill(os.getpid(), 9)"))
        assert measure_group(group(case), THREE).measurements[0].problem == "failed: exit code 137: no message"

    def test_ctrl_c_leaves_no_process_behind(self, tmp_path: Path) -> None:
        """The command's own children included."""
        marks = [tmp_path / "outer", tmp_path / "inner"]
        sleep = "import os, sys, time; open(sys.argv[1], 'w').write(str(os.getpid())); time.sleep(60)"
        outer = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {sleep!r}, {str(marks[1])!r}]); "
        argv = [sys.executable, "-c", outer + sleep, str(marks[0])]
        program = f"from clmot_qd.benchmark.processes import *; run_process(ProcessCase('x', {argv!r}), Options())"
        running = subprocess.Popen(python(program), stderr=subprocess.DEVNULL)
        wait_for(lambda: all(mark.exists() and mark.read_text() for mark in marks))

        def ended() -> bool:
            running.send_signal(signal.SIGINT)  # again: one that comes just before a wait does not wake it
            with suppress(subprocess.TimeoutExpired):
                running.wait(10)
            return running.returncode is not None

        wait_for(ended)
        assert running.returncode != 0
        for mark in marks:
            wait_for(lambda mark=mark: not alive(int(mark.read_text())))


def wait_for(condition) -> None:
    end = time.monotonic() + 90
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
        state = Path(f"/proc/{process}/stat")
        return not state.exists() or state.read_text().rsplit(") ", 1)[1][0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
