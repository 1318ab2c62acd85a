"""The hook in real short runs of both methods: what TensorBoard and the folder of pictures hold afterwards."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from clmot_qd.apis.running import build_runner, load_config, parse_options
from clmot_qd.engine import TrackingVisualizationHook, visualization_hook
from clmot_qd.errors import InputError

HOOK = dict(type="TrackingVisualizationHook", interval=2, videos=1, frames=(0, 2), view_width=200)
SCALARS = dict(type="TensorboardVisBackend")


def short_run(name: str, data: Path, work_dir: Path, hook: dict | None = HOOK) -> Config:
    """One epoch of four iterations of two pairs, and a validation, of a demo configuration."""
    config = load_config(name)
    for loader in (config.train_dataloader, config.val_dataloader, config.test_dataloader):
        loader.update(num_workers=0, persistent_workers=False)
        loader.dataset.data_root = f"{data}/"
    config.train_dataloader.batch_size = 2
    config.train_dataloader.drop_last = True
    config.val_evaluator = config.test_evaluator = []
    config.model.tracker.update(conf_thr=0.0) if "conf_thr" in config.model.tracker else None
    config.custom_hooks = [hook] if hook else []
    config.visualizer.vis_backends = [dict(type="LocalVisBackend"), SCALARS]
    config.train_cfg = dict(type="EpochBasedTrainLoop", max_epochs=1, val_interval=1)
    config.default_hooks = dict(config.default_hooks, checkpoint=None, logger=dict(type="LoggerHook", interval=1))
    config.work_dir = str(work_dir)
    return config


def events(work_dir: Path) -> Any:
    pytest.importorskip("tensorboard", reason="the optional package tensorboard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (path,) = work_dir.rglob("events.out.tfevents.*")
    return EventAccumulator(str(path), size_guidance=dict(images=0, scalars=0)).Reload()


@pytest.mark.parametrize("name", ["clmot_tiny_demo", "qdtrack_tiny_demo", "qdtrack_within-frame_tiny_demo"])
def test_a_run_leaves_losses_and_pictures(name: str, demo_data: Path, tmp_path: Path) -> None:
    runner = build_runner(short_run(name, demo_data, tmp_path))
    runner.train()
    logged = events(tmp_path)
    assert {"loss", "loss_embed", "lr"} <= set(logged.Tags()["scalars"])
    assert [event.step for event in logged.Scalars("loss_embed")] == [1, 2, 3, 4]
    assert set(logged.Tags()["images"]) == {"training_pairs", "tracks_DEMO-test-01"}
    # The first iteration of the run, then every second one.
    assert [event.step for event in logged.Images("training_pairs")] == [1, 2, 4]
    assert [event.step for event in logged.Images("tracks_DEMO-test-01")] == [1]  # epochs, as the metrics
    files = {path.name: cv2.imread(str(path)) for path in tmp_path.rglob("vis_image/*.png")}
    assert set(files) == {f"training_pairs_{step}.png" for step in (1, 2, 4)} | {"tracks_DEMO-test-01_1.png"}
    same = cv2.imdecode(np.frombuffer(logged.Images("training_pairs")[0].encoded_image_string, np.uint8), 1)
    assert np.array_equal(same, files["training_pairs_1.png"])
    assert same.shape[1] == 2 * 200 + 3 * 12  # two views, and the gaps around them
    assert same.shape[0] == 2 * (30 + 120 + 12)  # two pairs with their captions


def test_training_goes_through_the_same_numbers(demo_data: Path, tmp_path: Path) -> None:
    weights = []
    for name, hook in (("with", dict(HOOK, interval=1)), ("without", None)):
        runner = build_runner(short_run("clmot_tiny_demo", demo_data, tmp_path / name, hook))
        runner.train()
        weights.append(runner.model.state_dict())
    assert all(torch.equal(value, weights[1][key]) for key, value in weights[0].items())


def test_a_test_draws_tracks_in_frames_of_the_original_size(demo_data: Path, tmp_path: Path) -> None:
    config = short_run("clmot_tiny_demo", demo_data, tmp_path, dict(HOOK, videos=["DEMO-test-02"], ground_truth=False))
    build_runner(config).test()
    (path,) = tmp_path.rglob("vis_image/*.png")
    assert path.name == "tracks_DEMO-test-02_0.png"
    picture = cv2.imread(str(path))
    source = cv2.imread(str(demo_data / "test/DEMO-test-02/img1/000001.jpg"))
    assert picture.shape[1] > 2 * 200 > picture.shape[1] - 40  # frames 0 and 2 beside each other
    assert picture.shape[0] < 2 * 120  # and nothing below
    shrunk = cv2.resize(source, (200, 120), interpolation=cv2.INTER_CUBIC).astype(float)
    window = picture[picture.shape[0] - 120 - 2 :][:120, 2:202].astype(float)
    assert np.median(np.abs(window - shrunk)) < 6, "the frame is not the first of that video"


def test_a_failure_is_told_once_and_the_run_goes_on(
    demo_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def fail(*args: Any) -> None:
        calls.append(args)
        raise RuntimeError("no ink\nat all")

    monkeypatch.setattr(visualization_hook, "draw_pairs", fail)
    runner = build_runner(short_run("clmot_tiny_demo", demo_data, tmp_path, dict(HOOK, interval=1)))
    told: list[str] = []
    monkeypatch.setattr(runner.logger, "warning", told.append)
    runner.train()
    assert runner.iter == 4
    assert len(calls) == 1
    drawing = [line for line in told if "could not be used" not in line]  # boxes of an untrained network
    assert drawing == ["TrackingVisualizationHook: no pictures of training pairs from here on (RuntimeError: no ink)"]
    # The other kind goes on.
    assert [path.name for path in tmp_path.rglob("vis_image/*.png")] == ["tracks_DEMO-test-01_1.png"]


def test_of_several_processes_the_first_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr(visualization_hook, "draw_pairs", lambda *args: calls.append(args))
    monkeypatch.setattr(visualization_hook, "is_main_process", lambda: False)
    TrackingVisualizationHook().before_train_iter(at(0), 0, dict(inputs=[], data_samples=[]))
    assert not calls


def at(iteration: int, epoch: int = 0) -> Any:
    """A runner that is about to run this iteration."""
    visualizer = SimpleNamespace(add_image=lambda *args, **kwargs: None)
    return SimpleNamespace(iter=iteration, epoch=epoch, visualizer=visualizer, logger=logging.getLogger("test"))


@pytest.mark.parametrize(
    ("arguments", "due"),
    [
        (dict(interval=3), [0, 2, 5, 8]),
        (dict(interval=3, first_iters=0), [2, 5, 8]),
        (dict(interval=3, first_iters=3), [0, 1, 2, 5, 8]),
        (dict(interval=1, by_epoch=True), [0, 4, 8]),
        (dict(interval=2, by_epoch=True), [0, 4]),
        (dict(interval=2, by_epoch=True, first_iters=0), [4]),
        (dict(interval=1, pairs=0), []),
    ],
)
def test_when_pairs_are_drawn(arguments: dict, due: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[int] = []
    hook = TrackingVisualizationHook(**arguments)
    monkeypatch.setattr(visualization_hook, "draw_pairs", lambda *args: drawn.append(iteration))
    for iteration in range(9):  # epochs of four iterations
        hook.before_train_iter(at(iteration, iteration // 4), iteration % 4, dict(inputs=[], data_samples=[]))
    assert drawn == due


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (dict(interval=0), "interval = 0: must be 1 or more"),
        (dict(first_iters=-1), "first_iters = -1: must be 0 or more"),
        (dict(pairs=-1), "pairs = -1: must be 0 or more"),
        (dict(view_width=10), "view_width = 10: must be 64 or more"),
        (dict(videos=-1), "videos = -1: must be 0 or more"),
        (dict(videos="MOT17-02"), "videos = 'MOT17-02': give a list of names or a number"),
    ],
)
def test_impossible_arguments_are_refused(arguments: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        TrackingVisualizationHook(**arguments)


def test_names_of_videos_become_names_of_files(monkeypatch: pytest.MonkeyPatch) -> None:
    names: list[str] = []
    hook, runner = TrackingVisualizationHook(), at(7, epoch=3)
    monkeypatch.setattr(hook._tracked, "sheets", lambda: [("city/cam 1", None), ("MOT17-02", None)])
    runner.visualizer.add_image = lambda name, picture, step: names.append(f"{name}_{step}")
    for by_epoch in (True, False):
        runner.log_processor = SimpleNamespace(by_epoch=by_epoch)
        hook.after_val_epoch(runner)
    assert names == ["tracks_city-cam-1_3", "tracks_MOT17-02_3", "tracks_city-cam-1_7", "tracks_MOT17-02_7"]


def test_videos_that_there_are_not_are_named_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    hook, runner = TrackingVisualizationHook(videos=["nosuch", "a"]), at(7, epoch=3)
    runner.log_processor = SimpleNamespace(by_epoch=True)
    for _ in range(2):
        hook._tracked._seen = {"a": 3, "b": 3}
        hook.after_val_epoch(runner)
    found = [record.message for record in caplog.records]
    assert found == ["TrackingVisualizationHook: videos: nosuch: not among those tested here (a, b)"]
    by_number = TrackingVisualizationHook(videos=5)
    by_number._tracked._seen = {"a": 3}
    by_number.after_val_epoch(runner)
    assert len(caplog.records) == 1


def test_one_line_switches_it_on(tmp_path: Path) -> None:
    written = tmp_path / "mine.py"
    written.write_text('_base_ = ["clmot_qd::demo/clmot_tiny_demo.py", "clmot_qd::_base_/visualization.py"]\n')
    assert load_config(str(written)).custom_hooks[0].type == "TrackingVisualizationHook"
    line = ["default_hooks.pictures.type=TrackingVisualizationHook", "default_hooks.pictures.interval=7"]
    config = load_config("clmot_tiny_demo", parse_options(line))
    config.work_dir = str(tmp_path)
    config.train_dataloader = config.train_cfg = config.optim_wrapper = config.param_scheduler = None
    config.val_dataloader = config.val_cfg = config.val_evaluator = None
    config.test_dataloader = config.test_cfg = config.test_evaluator = None
    hooks = [hook for hook in Runner.from_cfg(config).hooks if isinstance(hook, TrackingVisualizationHook)]
    assert [hook.interval for hook in hooks] == [7]
