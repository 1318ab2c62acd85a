"""Searching settings: trials track and score, runs go on where they stopped, held-out data are held out."""

from __future__ import annotations

import csv
import importlib.util
import json
import multiprocessing
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import pytest

from clmot_qd.apis.detections import build_tracker, track_set
from clmot_qd.apis.tuning import (
    GridProposer,
    Objective,
    OptunaProposer,
    Part,
    Range,
    Search,
    Trial,
    comparison_lines,
    grid_points,
    plot_search,
    snippet,
    split,
    trial_table,
    tune,
)
from clmot_qd.apis.tuning.objective import value_of
from clmot_qd.apis.tuning.trial_files import TrialFiles
from clmot_qd.datasets.detections import DetectionSet, VideoDetections
from clmot_qd.datasets.mot_text import make_table
from clmot_qd.errors import InputError
from clmot_qd.evaluation import GroundTruth, SequenceTruth, evaluate_tracks

FRAMES = 20


def scene(seed: int) -> tuple[VideoDetections, SequenceTruth]:
    """Three people who walk and are missed now and then, and false alarms of a low score."""
    rng = np.random.default_rng(seed)
    true, found = [], []
    for frame in range(1, FRAMES + 1):
        for person in range(3):
            box = [60 * person + 4 * frame, 10 * person, 30, 60]
            true.append((frame, person, box))
            if rng.random() < 0.85:
                found.append((frame, [*(np.array(box) + rng.normal(0, 2, 4))], rng.uniform(0.55, 1)))
        if rng.random() < 0.5:
            found.append((frame, [*rng.uniform(0, 200, 2), 30, 60], rng.uniform(0.2, 0.5)))
    boxes = np.array([box for _, box, _ in found])
    boxes[:, 2:] += boxes[:, :2]
    detections = VideoDetections(
        np.array([frame for frame, *_ in found]),
        boxes,
        np.array([score for *_, score in found]),
        np.zeros(len(found), int),
    )
    table = make_table(*(np.array(column) for column in zip(*true)), class_ids=np.ones(len(true)))
    return detections, SequenceTruth(np.arange(1, FRAMES + 1), table)


def data(videos: int = 3) -> tuple[DetectionSet, GroundTruth]:
    scenes = {f"clip-{n}": scene(n) for n in range(videos)}
    found = DetectionSet("here", {name: found for name, (found, _) in scenes.items()})
    return found, GroundTruth("there", {"pedestrian": 1}, {name: truth for name, (_, truth) in scenes.items()})


@pytest.fixture(scope="module")
def objective() -> Objective:
    return Objective(Part("all", *data()), "JDETracker", {"lost_frames": 10})


GRID = {"conf_thr": (0.1, 0.3, 0.52), "iou_thr": (0.1, 0.8)}


