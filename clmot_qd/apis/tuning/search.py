"""Running trials: one after the other or on several processors, kept on disk, gone on with after a stop."""

from __future__ import annotations

import multiprocessing
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from clmot_qd.apis.tuning.objective import Objective, require_metrics, value_of
from clmot_qd.apis.tuning.trial_files import TrialFiles, settings_key
from clmot_qd.errors import InputError


@dataclass(frozen=True)
class Trial:
    """One setting and what became of it.

    Args:
        settings: Argument of the tracker -> value; empty: the default.
        scores: Metrics, counts and seconds; empty if the tracker did not take the settings.
        note: Why it did not.
    """

    settings: Mapping[str, Any]
    scores: Mapping[str, float] = field(default_factory=dict)
    note: str = ""


class Proposer(Protocol):
    """Where settings come from."""

    def ask(self) -> dict[str, Any] | None:
        """Return the next setting; None when there is none left."""

    def tell(self, settings: Mapping[str, Any], value: float | None) -> None:
        """Take note of a result; None: the setting is not valid."""


class GridProposer:
    """A list of settings, in its order."""

    def __init__(self, points: Sequence[Mapping[str, Any]]) -> None:
        self._points = iter([dict(point) for point in points])

    def ask(self) -> dict[str, Any] | None:
        """Return the next point."""
        return next(self._points, None)

    def tell(self, settings: Mapping[str, Any], value: float | None) -> None:
        """A grid learns nothing."""


@dataclass(frozen=True)
class Search:
    """The outcome: all trials in the order in which they ended, the default setting first.

    Args:
        trials: Those of the files of an earlier run included.
        metrics: What was maximised, the mean of several.
    """

    trials: Sequence[Trial]
    metrics: Sequence[str]

    def value(self, trial: Trial) -> float:
        """Return the number that counts, -inf for a setting that the tracker did not take."""
        return value_of(trial.scores, self.metrics) if trial.scores else -float("inf")

    def ranked(self) -> list[Trial]:
        """Return the trials that were scored, best first; of equals the one that came first."""
        return sorted((trial for trial in self.trials if trial.scores), key=self.value, reverse=True)

    @property
    def default(self) -> Trial:
        """The tracker as it was given, nothing changed."""
        return next(trial for trial in self.trials if not trial.settings)

    @property
    def best(self) -> Trial:
        """The trial with the largest value."""
        return self.ranked()[0]


def tune(
    objective: Objective,
    proposer: Proposer,
    metrics: Sequence[str] = ("HOTA",),
    out: str | Path | None = None,
    jobs: int = 1,
    progress: Callable[[Search], None] = lambda search: None,
) -> Search:
    """Try the default setting, then what the proposer proposes.

    Args:
        objective: Scores a setting.
        proposer: A grid, or optuna.
        metrics: What is maximised; the mean of several.
        out: Folder for ``trials.csv`` and ``trials.json``, rewritten after each trial; settings that are in there
            already are not tried again. None keeps nothing.
        jobs: Processes.
        progress: Is given all trials so far after each one.

    Raises:
        InputError: The default setting or every other one is not valid, the files are of another search, or a metric
            is unknown.
    """
    require_metrics(metrics)
    if jobs < 1:
        raise InputError(f"--jobs {jobs}: give the number of processes, 1 or more")
    files = None if out is None else TrialFiles(Path(out), objective.identity())
    known = {settings_key(trial.settings): trial for trial in (files.read() if files else [])}
    waiting = dict(known)  # of the earlier run, not asked for in this one so far
    trials: list[Trial] = []

    def keep(trial: Trial) -> None:
        new = settings_key(trial.settings) not in known
        known[settings_key(trial.settings)] = trial
        waiting.pop(settings_key(trial.settings), None)
        trials.append(trial)
        if files is not None and new:
            files.write([*trials, *waiting.values()])
        progress(Search(tuple(trials), metrics))

    default = known.get(settings_key({})) or Trial({}, objective({}))  # a mistake shows here, not as a note
    keep(default)
    proposer.tell({}, value_of(default.scores, metrics))
    with _pool(objective, jobs) as submit:
        _run(proposer, known, submit, jobs, metrics, keep)
    if len(trials) > 1 and not any(trial.scores for trial in trials[1:]):
        raise InputError(f"no setting is valid; the first: {trials[1].note}")
    return Search(tuple(trials), metrics)


def _run(
    proposer: Proposer,
    known: Mapping[str, Trial],
    submit: Callable[[Mapping[str, Any]], Future[Trial]],
    jobs: int,
    metrics: Sequence[str],
    keep: Callable[[Trial], None],
) -> None:
    """Keep ``jobs`` trials under way until the proposer has no more."""
    running: dict[Future[Trial], dict[str, Any]] = {}
    kept: set[str] = {settings_key({})}
    settings = proposer.ask()
    while running or settings is not None:
        while settings is not None and len(running) < jobs:
            running[_future(known.get(settings_key(settings)), settings, submit)] = settings
            settings = proposer.ask() if len(running) < jobs else None
        done, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in done:
            trial, proposed = future.result(), running.pop(future)
            proposer.tell(proposed, value_of(trial.scores, metrics) if trial.scores else None)
            if settings_key(proposed) not in kept:
                kept.add(settings_key(proposed))
                keep(trial)
        settings = proposer.ask()


def _future(
    trial: Trial | None, settings: Mapping[str, Any], submit: Callable[[Mapping[str, Any]], Future[Trial]]
) -> Future[Trial]:
    """Return a future that has the trial already, or will have."""
    if trial is None:
        return submit(settings)
    ready: Future[Trial] = Future()
    ready.set_result(trial)
    return ready


_objective: Objective | None = None  # of a worker


def _begin(objective: Objective) -> None:
    global _objective
    _objective = objective


def _begin_worker(objective: Objective) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's matter; workers end with their trial
    _begin(objective)


def _try(settings: Mapping[str, Any]) -> Trial:
    assert _objective is not None
    try:
        return Trial(dict(settings), _objective(settings))
    except InputError as error:
        return Trial(dict(settings), note=str(error))


@contextmanager
def _pool(objective: Objective, jobs: int) -> Iterator[Callable[[Mapping[str, Any]], Future[Trial]]]:
    """Yield a function that starts a trial: in this process if there is one job, else in one of several."""
    if jobs == 1:
        _begin(objective)
        yield _at_once
        return
    # A forked worker has the data without copying them and without importing the package again.
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else None)
    with ProcessPoolExecutor(jobs, context, initializer=_begin_worker, initargs=(objective,)) as pool:
        try:
            yield lambda settings: pool.submit(_try, settings)
        except BaseException:
            pool.shutdown(cancel_futures=True)  # trials under way end; without waiting for them the exit may hang
            raise


def _at_once(settings: Mapping[str, Any]) -> Future[Trial]:
    future: Future[Trial] = Future()
    future.set_result(_try(settings))
    return future
