"""Reports of runs: tracks and embeddings by the run's own model, once; what cannot be had is said on the page."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from locations import REPOSITORY

from clmot_qd.apis import embedding_quality_report
from clmot_qd.apis.comparison import compare_trackers
from clmot_qd.apis.detection_cache import ConfiguredVideos
from clmot_qd.apis.embedding_quality import embedding_quality
from clmot_qd.apis.embedding_quality_report import TRAINED, TrueBoxReader, TrueObjects, measure_embeddings
from clmot_qd.errors import InputError
from clmot_qd.visualization.report import measuring
from clmot_qd.visualization.report.collecting import Request, make_report
from clmot_qd.visualization.report.facts import config_facts
from clmot_qd.visualization.report.figures import roc_area
from clmot_qd.visualization.report.measuring import ModelSource, track_run
from clmot_qd.visualization.report.projection import project
from clmot_qd.visualization.report.tracked import Embedded, Tracked

sys.path.append(str(REPOSITORY / "tests" / "visualization"))
from report_scene import Page

NEVER = "the network ran again"
one_model = pytest.mark.parametrize("project", ["clmot_tiny_demo"], indirect=True)


@pytest.fixture
def run(project: dict[str, Any], tmp_path: Path) -> Path:
    """A folder as training leaves it."""
    folder = tmp_path / "run"
    folder.mkdir()
    shutil.copy(project["config"], folder / "config.py")
    shutil.copy(project["checkpoint"], folder / "epoch_1.pth")
    (folder / "20260102_030405" / "vis_data").mkdir(parents=True)
    line = json.dumps(dict(loss=2.0, lr=0.1, epoch=1, iter=10, step=10))
    (folder / "20260102_030405" / "vis_data" / "scalars.json").write_text(line + "\n")
    return folder


def page_of(run: Path, **options: Any) -> Page:
    """The page about a run."""
    return Page(make_report(Request(runs=[str(run)], **options), lambda line: None))


def tracked(run: Path, notes: list[str] | None = None, checkpoint: str = "epoch_1.pth", **options: Any) -> Tracked:
    """Tracks of a run, without a page."""
    options = {"embeddings": False, **options}
    source = ModelSource(str(run / "config.py"), run / checkpoint, run / "report_cache", **options)
    return track_run(source, silent, [].append if notes is None else notes.append)


@contextmanager
def silent(what: str) -> Iterator[Any]:
    yield lambda done, total: None


def same_tracks(one: Tracked, two: Tracked) -> bool:
    pairs = [(one.tracks[name], two.tracks[name]) for name in one.tracks]
    return all((a.bboxes == b.bboxes).all() and (a.ids == b.ids).all() and len(a) > 0 for a, b in pairs)


@pytest.mark.parametrize(
    "project", ["clmot_tiny_demo", pytest.param("qdtrack_tiny_demo", marks=pytest.mark.slow)], indirect=True
)
def test_tracks_are_those_of_the_other_commands(
    project: dict[str, Any], run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = tracked(run, embeddings=True)
    expected = compare_trackers(project["config"], project["checkpoint"], {"": {}})[""]
    assert found.scores.overall("trackeval") == expected.overall("trackeval")
    assert sum(len(line.switches) for line in found.timelines) == expected.overall("trackeval")["IDSW"]
    quality = measure_embeddings(project["config"], project["checkpoint"])[TRAINED]["pedestrian"]
    assert found.embedded is not None
    assert found.embedded.qualities["pedestrian"].tpr_at_far == quality.tpr_at_far
    assert list(found.embedded.videos) == ["clip-1", "clip-2"]
    assert all(path.is_file() for path in found.pictures.values())
    assert len(found.pictures) == 12

    monkeypatch.setattr(ConfiguredVideos, "load_model", lambda *arguments: pytest.fail(NEVER))
    monkeypatch.setattr(embedding_quality_report, "embedding_quality", lambda *arguments, **rest: pytest.fail(NEVER))
    again = tracked(run, embeddings=True)
    assert same_tracks(found, again)
    assert again.embedded is not None
    assert again.embedded.qualities["pedestrian"].tpr_at_far == quality.tpr_at_far
    np.testing.assert_array_equal(again.embedded.objects.embeds[TRAINED], found.embedded.objects.embeds[TRAINED])
    with pytest.raises(pytest.fail.Exception, match=NEVER):
        tracked(run, max_frames=3)


@pytest.mark.parametrize(
    "project", ["clmot_tiny_demo", pytest.param("qdtrack_tiny_demo", marks=pytest.mark.slow)], indirect=True
)
def test_the_network_sees_every_frame_once(project: dict[str, Any], run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    batches = ConfiguredVideos.batches

    def counted(self: ConfiguredVideos, names: Any) -> Iterator[Any]:
        for batch in batches(self, names):
            asked.append(1)
            yield batch

    monkeypatch.setattr(ConfiguredVideos, "batches", counted)
    once = tracked(run, embeddings=True)
    assert len(asked) == sum(len(truth.frames) for truth in once.truth.sequences.values()) == 12
    (detections,) = run.glob("report_cache/*/detections")
    (detections.parent / "true_boxes.npz").unlink()
    (detections / "clip-2.npz").unlink()  # as an interrupted report leaves it
    twice = tracked(run, embeddings=True)
    assert len(asked) == 12 + 6 + 12
    assert once.embedded is not None
    assert twice.embedded is not None
    for name in ("ids", "frames", "videos", "labels"):
        np.testing.assert_array_equal(getattr(once.embedded.objects, name), getattr(twice.embedded.objects, name))
    in_passing, apart = (found.embedded.objects.embeds[TRAINED] for found in (once, twice))
    np.testing.assert_allclose(in_passing, apart, rtol=1e-5, atol=1e-6)


@one_model
def test_the_page_of_a_run(run: Path) -> None:
    page = page_of(run)
    assert page.source == (run / "report.html").read_text(encoding="utf-8")
    found = tracked(run, embeddings=True)
    scores = found.scores.overall("trackeval")
    row = dict(zip(page.tables["Class pedestrian"][0], page.tables["Class pedestrian"][-1]))
    assert [row[name] for name in ("HOTA↑", "MOTA↑", "IDF1↑")] == [f"{scores[n]:.2f}" for n in ("HOTA", "MOTA", "IDF1")]
    assert [row[name] for name in ("IDSW↓", "FP↓", "FN↓")] == [str(scores[name]) for name in ("IDSW", "FP", "FN")]
    assert found.embedded is not None
    quality = found.embedded.qualities["pedestrian"]
    heads, cells = page.tables["Embeddings at the true boxes"]
    assert cells[heads.index("TPR@1e-1")] == f"{100 * quality.tpr_at_far[0.1]:.2f}"
    assert cells[heads.index("AUC↑")] == f"{roc_area(quality):.4f}"
    assert cells[1:3] == [str(quality.objects), str(quality.identities)]
    told = dict(zip(page.said("dt"), page.said("dd")))
    assert told["Checkpoint"] == "epoch_1.pth"
    assert told["Training started"] == "2026-01-02 03:04"
    assert told["Logged"] == "until epoch 1, iteration 10"


@one_model
def test_pictures_are_not_needed_again(run: Path) -> None:
    found = tracked(run)
    folder = next(iter(found.pictures.values())).parents[1]
    hidden = folder.rename(folder.with_name("away"))
    try:
        assert same_tracks(tracked(run), found)
        shutil.rmtree(run / "report_cache")
        page = page_of(run, no_embeddings=True)
    finally:
        hidden.rename(folder)
    assert "Class pedestrian" not in page.tables
    assert any(text.startswith("No tracks, timelines and embeddings: ") for text in page.said("li"))
    assert "Training curves" in page.said("h3")


@one_model
def test_another_checkpoint_is_measured_anew(run: Path) -> None:
    tracked(run)
    weights = torch.load(run / "epoch_1.pth", weights_only=False)
    torch.save({**weights, "meta": dict(epoch=2)}, run / "epoch_2.pth")
    tracked(run, checkpoint="epoch_2.pth")
    kept = sorted(path.name for path in (run / "report_cache").iterdir())
    assert [name.split("-")[0] for name in kept] == ["epoch_1", "epoch_2"]
    assert not list(run.glob("report_cache/*/true_boxes.npz"))


@one_model
def test_a_damaged_file_is_made_again(run: Path) -> None:
    found = tracked(run, max_frames=2, embeddings=True)
    for path in [*run.glob("report_cache/*/*.npz"), *run.glob("report_cache/*/detections/clip-1.npz")]:
        path.write_bytes(path.read_bytes()[:200])
    again = tracked(run, max_frames=2, embeddings=True)
    assert same_tracks(found, again)
    assert again.embedded is not None
    assert len(again.embedded.objects.ids) == 2 * 2 * 4  # two clips, two frames, four people
    assert [truth.frames.tolist() for truth in again.truth.sequences.values()] == [[1, 2]] * 2


@one_model
def test_a_run_without_checkpoint_shows_its_curves(run: Path) -> None:
    (run / "epoch_1.pth").unlink()
    page = page_of(run)
    assert "No tracks yet: there is no checkpoint (*.pth) in the folder of the run." in page.said("li")
    assert [image["alt"].split(".")[0] for image in page.images] == ["Training curves over iterations"]


@one_model
def test_logs_alone(run: Path) -> None:
    assert len(page_of(run, no_tracks=True).images) == 1
    (run / "epoch_1.pth").unlink()
    (run / "config.py").unlink()
    assert any("no configuration" in text for text in page_of(run).said("li"))


@one_model
def test_what_was_asked_for_must_work(run: Path) -> None:
    (run / "broken.pth").write_bytes(b"no weights")
    with pytest.raises(InputError, match=r"broken\.pth"):
        page_of(run, checkpoint=[str(run / "broken.pth")])
    shutil.rmtree(run / "20260102_030405")
    (run / "epoch_1.pth").write_bytes(b"no weights")
    with pytest.raises(InputError, match=r"epoch_1\.pth"):
        page_of(run)
    (run / "config.py").unlink()
    with pytest.raises(InputError, match=r"nothing to show\. .*there is no configuration"):
        page_of(run)
    assert not (run / "report.html").exists()


@one_model
@pytest.mark.parametrize(
    ("tracker", "message"),
    [(None, "model.tracker is not set"), (dict(type="ByteTracker"), "'ByteTracker' is unknown")],
)
def test_a_tracker_that_cannot_be_used_is_named(run: Path, tracker: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        tracked(run, options={"model.tracker": tracker})


@one_model
def test_a_mistake_of_the_configuration_is_noted_beside_the_curves(run: Path) -> None:
    page = page_of(run, cfg_options=("model.tracker=None",))
    assert any("model.tracker is not set" in text for text in page.said("li"))
    assert len(page.images) == 1


def hide_identities(path: Path) -> str:
    """Take the identities out of annotations, as test sets have them; return what they were."""
    before = path.read_text()
    content = json.loads(before)
    for box in content["annotations"]:
        box.pop("instance_id")
    path.write_text(json.dumps(content))
    return before


@one_model
def test_a_test_set_that_cannot_be_scored_costs_no_network(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from clmot_qd.apis.running import load_config, track_evaluator

    annotations = Path(track_evaluator(load_config(str(run / "config.py")))["ann_file"])
    monkeypatch.setattr(ConfiguredVideos, "load_model", lambda *arguments: pytest.fail(NEVER))
    before = hide_identities(annotations)
    try:
        page = page_of(run)
    finally:
        annotations.write_text(before)
    assert any(text.startswith("No tracks, timelines and embeddings: ") for text in page.said("li"))
    assert len(page.images) == 1


@one_model
def test_a_run_that_cannot_be_scored_spoils_no_other(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = run.with_name("other")
    shutil.copytree(run, other)
    shutil.rmtree(other / "20260102_030405")
    result = tracked(run)

    def track_some(source: ModelSource, *rest: Any) -> Tracked:
        bad = source.cache.parent == other
        return replace(result, rules={"iou_thr": 7.0}) if bad else result

    monkeypatch.setattr("clmot_qd.visualization.report.measuring.track_run", track_some)
    page = Page(make_report(Request(runs=[str(other), str(run)], no_embeddings=True), lambda line: None))
    assert "No tracks, timelines and embeddings: iou_thr is 7.0; it must be" in " ".join(page.said("li"))
    assert len([caption for caption in page.tables if caption == "Class pedestrian"]) == 1
    with pytest.raises(InputError, match="iou_thr is 7"):
        page_of(other)


@one_model
def test_embeddings_that_cannot_be_measured_are_noted(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def spoilt(self: TrueBoxReader) -> TrueObjects:
        found = objects_of(self)
        found.embeds[TRAINED][0] = np.nan
        return found

    objects_of = TrueBoxReader.objects
    monkeypatch.setattr(TrueBoxReader, "objects", spoilt)
    notes: list[str] = []
    assert tracked(run, notes, embeddings=True, max_frames=1).embedded is None
    assert notes == ["Embeddings are not shown: embedding_quality: embeds has a value that is not finite"]


@one_model
@pytest.mark.parametrize("method", ["__init__", "read", "objects"])
def test_true_boxes_that_cannot_be_read_cost_the_embeddings_alone(
    method: str, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: TrueBoxReader, *args: Any) -> None:
        raise InputError("no such boxes")

    monkeypatch.setattr(TrueBoxReader, method, refuse)
    notes: list[str] = []
    found = tracked(run, notes, embeddings=True, max_frames=1)
    assert found.embedded is None
    assert found.tracks.keys() == {"clip-1", "clip-2"}
    assert notes == ["Embeddings are not shown: no such boxes"]


@one_model
def test_result_files_of_a_run(run: Path, tmp_path: Path) -> None:
    for name in ("clip-1", "clip-2"):
        (tmp_path / f"{name}.txt").write_text("")
    page = page_of(run, pred=[str(tmp_path)])
    assert page.tables["Class pedestrian"][1][-2:] == ["24", "4"]  # as the configuration's evaluator has it
    assert not (run / "report_cache").exists()


@one_model
def test_detections_that_are_there_already(run: Path) -> None:
    found = tracked(run)
    (detections,) = run.glob("report_cache/*/detections")
    moved = detections.rename(run.parent / "cache")
    (run / "epoch_1.pth").unlink()
    notes: list[str] = []
    source = ModelSource(str(run / "config.py"), None, run / "report_cache", detections=moved)
    assert same_tracks(track_run(source, silent, notes.append), found)
    assert notes == ["No checkpoint, so embeddings of the true boxes are not shown."]
    (moved / "clip-2.npz").unlink()
    assert len(track_run(source, silent, notes.append).tracks["clip-2"]) == 0
    assert notes[-1] == f"{moved} has no detections of 1 videos, which count as empty; first: clip-2"


def test_what_takes_long_is_told_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "_MANY_PAIRS", 100)
    told: list[str] = []
    found = objects(5, 4)
    measured = measuring._measured(found, tmp_path / "q.npz", told.append, told.append)
    assert told == ["comparing 0.0 billion pairs of 20 embeddings, once"]
    assert measured is not None
    assert list(measured.qualities) == ["a"]
    again = measuring._measured(found, tmp_path / "q.npz", told.append, told.append)
    assert again is not None
    assert again.qualities["a"].tpr_at_far == measured.qualities["a"].tpr_at_far
    measuring._measured(objects(3, 4), tmp_path / "few.npz", told.append, told.append)
    assert len(told) == 1


def test_the_four_axes_in_words() -> None:
    from clmot_qd.apis.running import load_config

    clmot, qdtrack = (dict(config_facts(load_config(name))) for name in ("clmot_tiny_demo", "qdtrack_tiny_demo"))
    assert clmot["Pair source"] == "two views of one frame (no identity labels)"
    assert qdtrack["Pair source"] == "reference frames of the video (identity labels)"
    assert clmot["Detector"] == "CenterNet + ResNet + DLANeck"
    assert clmot["Embedding loss"] == "NTXentPairLoss(temperature=0.1)"
    assert qdtrack["Embedding loss"].startswith("MultiPositivePairLoss(")
    assert qdtrack["Embedding loss"].count("PairLoss(") == 2
    assert clmot["Tracker"].startswith("JDETracker(conf_thr=0.4")
    assert clmot["Test annotations"] == "demo_out/data/annotations/test.json"
    assert dict(config_facts({})) == {"Model": "", **dict.fromkeys(list(clmot)[1:], "none")}


def objects(identities: int, frames: int, noise: float = 0.3) -> Embedded:
    rng = np.random.default_rng(0)
    ids = np.repeat(np.arange(identities), frames)
    vectors = rng.normal(size=(identities, 6))[ids] + noise * rng.normal(size=(len(ids), 6))
    zeros = np.zeros(len(ids), dtype=np.int64)
    return Embedded(
        TrueObjects({TRAINED: vectors}, ids, np.tile(np.arange(frames), identities), zeros, zeros, ["a"]), ["v"]
    )


def test_the_area_is_that_of_scikit_learn() -> None:
    from sklearn.metrics import roc_auc_score

    found = objects(6, 7, noise=1.0).objects
    vectors, ids = found.embeds[TRAINED], found.ids
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    one, two = np.triu_indices(len(ids), k=1)
    expected = roc_auc_score(ids[one] == ids[two], (unit[one] * unit[two]).sum(axis=1))
    assert roc_area(embedding_quality(vectors, ids, found.frames, found.videos)) == pytest.approx(expected, abs=1e-3)
    alone = embedding_quality(vectors[:3], np.arange(3), found.frames[:3], found.videos[:3])
    assert np.isnan(roc_area(alone))


def test_a_projection_is_a_sample_and_always_the_same() -> None:
    embedded = objects(8, 9)
    shown = project(embedded, most_identities=5, most_boxes=4)
    again = project(embedded, most_identities=5, most_boxes=4)
    assert shown is not None
    assert again is not None
    np.testing.assert_array_equal(shown.points, again.points)
    assert np.bincount(shown.identities).tolist() == [4] * 5
    assert (list(shown.names), shown.left_out) == ([f"v: {number}" for number in range(5)], 3)
    assert project(objects(2, 2)) is None


def test_a_projection_keeps_identities_together() -> None:
    shown = project(objects(6, 12, noise=0.05))
    assert shown is not None
    distance = np.linalg.norm(shown.points[:, None] - shown.points[None], axis=2) + np.eye(len(shown.points)) * 1e9
    assert (shown.identities[distance.argmin(axis=1)] == shown.identities).mean() > 0.95


@one_model
def test_pictures_outside_are_told_before_the_network_runs(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any) -> Any:
        raise InputError("outside")

    monkeypatch.setattr(measuring, "pictures_of", refuse)
    monkeypatch.setattr(ConfiguredVideos, "load_model", lambda *arguments: pytest.fail(NEVER))
    with pytest.raises(InputError, match="outside"):
        tracked(run)