class TestObjective:
    def test_is_tracking_and_scoring(self, objective: Objective) -> None:
        found = objective(dict(conf_thr=0.3))
        tracks = track_set(objective.part.detections, build_tracker("JDETracker", dict(lost_frames=10, conf_thr=0.3)))
        expected = evaluate_tracks(objective.part.truth, tracks, ["pedestrian"]).overall("trackeval")
        for name in ("HOTA", "MOTA", "IDF1", "DetA", "AssA", "IDSW", "FP", "FN"):
            assert found[name] == expected[name]
        assert found["seconds"] > 0

    def test_settings_go_over_what_is_fixed(self, objective: Objective) -> None:
        assert objective({}) != objective(dict(lost_frames=0))

    def test_embeddings_are_scaled(self) -> None:
        found, truth = data(1)
        video = found.videos["clip-0"]
        seen = []
        looks = VideoDetections(video.frames, video.bboxes, video.scores, video.labels, np.ones((len(video), 2)))
        part = Part("all", DetectionSet("here", {"clip-0": looks}), truth)
        with pytest.MonkeyPatch.context() as patch:
            tracker = type(build_tracker("JDETracker"))
            update = tracker.update  # type: ignore[attr-defined]
            patch.setattr(tracker, "update", lambda self, *args: seen.append(args[3]) or update(self, *args))
            Objective(part, "JDETracker", embed_scale=8)({})
        assert {value for embeds in seen for value in embeds.ravel().tolist()} == {8.0}

    def test_regression_cannot_be_searched(self, objective: Objective) -> None:
        with pytest.raises(InputError, match="regression needs the network"):
            Objective(objective.part, "BiSoftmaxTracker", dict(iou_weight=1, regression=True))({})

    @pytest.mark.parametrize(
        "change",
        [
            dict(tracker="BiSoftmaxTracker"),
            dict(fixed={}),
            dict(embed_scale=2.0),
            dict(protocol="plain"),
            dict(distractors=()),
            dict(part=Part("all", *data(2))),
            dict(part=Part("other", *data())),
        ],
    )
    def test_identity_tells_searches_apart(self, objective: Objective, change: dict[str, Any]) -> None:
        same = Objective(Part("all", *data()), "JDETracker", {"lost_frames": 10})
        assert objective.identity() == same.identity()
        other = Objective(**{**vars(same), **change})
        assert objective.identity() != other.identity()

    @pytest.mark.parametrize("change", ["frames", "bboxes", "scores", "labels", "embeds"])
    def test_identity_depends_on_every_detection(self, change: str) -> None:
        found, truth = data(1)
        video = replace(found.videos["clip-0"], embeds=np.ones((len(found.videos["clip-0"]), 2)))
        other = getattr(video, change).copy()
        other[3] += 1
        one, two = (
            Objective(Part("all", DetectionSet("here", {"clip-0": shown}), truth), "JDETracker").identity()
            for shown in (video, replace(video, **{change: other}))
        )
        assert one.pop("data") != two.pop("data")
        assert one == two

    def test_rules_of_scoring(self) -> None:
        """Somebody on a poster is found in every frame: a false alarm, unless the class is a distractor."""
        boxes = np.tile([10.0, 10, 40, 70], (5, 1))
        found = VideoDetections(np.arange(1, 6), boxes, np.ones(5), np.zeros(5, int))
        rows = [
            (frame, kind, [[10, 10, 30, 60], [500, 10, 30, 60]][kind], (8, 1)[kind])
            for frame in range(1, 6)
            for kind in (0, 1)
        ]
        frames, ids, true, numbers = zip(*rows)
        truth = SequenceTruth(np.arange(1, 6), make_table(frames, ids, true, class_ids=numbers))
        part = Part(
            "all",
            DetectionSet("here", {"clip": found}),
            GroundTruth("there", {"pedestrian": 1, "distractor": 8}, {"clip": truth}),
        )
        alarms = [
            Objective(part, "JDETracker", distractors=names, protocol=protocol)({})["FP"]
            for names, protocol in ((None, "mot"), ((), "mot"), (None, "plain"), (("distractor",), "plain"))
        ]
        assert alarms == [0, 5, 5, 0]

    def test_value(self) -> None:
        assert value_of(dict(HOTA=50.0, IDF1=70.0), ["HOTA", "IDF1"]) == 60


