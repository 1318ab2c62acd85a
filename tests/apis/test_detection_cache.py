"""Caching a model's detections: they are the test loop's, stopped runs go on, models are not mixed."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS

from clmot_qd.apis.detection_cache import ConfiguredVideos, cache_detections, prepare_config
from clmot_qd.apis.detections import track_set
from clmot_qd.apis.running import build_runner, load_config
from clmot_qd.datasets.detections import CacheFolder, read_detection_file
from clmot_qd.datasets.mot_text import read_tracks
from clmot_qd.errors import InputError
from clmot_qd.evaluation import read_cocovid


@pytest.fixture(scope="module")
def cache(project: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    files = cache_detections(project["config"], project["checkpoint"], folder)
    assert [path.name for path in files] == ["clip-1.npz", "clip-2.npz"]
    return folder


def test_tracks_from_the_cache_are_those_of_the_test_loop(project: dict[str, Any], cache: Path, tmp_path: Path) -> None:
    keys = {"test_evaluator.out_dir": str(tmp_path / "out")}
    config = load_config(project["config"], keys)
    config.load_from, config.work_dir = project["checkpoint"], str(tmp_path / "run")
    build_runner(config).test()
    truth = read_cocovid(config.test_evaluator.ann_file)
    tracks = track_set(read_detection_file(cache), MODELS.build(dict(config.model.tracker)), truth)
    for name in truth.sequences:
        expected = read_tracks(tmp_path / "out" / f"{name}.txt")
        order = np.lexsort((tracks[name].ids, tracks[name].frames))
        assert len(expected) > 20
        for key in ("frames", "ids"):
            np.testing.assert_array_equal(getattr(tracks[name], key)[order], getattr(expected, key))
        np.testing.assert_allclose(tracks[name].bboxes[order], expected.bboxes, atol=1e-3)


def test_all_frames_and_classes_are_known(project: dict[str, Any], cache: Path) -> None:
    folder = CacheFolder(cache)
    assert folder.classes == ("pedestrian",)
    for video in folder.values():
        assert video.all_frames().tolist() == [1, 2, 3, 4, 5, 6]
        assert set(video.frames.tolist()) <= {1, 2, 3, 4, 5, 6}
        assert video.embeds is not None
        assert len(video.embeds) == len(video) > 6


def test_a_video_in_which_nothing_is_found(project: dict[str, Any], tmp_path: Path) -> None:
    place = "model.detector.test_cfg." + ("" if project["tracker"].__name__ == "JDETracker" else "rcnn.")
    cache_detections(project["config"], project["checkpoint"], tmp_path, {f"{place}score_thr": 1.5})
    folder = CacheFolder(tmp_path)
    for video in folder.values():
        assert len(video) == 0
        assert video.all_frames().tolist() == [1, 2, 3, 4, 5, 6]
        assert video.embeds is not None
        assert video.embeds.ndim == 2


class TestGoingOn:
    def test_what_is_there_is_not_made_again(self, project: dict[str, Any], cache: Path, tmp_path: Path) -> None:
        out, steps = tmp_path / "cache", []
        cache_detections(project["config"], project["checkpoint"], out)
        kept = (out / "clip-1.npz").stat().st_mtime_ns
        (out / "clip-2.npz").write_bytes((out / "clip-2.npz").read_bytes()[:-30])  # damaged
        cache_detections(
            project["config"], project["checkpoint"], out, progress=lambda done, total: steps.append((done, total))
        )
        assert steps == [(n, 12) for n in range(6, 13)]
        assert (out / "clip-1.npz").stat().st_mtime_ns == kept
        for name in ("clip-1", "clip-2"):
            np.testing.assert_array_equal(CacheFolder(out)[name].bboxes, CacheFolder(cache)[name].bboxes)
            np.testing.assert_array_equal(CacheFolder(out)[name].embeds, CacheFolder(cache)[name].embeds)
        with pytest.MonkeyPatch.context() as patch:
            patch.delattr(ConfiguredVideos, "load_model")
            cache_detections(project["config"], project["checkpoint"], out)
            tracker = {"model.tracker.type": "JDETracker"}  # it changes no detection
            cache_detections(project["config"], project["checkpoint"], out, {"model.tracker": tracker})

    def test_nothing_half_written_after_a_stop(self, project: dict[str, Any], tmp_path: Path) -> None:
        def stop(done: int, total: int) -> None:
            if done == 8:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            cache_detections(project["config"], project["checkpoint"], tmp_path / "cache", progress=stop)
        assert [path.name for path in (tmp_path / "cache").iterdir()] == ["clip-1.npz"]

    def test_another_model_is_refused(self, project: dict[str, Any], cache: Path, tmp_path: Path) -> None:
        state = torch.load(project["checkpoint"])["state_dict"]
        name = next(name for name, value in state.items() if value.is_floating_point())
        state[name] = state[name] + 1
        torch.save({"state_dict": state}, tmp_path / "other.pth")
        message = r"clip-1\.npz: was made with another {}; choose another folder or remove its files"
        with pytest.raises(InputError, match=message.format("checkpoint")):
            cache_detections(project["config"], tmp_path / "other.pth", cache)
        with pytest.raises(InputError, match=message.format("half")):
            cache_detections(project["config"], project["checkpoint"], cache, half=True)
        key = "model.detector.test_cfg"
        with pytest.raises(InputError, match=message.format("config")):
            cache_detections(project["config"], project["checkpoint"], cache, {f"{key}.score_thr": 0.9})


def test_half_precision(project: dict[str, Any], cache: Path, tmp_path: Path) -> None:
    half = cache_detections(project["config"], project["checkpoint"], tmp_path / "half", half=True)
    for path in half:
        with np.load(path) as arrays:
            assert arrays["embeds"].dtype == np.float16
        np.testing.assert_array_equal(
            CacheFolder(half[0].parent)[path.stem].bboxes, CacheFolder(cache)[path.stem].bboxes
        )


def test_any_sampler_gives_frame_by_frame(project: dict[str, Any], cache: Path, tmp_path: Path) -> None:
    keys = {"test_dataloader.sampler": dict(_delete_=True, type="DefaultSampler", shuffle=True)}
    cache_detections(project["config"], project["checkpoint"], tmp_path / "cache", keys)
    for name in ("clip-1", "clip-2"):
        np.testing.assert_array_equal(CacheFolder(tmp_path / "cache")[name].bboxes, CacheFolder(cache)[name].bboxes)


def test_still_images_are_no_videos(project: dict[str, Any], tmp_path: Path) -> None:
    keys = {"test_dataloader.dataset.type": "CocoDetectionDataset", "test_dataloader.dataset.data_prefix": dict(img="")}
    keys["test_dataloader.sampler"] = dict(_delete_=True, type="DefaultSampler", shuffle=False)
    with pytest.raises(InputError):
        ConfiguredVideos(prepare_config(project["config"], keys))


def test_the_command(project: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = Path(__file__).resolve().parents[2] / "tools" / "cache_detections.py"
    spec = importlib.util.spec_from_file_location("tool_cache_detections", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.main([project["config"], project["checkpoint"], "--out", str(tmp_path / "cache")]) == 0
    printed = capsys.readouterr()
    assert printed.out == f"2 videos in {tmp_path / 'cache'}, 0.0 MiB\n"
    assert "12/12" in printed.err
