"""TrackingInferencer with an untrained tiny model: against the test command; mistakes in the configuration."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from tiny_data import SIZE, shrink, write_tiny_data

from clmot_qd.apis.inferencer import TrackingInferencer
from clmot_qd.apis.running import build_runner, load_config
from clmot_qd.datasets.mot_text import read_tracks
from clmot_qd.errors import InputError


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A configuration on tiny pictures that tracks everything, and a checkpoint of its random weights."""
    folder = tmp_path_factory.mktemp("project")
    config = shrink(load_config("clmot_tiny_demo"), write_tiny_data(folder, frames=6))
    config.model.tracker.conf_thr = 0.0
    config.model.detector.test_cfg = dict(topk=5, local_maximum_kernel=3, score_thr=0.0)
    config.work_dir = str(folder / "run")
    config.dump(folder / "config.py")
    runner = build_runner(config)
    torch.manual_seed(0)
    runner.model.init_weights()
    with torch.no_grad():  # sizes of an untrained head are about 0
        runner.model.detector.bbox_head.wh_head[-1].bias.fill_(6.0)
    torch.save({"state_dict": runner.model.state_dict()}, folder / "model.pth")
    return dict(
        config=str(folder / "config.py"), checkpoint=str(folder / "model.pth"), frames=str(folder / "img/clip-1")
    )


@pytest.fixture
def tracking(project: dict[str, str]) -> TrackingInferencer:
    return TrackingInferencer(project["config"], project["checkpoint"], device="cpu")


def frames_of(project: dict[str, str]) -> list[np.ndarray]:
    return [cv2.imread(str(path)) for path in sorted(Path(project["frames"]).iterdir())]


def test_files_arrays_and_single_updates_give_the_same_tracks(
    tracking: TrackingInferencer, project: dict[str, str]
) -> None:
    from_folder = list(tracking.stream(project["frames"]))
    from_arrays = list(tracking.stream(frames_of(project)))
    tracking.reset()
    one_by_one = [tracking.update(frame) for frame in frames_of(project)]
    assert len(from_folder) == 6
    assert len(from_folder[0]) > 0
    for a, b, c in zip(from_folder, from_arrays, one_by_one):
        np.testing.assert_array_equal(a.instances_id, b.instances_id)
        np.testing.assert_array_equal(a.bboxes, b.bboxes)
        np.testing.assert_array_equal(a.instances_id, c.instances_id)
        np.testing.assert_array_equal(a.bboxes, c.bboxes)


def test_the_test_command_and_the_inferencer_agree(tracking: TrackingInferencer, project: dict[str, str]) -> None:
    config = load_config(project["config"])
    config.test_evaluator.out_dir = str(Path(project["config"]).parent / "results")
    config.load_from = project["checkpoint"]
    build_runner(config).test()
    written = read_tracks(Path(config.test_evaluator.out_dir) / "clip-1.txt")
    streamed = list(tracking.stream(project["frames"]))
    np.testing.assert_array_equal(written.ids, np.concatenate([t.instances_id for t in streamed]))
    corners = np.concatenate([t.bboxes for t in streamed])
    np.testing.assert_allclose(written.bboxes[:, :2], corners[:, :2], atol=2e-3)


def test_files_are_complete_and_named_after_the_source(
    tracking: TrackingInferencer, project: dict[str, str], tmp_path: Path
) -> None:
    written = tracking.track(project["frames"], tmp_path / "out", max_frames=4, progress=lambda done, total: None)
    assert [p.name for p in written] == ["tracks.txt", "tracks.mp4", "contact_sheet.png"]
    table = read_tracks(written[0])
    assert set(table.frames.tolist()) == {1, 2, 3, 4}
    capture = cv2.VideoCapture(str(written[1]))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 4
    assert capture.get(cv2.CAP_PROP_FRAME_WIDTH) == 5 * SIZE[0]
    assert cv2.imread(str(written[2])) is not None


def test_a_checkpoint_of_another_model_is_refused(project: dict[str, str]) -> None:
    options = {"model.detector.bbox_head.embed_channels": 32}
    with pytest.raises(InputError, match=r"not a checkpoint of this model.*embed_head"):
        TrackingInferencer(project["config"], project["checkpoint"], "cpu", options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model.tracker.conf": 1}, "conf"),
        ({"model.tracker.type": "JDETraker"}, "JDETraker"),
        ({"model.tracker": None}, "model.tracker is not set"),
        ({"test_dataloader": None}, "no key 'test_dataloader'"),
        ({"model.view_batching": "twice"}, "view_batching"),
        ({"model.detector.bbox_head.radius_formula": "x"}, "radius_formula"),
        ({"model": None}, "no key 'model'"),
    ],
)
def test_mistakes_in_the_configuration_are_named(project: dict[str, str], options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        TrackingInferencer(project["config"], project["checkpoint"], "cpu", options)


@pytest.mark.parametrize("device", ["gpu", "cuda:99"])
def test_a_device_that_is_not_there_is_refused(project: dict[str, str], device: str) -> None:
    with pytest.raises(InputError, match=f"device '{device}'"):
        TrackingInferencer(project["config"], project["checkpoint"], device)


def test_a_misspelt_configuration_name_gets_a_suggestion() -> None:
    with pytest.raises(InputError, match=r"did you mean .*clmot_tiny_demo"):
        load_config("clmot_tiny_dem")