class TestSplit:
    def test_nothing_held_out(self) -> None:
        part, held = split(*data())
        assert held is None
        assert len(part.truth.sequences) == 3

    def test_halves_share_nothing(self) -> None:
        found, truth = data()
        first, second = split(found, truth, ["halves"])
        assert second is not None
        for name in truth.sequences:
            halves = [part.truth.sequences[name] for part in (first, second)]
            assert [half.frames.tolist() for half in halves] == [[*range(1, 11)], [*range(11, 21)]]
            assert sum(len(half.boxes) for half in halves) == len(truth.sequences[name].boxes)
            assert all(set(half.boxes.frames) <= set(half.frames) for half in halves)
            shown = [part.detections.videos[name] for part in (first, second)]
            assert sum(map(len, shown)) == len(found.videos[name])
            assert set(shown[0].frames.tolist()) <= set(range(1, 11))

    def test_difficulty_is_cut_as_well(self) -> None:
        found, truth = data(1)
        boxes = truth.sequences["clip-0"].boxes
        graded = SequenceTruth(np.arange(1, 21), boxes, np.arange(len(boxes)))
        parts = split(found, GroundTruth("there", {"pedestrian": 1}, {"clip-0": graded}), ["halves"])
        assert [part.truth.sequences["clip-0"].difficulty.tolist() for part in parts] == [
            [*range(30)],
            [*range(30, 60)],
        ]

    def test_videos_by_name_and_by_share(self) -> None:
        for holdout, held in (
            (["clip-1"], ["clip-1"]),
            (["0.3"], ["clip-1"]),
            (["clip-2", "clip-0"], ["clip-0", "clip-2"]),
        ):
            first, second = split(*data(), holdout)
            assert second is not None
            assert sorted(second.truth.sequences) == sorted(second.detections.videos) == held
            assert sorted([*first.truth.sequences, *second.truth.sequences]) == ["clip-0", "clip-1", "clip-2"]
        assert len(split(*data(10), ["0.3"])[1].truth.sequences) == 3

    @pytest.mark.parametrize(
        ("holdout", "message"),
        [
            (["clip-9"], "--holdout: no video 'clip-9'; give halves, 0.3 or some of clip-0, clip-1"),
            (["clip-0", "clip-1", "clip-2"], "leaves one side without videos"),
            (["0.99"], r"--holdout 0\.99: leaves one side without videos \(there are 3\)"),
        ],
    )
    def test_mistakes(self, holdout: list[str], message: str) -> None:
        with pytest.raises(InputError, match=message):
            split(*data(), holdout)


class Counted(Objective):
    """Counts its calls in this process."""

    calls: ClassVar[list[dict[str, Any]]] = []

    def __call__(self, settings: Mapping[str, Any]) -> dict[str, float]:
        self.calls.append(dict(settings))
        return super().__call__(settings)


@pytest.fixture
def counted(objective: Objective) -> Counted:
    Counted.calls = []
    return Counted(**vars(objective))


