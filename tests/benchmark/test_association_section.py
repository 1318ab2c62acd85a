"""The benchmark of trackers: every case runs, follows its objects, and peers that are missing are said to be."""

import sys

import pytest

from clmot_qd.benchmark import association
from clmot_qd.benchmark.cases import Case, Missing, Options
from clmot_qd.trackers import BiSoftmaxTracker, JDETracker

OURS = ["JDETracker, 128-d", "JDETracker, motion only", "BiSoftmaxTracker, 256-d"]
PEERS = {
    "mmdet QuasiDenseTracker, 256-d": ("mmdet.models.trackers", "clmot_qd[openmmlab]"),
    "mmdet ByteTracker": ("lap", "clmot_qd[stock-trackers]"),
    "trackers ByteTrackTracker": ("trackers", "clmot_qd[benchmark]"),
    "trackers OCSORTTracker": ("trackers", "clmot_qd[benchmark]"),
    "trackers SORTTracker": ("trackers", "clmot_qd[benchmark]"),
    "norfair": ("norfair", "--no-deps norfair filterpy"),
}


def test_groups_and_cases() -> None:
    quick, full = (list(association.groups(Options(quick=quick))) for quick in (True, False))
    assert [group.title for group in quick] == ["10 objects", "100 objects"]
    assert [group.title for group in full] == ["10 objects", "100 objects", "500 objects", "1000 objects"]
    for group in full:
        assert [case.name for case in group.cases] == [*OURS, *PEERS]
        assert [case.name for case in group.cases if isinstance(case, Case) and not case.peer] == OURS


@pytest.mark.parametrize("name", [*OURS, *PEERS])
def test_every_case_runs_more_than_once(name: str) -> None:
    case = next(case for case in association._cases(10, 3) if case.name == name)
    if isinstance(case, Missing):
        pytest.skip(case.reason)
    for _ in range(2):
        case.before()
        case.run()
    assert case.units == 3


@pytest.mark.parametrize("name", list(PEERS))
def test_a_peer_that_is_not_installed_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, package = PEERS[name]
    monkeypatch.setitem(sys.modules, module, None)
    case = next(case for case in association._cases(3, 1) if case.name == name)
    assert isinstance(case, Missing)
    assert case.reason == f"pip install {package}"


@pytest.mark.parametrize("tracker", [JDETracker, BiSoftmaxTracker])
def test_what_is_timed_follows_the_objects(tracker: type, monkeypatch: pytest.MonkeyPatch) -> None:
    """Most of ten objects are shown in the timed frames, which come after those in which tracks are born."""
    shown, update = [], tracker.update

    def spy(self: object, *arrays: object) -> object:
        tracks = update(self, *arrays)
        shown.append(len(tracks))
        return tracks

    monkeypatch.setattr(tracker, "update", spy)
    case = next(case for case in association._cases(10, 4) if case.name.startswith(tracker.__name__))
    case.before()
    del shown[:]
    case.run()
    assert len(shown) == 4
    assert min(shown) >= 7
