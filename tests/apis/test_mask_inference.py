"""TrackingInferencer with a mask head: the same masks whichever way the frames take."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample, TrackDataSample
from test_inferencer_options import BYTE, FRAMES, assert_same, open_project

from clmot_qd.apis.class_lists import head_classes
from clmot_qd.apis.detection_cache import cache_detections
from clmot_qd.apis.inferencer import TrackingInferencer
from clmot_qd.apis.precision import layers_of
from clmot_qd.errors import InputError
from clmot_qd.trackers import Tracks

NAME = "qdtrack_mask-rcnn_tiny_demo"
PROJECT = pytest.mark.parametrize("project", [NAME], indirect=True)
SIZE = (96, 128)


@pytest.fixture(scope="module")
def plain(project: dict[str, Any]) -> list[Tracks]:
    """The tracks of the frames, one by one."""
    session = open_project(project, optimize=False)
    return [session.update(frame) for frame in FRAMES]


def assert_same_masks(first: list[Tracks], second: list[Tracks], pixels: int) -> None:
    """As many masks, which differ by no more than so many pixels each."""
    for a, b in zip(first, second, strict=True):
        assert a.masks is not None
        assert b.masks is not None
        assert a.masks.size == b.masks.size == SIZE
        assert (a.masks.bitmaps() != b.masks.bitmaps()).sum(axis=(1, 2)).max(initial=0) <= pixels


@PROJECT
def test_masks_are_those_of_mim_test(project: dict[str, Any], plain: list[Tracks]) -> None:
    session = open_project(project, optimize=False)
    for number, (frame, tracks) in enumerate(zip(FRAMES, plain)):
        with torch.no_grad():
            images, (sample,) = session._preparation.batch([session._prepare(frame)])
        sample.set_metainfo(dict(frame_id=number, video_id=1))
        assert isinstance(sample, DetDataSample)
        clip = TrackDataSample()
        clip.video_data_samples = [sample]
        found = session.model.predict(images[None], [clip])[0][0].pred_track_instances
        assert len(found) > 1
        assert found.instances_id.tolist() == tracks.instances_id.tolist()
        assert found.masks.texts() == tracks.masks.texts()


@PROJECT
@pytest.mark.parametrize("how", [dict(), dict(batch_size=4), dict(prefetch=0)], ids=["plain", "batches", "no thread"])
def test_files_give_the_masks_of_single_frames(
    project: dict[str, Any], plain: list[Tracks], tmp_path: Path, how: dict[str, Any]
) -> None:
    """Folded norms, threads and batches change round-off alone; a pixel at the threshold may fall on the other side."""
    for number, frame in enumerate(FRAMES):
        cv2.imwrite(str(tmp_path / f"{number}.png"), frame)
    session = open_project(project, **how)
    assert session._detects_ahead
    found = list(session.stream(str(tmp_path)))
    assert_same(found, plain, atol=1e-2)
    assert_same_masks(found, plain, pixels=4)
    assert sum(int((tracks.masks.areas() > 20).sum()) for tracks in plain if tracks.masks is not None) > 6


@PROJECT
@pytest.mark.slow
def test_compiled_layers_give_the_same_masks(project: dict[str, Any], plain: list[Tracks]) -> None:
    session = open_project(project, compile=True)
    assert_same_masks([session.update(frame) for frame in FRAMES], plain, pixels=2)


@PROJECT
def test_stock_trackers_give_masks(project: dict[str, Any], plain: list[Tracks]) -> None:
    session = open_project(project, {"model.tracker": BYTE}, optimize=False)
    for frame, expected in zip(FRAMES, plain):
        tracks = session.update(frame)
        assert isinstance(tracks, Tracks)
        assert len(tracks) > 1
        assert (tracks.detection_index >= 0).all()
        assert expected.masks is not None
        theirs = dict(zip(expected.detection_index.tolist(), expected.masks.texts()))
        masks = dict(zip(tracks.detection_index.tolist(), tracks.masks.texts() if tracks.masks else []))
        shared = theirs.keys() & masks.keys()
        assert len(shared) > 1
        assert {k: theirs[k] for k in shared} == {k: masks[k] for k in shared}


@PROJECT
def test_filters_leave_masks_beside_their_boxes(project: dict[str, Any], plain: list[Tracks]) -> None:
    scores = np.sort(plain[0].scores)
    limit = float((scores[1] + scores[2]) / 2)
    few = open_project(project, optimize=False, score_thr=limit).update(FRAMES[0])
    assert 0 < len(few) == (plain[0].scores >= limit).sum()
    everything = plain[0].masks
    assert few.masks is not None
    assert everything is not None
    texts = {box.tobytes(): text for box, text in zip(plain[0].bboxes, everything.texts())}
    assert few.masks.texts() == [texts[box.tobytes()] for box in few.bboxes]
    session = open_project(project, optimize=False, keep_classes=["pedestrian"])
    session._kept_labels = np.array([7])  # a class that nothing has
    nothing = session.update(FRAMES[0])
    assert nothing.masks is not None
    assert (len(nothing), len(nothing.masks), nothing.masks.size) == (0, 0, SIZE)


@PROJECT
def test_half_precision_changes_masks_a_little(project: dict[str, Any], plain: list[Tracks]) -> None:
    session = open_project(project, precision="bfloat16")
    head = session.model.detector.roi_head.mask_head
    assert (head, "forward") in layers_of(session.model)
    assert (head, "forward") not in layers_of(session.model, fixed_size=True)
    seen = []
    head.convs[0].register_forward_hook(lambda *parts: seen.append(parts[2].dtype))
    tracks = session.update(FRAMES[0])
    assert seen == [torch.bfloat16]
    exact = plain[0]
    assert tracks.masks is not None
    assert exact.masks is not None
    pairs = np.argwhere(np.abs(tracks.bboxes[:, None] - exact.bboxes).max(axis=2) < 2)
    assert len(pairs) == len(exact) > 1
    overlaps = tracks.masks.iou(exact.masks)[pairs[:, 0], pairs[:, 1]]
    assert overlaps[exact.masks.areas()[pairs[:, 1]] > 20].min() > 0.9


@PROJECT
def test_a_model_may_leave_its_masks_out(project: dict[str, Any], plain: list[Tracks], tmp_path: Path) -> None:
    session = open_project(project, {"model.predict_masks": False}, optimize=False)
    tracks = session.update(FRAMES[0])
    assert tracks.masks is None
    np.testing.assert_array_equal(tracks.bboxes, plain[0].bboxes)
    files = session.track(FRAMES[:2], tmp_path)
    assert [file.name for file in files] == ["tracks.txt", "tracks.mp4", "contact_sheet.png"]


@PROJECT
def test_detections_that_are_kept_are_boxes_which_is_told(
    project: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("WARNING", logger="clmot_qd"):
        cache_detections(project["config"], project["checkpoint"], tmp_path)
    told = [record.getMessage() for record in caplog.records if "masks" in record.getMessage()]
    assert told == [f"{project['checkpoint']}: these detections are boxes: the model's masks are left out"]


@PROJECT
def test_mask_heads_count_their_classes(project: dict[str, Any]) -> None:
    session = open_project(project)
    assert head_classes(session.model) == {
        "model.detector.roi_head.bbox_head.num_classes": 1,
        "model.detector.roi_head.mask_head.num_classes": 1,
    }
    with pytest.raises(InputError, match=r"model\.detector\.roi_head\.mask_head\.num_classes is 2"):
        TrackingInferencer(project["config"], options={"model.detector.roi_head.mask_head.num_classes": 2})