class TestTune:
    def test_a_grid(self, counted: Counted) -> None:
        search = tune(counted, GridProposer(grid_points(GRID)), ["IDF1"])
        assert [trial.settings for trial in search.trials] == [{}, *grid_points(GRID)]
        assert counted.calls == [{}, *grid_points(GRID)]
        assert search.default is search.trials[0]
        values = [trial.scores["IDF1"] for trial in search.trials]
        assert search.best.scores["IDF1"] == max(values)
        assert [search.value(trial) for trial in search.ranked()] == sorted(values, reverse=True)
        assert min(values) < max(values)

    def test_the_mean_of_several_metrics(self, objective: Objective) -> None:
        search = tune(objective, GridProposer(grid_points(GRID)), ["MOTA", "HOTA"])
        assert search.value(search.best) == max((t.scores["MOTA"] + t.scores["HOTA"]) / 2 for t in search.trials)

    def test_several_processes_find_the_same(self, objective: Objective) -> None:
        one, two = (tune(objective, GridProposer(grid_points(GRID)), jobs=jobs) for jobs in (1, 2))

        def without_time(search: Search) -> list[Any]:
            rows = [(sorted(t.settings.items()), {**t.scores, "seconds": 0}) for t in search.trials]
            return sorted(rows, key=lambda row: row[0])

        assert without_time(one) == without_time(two)

    def test_settings_that_do_not_fit_are_noted(self, objective: Objective, tmp_path: Path) -> None:
        search = tune(objective, GridProposer(grid_points({"init_thr": (0.2, 0.7)})), out=tmp_path)
        assert "init_thr: expected a number from 0.4 to 1" in search.trials[1].note
        assert search.value(search.trials[1]) == -np.inf
        assert [trial.settings for trial in search.ranked()] != []
        assert search.trials[1] not in search.ranked()
        assert "1 settings are not valid" in trial_table(search)
        rows = list(csv.DictReader((tmp_path / "trials.csv").read_text().splitlines()))
        assert (rows[1]["HOTA"], rows[1]["note"]) == ("", search.trials[1].note)
        with pytest.raises(InputError, match=r"no setting is valid; the first: init_thr"):
            tune(objective, GridProposer(grid_points({"init_thr": (0.2, 0.3)})))

    def test_goes_on_after_a_stop(self, counted: Counted, tmp_path: Path) -> None:
        class Stopped(Exception):
            pass

        def stop(search: Search) -> None:
            if len(search.trials) == 4:
                raise Stopped

        with pytest.raises(Stopped):
            tune(counted, GridProposer(grid_points(GRID)), out=tmp_path, progress=stop)
        before = (tmp_path / "trials.json").read_text()
        assert len(json.loads(before)["trials"]) == 4
        assert len(counted.calls) == 4
        search = tune(counted, GridProposer(grid_points(GRID)), out=tmp_path)
        assert counted.calls[4:] == grid_points(GRID)[3:]
        assert [trial.settings for trial in search.trials] == [{}, *grid_points(GRID)]
        fresh = tune(counted, GridProposer(grid_points(GRID)))
        assert [search.value(t) for t in search.trials] == [fresh.value(t) for t in fresh.trials]
        assert len((tmp_path / "trials.csv").read_text().splitlines()) == 8

    def test_another_grid_keeps_the_trials_that_are_there(self, counted: Counted, tmp_path: Path) -> None:
        tune(counted, GridProposer(grid_points({"conf_thr": (0.1, 0.2)})), out=tmp_path)
        search = tune(counted, GridProposer(grid_points({"conf_thr": (0.2, 0.3)})), out=tmp_path)
        assert counted.calls[3:] == [dict(conf_thr=0.3)]
        assert len(search.trials) == 3
        stored = json.loads((tmp_path / "trials.json").read_text())["trials"]
        assert sorted(t["settings"].get("conf_thr", 0) for t in stored) == [0, 0.1, 0.2, 0.3]

    def test_the_order_of_settings_does_not_matter(self, counted: Counted, tmp_path: Path) -> None:
        tune(counted, GridProposer([dict(conf_thr=0.3, iou_thr=0.4)]), out=tmp_path)
        written = (tmp_path / "trials.json").stat().st_mtime_ns
        tune(counted, GridProposer([dict(iou_thr=0.4, conf_thr=0.3)]), out=tmp_path)
        assert len(counted.calls) == 2
        assert (tmp_path / "trials.json").stat().st_mtime_ns == written  # nothing new, nothing written

    def test_a_stop_by_the_user_ends_the_workers(self, objective: Objective) -> None:
        def stop(search: Search) -> None:
            if len(search.trials) == 3:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            tune(objective, GridProposer(grid_points(GRID)), jobs=2, progress=stop)
        assert not multiprocessing.active_children()

    def test_the_proposer_hears_of_every_result(self, objective: Objective) -> None:
        class Listening(GridProposer):
            def __init__(self) -> None:
                super().__init__([dict(init_thr=0.7), dict(init_thr=0.2)])
                self.heard: list[tuple[dict[str, Any], float | None]] = []

            def tell(self, settings: Mapping[str, Any], value: float | None) -> None:
                self.heard.append((dict(settings), value))

        proposer = Listening()
        search = tune(objective, proposer, ["IDF1"])
        values = [trial.scores.get("IDF1") for trial in search.trials]
        assert proposer.heard == list(zip([{}, dict(init_thr=0.7), dict(init_thr=0.2)], values))
        assert values[2] is None

    def test_files_of_another_search_are_refused(self, objective: Objective, tmp_path: Path) -> None:
        tune(objective, GridProposer([]), out=tmp_path)
        other = Objective(**{**vars(objective), "embed_scale": 2.0})
        with pytest.raises(
            InputError, match=r"trials\.json: is of a search with another embed_scale \(1\.0, now 2\.0\)"
        ):
            TrialFiles(tmp_path, other.identity()).read()
        for text, message in (("{", "no valid JSON"), ("{}", "is no list of trials")):
            (tmp_path / "trials.json").write_text(text)
            with pytest.raises(InputError, match=rf"trials\.json: {message}"):
                tune(objective, GridProposer([]), out=tmp_path)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (dict(metrics=["IDSW"]), "--metric: 'IDSW' cannot be maximised; choose from HOTA"),
            (dict(metrics=[]), "--metric: none given"),
            (dict(jobs=0), "--jobs 0"),
        ],
    )
    def test_mistakes(self, objective: Objective, arguments: dict[str, Any], message: str) -> None:
        with pytest.raises(InputError, match=message):
            tune(objective, GridProposer([]), **arguments)


