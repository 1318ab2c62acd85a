"""Steps of mmcv and mmdet that move pictures: they move the masks too, or a pipeline that loads masks refuses them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from frame_builder import frame_with_blobs, seed_everything
from mmcv.transforms import Compose
from mmdet.datasets.transforms import transforms as of_mmdet
from mmdet.registry import TRANSFORMS

from clmot_qd.datasets.segmentation_checks import LEAVING_MASKS, refuse_left_masks
from clmot_qd.errors import InputError

pytestmark = pytest.mark.usefixtures("mmdet_scope")

SIZE = (120, 160)
SMALL = dict(scale=(80, 60))
LEFT: dict[str, dict[str, Any]] = {
    "mmcv.CenterCrop": dict(crop_size=(60, 60)),
    "mmcv.Pad": dict(size=(200, 140)),
    "mmcv.RandomFlip": dict(prob=1.0),
    "mmcv.Resize": SMALL,
    "RandomShift": dict(prob=1.0),
}
STOPPING = {
    "RandomAffine": dict(),
    "RandomCenterCropPad": dict(crop_size=(60, 60), test_pad_mode=None, mean=[0], std=[1], to_rgb=True),
}
MOVED: dict[str, dict[str, Any]] = {
    "CutOut": dict(n_holes=3, cutout_shape=(9, 9)),
    "Expand": dict(prob=1.0),
    "FixScaleResize": SMALL,
    "FixShapeResize": dict(width=80, height=60),
    "Letterbox": SMALL,
    "MinIoURandomCrop": dict(),
    "Pad": dict(size=(200, 140)),
    "RandomChoiceResize": dict(scales=[(80, 60)]),
    "RandomCrop": dict(crop_size=(90, 90)),
    "RandomFlip": dict(prob=1.0),
    "RandomResize": dict(**SMALL, ratio_range=(0.8, 1.2)),
    "Resize": SMALL,
    "ResizeShortestEdge": dict(scale=60, max_size=100),
    "Rotate": dict(prob=1.0, level=6),
    "ShearX": dict(prob=1.0, level=6),
    "TrackRandomAffine": dict(),
    "TranslateY": dict(prob=1.0, level=6),
}


def moved(step: dict[str, Any], seed: int = 0, numpy_boxes: bool = False) -> dict[str, Any]:
    """A frame with masks after a step; ``numpy_boxes`` are what ``WithinFrameTwoView`` gives."""
    seed_everything(seed)
    frame = frame_with_blobs(SIZE, 6, seed)
    frame["gt_bboxes"].clip_(SIZE)
    if numpy_boxes:
        frame["gt_bboxes"] = frame["gt_bboxes"].numpy()
    return TRANSFORMS.build(step)(frame)


def beside(results: dict[str, Any]) -> float:
    """How far, in pixels, masks stick out of their boxes; infinite if their size or number is another one."""
    masks, boxes = results["gt_masks"], results["gt_bboxes"]
    if (masks.height, masks.width) != results["img"].shape[:2] or len(masks) != len(boxes):
        return np.inf
    assert tuple(results["img_shape"]) == results["img"].shape[:2]
    boxes = boxes if isinstance(boxes, np.ndarray) else boxes.numpy()
    around = masks.get_bboxes("hbox").numpy()
    there = around[:, 2] > around[:, 0]
    return float(np.hstack([boxes[:, :2] - around[:, :2], around[:, 2:] - boxes[:, 2:]])[there].max())


def pipeline(*steps: Any) -> Any:
    return Compose([dict(type="LoadTrackMasks"), *steps])


@pytest.mark.parametrize("name", MOVED)
def test_steps_that_move_masks_are_taken(name: str) -> None:
    step = dict(type=name, **MOVED[name])
    assert max(beside(moved(step, seed)) for seed in range(3)) < 2
    refuse_left_masks(pipeline(step))


@pytest.mark.parametrize("name", [*LEFT, *STOPPING])
def test_steps_that_leave_masks_are_refused(name: str) -> None:
    step = dict(type=name, **LEFT.get(name, {}), **STOPPING.get(name, {}))
    if name in LEFT:
        assert max(beside(moved(step, seed, numpy_boxes=name.startswith("mmcv."))) for seed in range(3)) > 4
    with pytest.raises(InputError, match=rf"{name.split('.')[-1]} moves pictures and boxes but not their masks: take"):
        refuse_left_masks(pipeline(step))
    refuse_left_masks(Compose([step]))  # nothing to leave behind


def test_the_message_tells_whose_step_it_is_and_what_to_take() -> None:
    with pytest.raises(InputError) as error:
        refuse_left_masks(pipeline(dict(type="mmcv.RandomFlip", prob=0.5)))
    assert str(error.value) == (
        "pipeline: mmcv's RandomFlip moves pictures and boxes but not their masks: take mmdet's RandomFlip instead"
    )
    assert len(LEAVING_MASKS) == len(LEFT) + len(STOPPING)


SHIFT = dict(type="RandomShift")
BARE = "mmcv.Resize"


@pytest.mark.parametrize(
    "wrapper",
    [
        dict(type="RandomApply", transforms=[SHIFT]),
        dict(type="RandomChoice", transforms=[[dict(type="RandomFlip", prob=0.5)], [SHIFT]]),
        dict(type="RandomOrder", transforms=[SHIFT]),
        dict(type="TransformBroadcaster", transforms=[dict(type="RandomApply", transforms=[SHIFT])]),
        dict(type="MultiBranch", branch_field=["one"], one=[SHIFT]),
        dict(type="ProposalBroadcaster", transforms=[SHIFT]),
        dict(type="RandomResize", scale=(80, 60), resize_type=BARE),
        dict(type="RandomChoiceResize", scales=[(80, 60)], resize_type=BARE),
        dict(type="ResizeShortestEdge", scale=60, resize_type=BARE),
    ],
    ids=lambda wrapper: wrapper["type"],
)
def test_they_are_found_within_other_steps(wrapper: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="moves pictures and boxes but not their masks"):
        refuse_left_masks(pipeline(wrapper))


def test_mmdets_loader_of_masks_counts_too() -> None:
    with pytest.raises(InputError, match="mmdet's RandomShift"):
        refuse_left_masks(Compose([dict(type="LoadAnnotations", with_bbox=True, with_mask=True), SHIFT]))
    refuse_left_masks(Compose([dict(type="LoadAnnotations", with_bbox=True), SHIFT]))


def test_albumentations_need_the_masks_in_their_keymap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_mmdet, "Compose", lambda *_, **__: None)  # the package's, which need not be there
    step = dict(type="Albu", transforms=[])
    refuse_left_masks(pipeline(step))
    refuse_left_masks(pipeline(dict(step, keymap=dict(img="image"))))
    with pytest.raises(InputError, match=r"mmdet's Albu moves .*: take a keymap with gt_masks='masks' instead"):
        refuse_left_masks(pipeline(dict(step, keymap=dict(img="image", gt_bboxes="bboxes"))))