class TestOptuna:
    def test_finds_what_is_good(self, objective: Objective) -> None:
        space = {"conf_thr": Range(0.05, 0.9), "lost_frames": Range(1, 20), "smooth_boxes": (True, False)}
        search = tune(objective, OptunaProposer(space, 25, seed=1))
        assert len(search.trials) == 26
        for trial in search.trials[1:]:
            assert 0.05 <= trial.settings["conf_thr"] <= 0.9
            assert isinstance(trial.settings["lost_frames"], int)
            assert 1 <= trial.settings["lost_frames"] <= 20
            assert len(f"{trial.settings['conf_thr']}") <= 7
        assert search.value(search.best) >= search.value(search.default)
        again = tune(objective, OptunaProposer(space, 25, seed=1))
        assert [t.settings for t in again.trials] == [t.settings for t in search.trials]
        assert [t.settings for t in tune(objective, OptunaProposer(space, 3, seed=2)).trials[1:]] != [
            t.settings for t in search.trials[1:4]
        ]

    def test_learns_from_earlier_and_invalid_trials(self, objective: Objective, tmp_path: Path) -> None:
        space = {"init_thr": Range(0.2, 0.9)}  # below conf_thr it is not valid
        search = tune(objective, OptunaProposer(space, 12), out=tmp_path)
        assert any(trial.note for trial in search.trials)
        longer = tune(objective, OptunaProposer(space, 15), out=tmp_path, jobs=2)
        assert len(longer.trials) == 16

    def test_equal_settings_are_tried_once(self, counted: Counted) -> None:
        search = tune(counted, OptunaProposer({"smooth_boxes": (True, False)}, 8))
        assert len(counted.calls) == len(search.trials) == 3

    def test_a_setting_that_is_not_valid_is_a_failed_trial(self) -> None:
        proposer = OptunaProposer({"a": Range(0.0, 1.0)}, 2)
        for value in (None, 3.0):
            settings = proposer.ask()
            assert settings is not None
            proposer.tell(settings, value)
        assert [trial.state.name for trial in proposer._study.trials] == ["FAIL", "COMPLETE"]
        assert proposer.ask() is None

    def test_mistakes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(InputError, match="--trials needs a --space"):
            OptunaProposer({}, 3)
        with pytest.raises(InputError, match="--trials 0"):
            OptunaProposer({"a": (1, 2)}, 0)
        monkeypatch.setitem(sys.modules, "optuna", None)
        with pytest.raises(
            InputError, match="--trials needs the package optuna: pip install optuna, or search a --grid"
        ):
            OptunaProposer({"a": (1, 2)}, 3)


def made_up(*rows: tuple[dict[str, Any], float]) -> Search:
    def scores(value: float) -> dict[str, float]:
        return dict(HOTA=value, MOTA=value + 1, IDF1=value + 2, DetA=0.0, AssA=0.0, IDSW=3, FP=4, FN=5)

    return Search([Trial(settings, scores(value)) for settings, value in rows], ["HOTA"])


class TestReport:
    search = made_up(({}, 50.0), (dict(a=0.1, b="x"), 40.0), (dict(a=0.2, b=None), 60.0))

    def test_table(self) -> None:
        assert trial_table(self.search).splitlines() == [
            "rank   HOTA   MOTA   IDF1  IDSW        a     b",
            "1     60.00  61.00  62.00     3      0.2  None",
            "2     50.00  51.00  52.00     3  default",
            "3     40.00  41.00  42.00     3      0.1     x",
        ]
        short = trial_table(self.search, most=1).splitlines()
        assert [line[:8] for line in short[1:]] == ["1     60", "2     50"]  # the default is always shown

    def test_comparison(self) -> None:
        assert "no data were held out" in comparison_lines(self.search, "all", None)
        low, high = self.search.trials[1].scores, self.search.trials[2].scores
        gain = comparison_lines(self.search, "first halves", ("second halves", low, high))
        assert gain.endswith("held out, the chosen setting gains 20.00 points in HOTA")
        lines = [line.split() for line in gain.splitlines()]
        assert lines[1][:6] == ["chosen", "on", "(first", "halves):", "default", "50.00"]
        assert lines[2][4:7] == ["best", "60.00", "61.00"]
        assert lines[3][:6] == ["held", "out", "(second", "halves):", "default", "40.00"]
        assert lines[4][4:6] == ["best", "60.00"]
        loss = comparison_lines(self.search, "first halves", ("second halves", high, low))
        assert loss.endswith("held out, HOTA is 20.00 points below the default: keep the default")
        nothing = comparison_lines(made_up(({}, 50.0), (dict(a=1), 40.0)), "all", ("other", low, low))
        assert nothing.endswith("nothing that was tried is better than the default")

    def test_snippet_is_a_configuration(self) -> None:
        text = snippet(
            "JDETracker", dict(conf_thr=0.3, lost_frames=5), Trial(dict(conf_thr=0.5, motion=None, kind="x"))
        )
        found: dict[str, Any] = {}
        exec(text, found)
        assert found["model"]["tracker"] == dict(
            _delete_=True, type="JDETracker", conf_thr=0.5, lost_frames=5, motion=None, kind="x"
        )

    def test_plot(self, tmp_path: Path) -> None:
        plot_search(self.search, tmp_path / "a.png")
        picture = cv2.imread(str(tmp_path / "a.png"))
        assert picture.shape[1] > 1000
        assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 50
        plot_search(made_up(({}, 50.0)), tmp_path / "b.png")
        many = made_up(({}, 50.0), *(({"a": n / 7, "b": n, "c": bool(n % 2)}, 40.0 + n) for n in range(40)))
        plot_search(many, tmp_path / "c.png")


def tool() -> Any:
    path = Path(__file__).resolve().parents[3] / "tools" / "tune_tracker.py"
    spec = importlib.util.spec_from_file_location("tool_tune_tracker", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The scenes as MOT sequences."""
    found, truth = data()
    for name, video in found.videos.items():
        for folder in ("gt", "det"):
            (tmp_path / "train" / name / folder).mkdir(parents=True)
        boxes = np.hstack([video.bboxes[:, :2], video.bboxes[:, 2:] - video.bboxes[:, :2]])
        rows = [
            f"{f},-1,{','.join(f'{v:.3f}' for v in b)},{s:.4f}" for f, b, s in zip(video.frames, boxes, video.scores)
        ]
        (tmp_path / "train" / name / "det" / "det.txt").write_text("\n".join(rows))
        table = truth.sequences[name].boxes
        rows = [f"{f},{i},{','.join(map(str, b))},1,1,1" for f, i, b in zip(table.frames, table.ids, table.bboxes)]
        (tmp_path / "train" / name / "gt" / "gt.txt").write_text("\n".join(rows))
    return tmp_path / "train"


class TestCommand:
    def test_a_grid_with_held_out_halves(self, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
        data = ["--root", str(root), "--det", "det/det.txt", "--holdout", "halves"]
        search = [
            "--grid",
            "conf_thr=0.1,0.52",
            "--option",
            "lost_frames=9",
            "conf_thr=0.9",
            "--metric",
            "MOTA",
            "--jobs",
            "2",
        ]
        assert tool().main([*data, *search, "--out", str(tmp_path / "out")]) == 0
        printed = capsys.readouterr().out
        assert "held out (second halves): best" in printed
        assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
            "best_tracker.py",
            "trials.csv",
            "trials.json",
            "tuning.png",
        ]
        found: dict[str, Any] = {}
        exec((tmp_path / "out" / "best_tracker.py").read_text(), found)
        tracker = found["model"]["tracker"]
        assert (tracker["type"], tracker["lost_frames"], tracker["conf_thr"]) == ("JDETracker", 9, 0.52)

    def test_the_tracker_of_a_configuration_and_optuna(self, root: Path, tmp_path: Path) -> None:
        (tmp_path / "config.py").write_text(
            "model = dict(tracker=dict(type='BiSoftmaxTracker', appearance_weight=0, iou_weight=1, init_score_thr=0.6))"
        )
        data = ["--root", str(root), "--det", "det/det.txt", "--config", str(tmp_path / "config.py")]
        search = ["--space", "init_score_thr=0.2:0.9", "--trials", "3", "--option", "obj_score_thr=0.1"]
        assert tool().main([*data, *search, "--out", str(tmp_path / "out")]) == 0
        content = json.loads((tmp_path / "out" / "trials.json").read_text())
        assert content["search"]["fixed"] == dict(
            appearance_weight="0", init_score_thr="0.6", iou_weight="1", obj_score_thr="0.1"
        )
        assert len(content["trials"]) == 4

    @pytest.mark.parametrize(
        ("more", "message"),
        [
            ([], "give either --grid KEY=A,B,C or --space"),
            (["--grid", "a=1", "--space", "b=1:2"], "give either --grid"),
            (["--grid", "confthr=1,2"], "option 'confthr': JDETracker has no such argument"),
            (["--grid", "conf_thr=0.1", "--option", "confthr=1"], "option 'confthr': JDETracker has no such argument"),
            (["--grid", "conf_thr=0.1", "--tracker", "SORT"], "tracker 'SORT' is unknown"),
            (["--grid", "conf_thr=0.1", "--option", "conf_thr=7"], "conf_thr: expected a number from 0 to 1"),
        ],
    )
    def test_mistakes(self, root: Path, tmp_path: Path, more: list[str], message: str) -> None:
        with pytest.raises(InputError, match=message):
            tool().main(["--root", str(root), "--det", "det/det.txt", "--out", str(tmp_path / "out"), *more])

    def test_videos_without_detections_are_told(
        self, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture
    ) -> None:
        (tmp_path / "found.csv").write_text("video,frame,x,y,w,h\nclip-1,1,1,1,5,5\n")
        command = ["--det", str(tmp_path / "found.csv"), "--gt", str(root), "--out", str(tmp_path / "out")]
        assert tool().main([*command, "--grid", "conf_thr=0.1"]) == 0
        assert capsys.readouterr().err.startswith("no detections for 2 of 3 videos, e.g. clip-0\n")

    def test_without_ground_truth(self, root: Path, tmp_path: Path) -> None:
        command = ["--det", str(root / "clip-0" / "det" / "det.txt"), "--out", str(tmp_path / "out")]
        with pytest.raises(InputError, match="no ground truth to score against; give --gt"):
            tool().main([*command, "--grid", "conf_thr=0.1,0.2"])
