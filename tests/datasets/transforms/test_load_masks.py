"""LoadTrackMasks and IgnoreEmptyMasks: each form of a mask becomes the same pixels, in step with the boxes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from frame_builder import frame_with_blobs, seed_everything
from mmcv.transforms import Compose
from mmdet.datasets.transforms import LoadAnnotations, PackTrackInputs
from mmdet.registry import TRANSFORMS
from mmdet.structures.mask import BitmapMasks
from pycocotools import mask as mask_api

from clmot_qd.datasets.transforms import IgnoreEmptyMasks, LoadTrackMasks, WithinFrameTwoView, load_masks
from clmot_qd.errors import InputError
from clmot_qd.masks import RleMasks

pytestmark = pytest.mark.usefixtures("mmdet_scope")

SIZE = (20, 30)
SQUARE = [2, 3, 9, 3, 9, 8, 2, 8]


def rle(bitmap: np.ndarray) -> dict[str, Any]:
    """A mask as JSON has it."""
    (text,) = RleMasks.of_bitmaps(bitmap[None]).texts()
    return dict(size=list(bitmap.shape), counts=text)


def frame_of(*masks: Any, ignored: tuple[int, ...] = ()) -> dict[str, Any]:
    """A loaded frame with boxes, whose objects have these masks in the file; None and [] stand for no
    key, as in mmdet's data sets."""
    instances = [
        dict(bbox=[2.0, 3, 9, 8], bbox_label=0, ignore_flag=int(row in ignored))
        | ({} if mask is None else {"mask": mask})
        for row, mask in enumerate(masks)
    ]
    frame = dict(img=np.zeros((*SIZE, 3), np.uint8), img_path="a.png", img_id=1, img_shape=SIZE, ori_shape=SIZE)
    return LoadAnnotations(with_bbox=True)(frame | dict(instances=instances))


def pixels(*masks: Any, ignored: tuple[int, ...] = ()) -> np.ndarray:
    loaded = LoadTrackMasks()(frame_of(*masks, ignored=ignored))
    bitmaps = loaded["gt_masks"].masks
    assert bitmaps.dtype == np.uint8
    assert bitmaps.shape == (len(masks), *SIZE) == (len(masks), loaded["gt_masks"].height, loaded["gt_masks"].width)
    return bitmaps


def test_compressed_and_plain_runs_and_polygons_are_the_same_pixels() -> None:
    square = np.zeros(SIZE, bool)
    square[3:8, 2:9] = True
    runs = np.diff(np.flatnonzero(np.diff(square.T.ravel().astype(int), prepend=0)), prepend=0, append=square.size)
    plain = dict(size=list(SIZE), counts=runs.tolist())
    for bitmap in pixels(rle(square), plain, [[float(side) for side in SQUARE]], [SQUARE]):
        np.testing.assert_array_equal(bitmap, square)


def test_masks_are_those_of_mmdet_s_own_loader() -> None:
    rng = np.random.default_rng(0)
    polygons = [[rng.uniform(0, 20, 2 * n).round(1).tolist() for n in rng.integers(3, 9, k)] for k in (1, 2, 3)]
    masks = [*polygons, *(rle(rng.random(SIZE) < share) for share in (0.1, 0.5, 1))]
    expected = LoadAnnotations(with_bbox=True, with_mask=True)(frame_of(*masks))["gt_masks"]
    np.testing.assert_array_equal(pixels(*masks), expected.masks)
    assert pixels().shape == (0, *SIZE)


def test_parts_of_an_object_are_joined() -> None:
    (bitmap,) = pixels([SQUARE, [15, 10, 20, 10, 20, 15, 15, 15]])
    joined = np.zeros(SIZE)
    joined[3:8, 2:9] = joined[10:15, 15:20] = 1
    np.testing.assert_array_equal(bitmap, joined)


def test_ignored_objects_may_lack_a_mask_and_keep_their_place() -> None:
    bitmaps = pixels([SQUARE], None, [SQUARE], ignored=(1, 2))
    assert bitmaps.sum(axis=(1, 2)).tolist() == [35, 0, 35]
    loaded = LoadTrackMasks()(frame_of([SQUARE], None, [SQUARE], ignored=(1, 2)))
    assert loaded["gt_ignore_flags"].tolist() == [False, True, True]


def test_objects_without_a_pixel_are_ignored_and_told_of_once(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(load_masks, "print_log", lambda line, *_: told.append(line))
    step = LoadTrackMasks()
    frames = [frame_of([SQUARE], rle(np.zeros(SIZE, bool)), [[1, 1, 2, 2]]) for _ in range(3)]
    assert [step(frame)["gt_ignore_flags"].tolist() for frame in frames] == [[False, True, True]] * 3
    assert told == ["a.png: object 1: its mask has no pixel; such objects are ignored in training"]


@pytest.mark.parametrize("runs", [[600, 0], [0, 0, 600], [5, 0, 595], [0, 2, 598, 0]])
def test_runs_without_a_pixel_are_loaded(runs: list[int]) -> None:
    bitmap = pixels([SQUARE], dict(size=list(SIZE), counts=runs))[1]
    assert bitmap.T.ravel().nonzero()[0].tolist() == list(range(sum(runs[1::2])))


def test_mmdet_s_copy_paste_takes_and_gives_them() -> None:
    frames = [LoadTrackMasks()(frame_of([SQUARE])) for _ in range(2)]
    other = LoadTrackMasks()(frame_of([[4, 5, 20, 5, 20, 15, 4, 15]], [[0, 0, 2, 0, 2, 20, 0, 20]]))
    seed_everything(0)
    paste = TRANSFORMS.build(dict(type="CopyPaste", selected=False, bbox_occluded_thr=0, mask_occluded_thr=0))
    for frame, loader in ((frames[0], "ours"), (frames[1], "mmdet's")):
        if loader == "mmdet's":
            for one in (frame, other):
                one["gt_masks"] = BitmapMasks(one["gt_masks"].masks, *SIZE)
        frame["mix_results"] = [other]
    found, expected = (paste(frame)["gt_masks"] for frame in frames)
    np.testing.assert_array_equal(found.masks, expected.masks)
    assert found.masks.sum(axis=(1, 2)).tolist() == [35 - 5 * 3, 160, 40]


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (None, "a.png: object 1 has no segmentation: give it a mask, mark it"),
        ([], "has no segmentation"),
        (dict(size=[30, 20], counts="o3"), r"its mask is of size \[30, 20\]"),
        (dict(size=[20, 30], counts="PPPP0"), "no list of runs"),
        (dict(size=[20, 30], counts=[601]), "no list of runs"),
        (dict(size=[20, 30], counts=[599]), "no list of runs"),
        (dict(size=[20, 30]), "no list of runs"),
        ([[1, 2, "3"]], "a polygon is a list of numbers"),
        ([[1, 2, 3, 4, 5, 1e9]], "a polygon is a list of numbers"),
        ([["1", 2, 3, 4, 5, 6]], "a polygon is a list of numbers"),
        ("PPPP", "neither polygons nor a mask"),
    ],
)
def test_bad_masks_are_named(mask: Any, message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        LoadTrackMasks()(frame_of([SQUARE], mask))
    assert "a.png: object 1" in str(error.value)


def test_so_are_those_of_ignored_objects() -> None:
    with pytest.raises(InputError, match="object 0: its mask is of size"):
        LoadTrackMasks()(frame_of(dict(size=[1, 1], counts="1"), ignored=(0,)))


def test_the_wrong_place_is_named() -> None:
    for drop in ("gt_bboxes", "img_shape"):
        frame = frame_of([SQUARE])
        del frame[drop]
        with pytest.raises(InputError, match="put it after LoadTrackAnnotations"):
            LoadTrackMasks()(frame)
    cropped = frame_of([SQUARE], [SQUARE])
    cropped["gt_bboxes"] = cropped["gt_bboxes"][:1]
    for frame in (cropped, frame_of([SQUARE]) | dict(homography_matrix=np.eye(3))):
        with pytest.raises(InputError, match="right after LoadTrackAnnotations"):
            LoadTrackMasks()(frame)


def test_the_annotations_are_left_as_they_are() -> None:
    """A still image is both views of a pair: one list of annotations, loaded twice."""
    frame = frame_of([SQUARE], rle(np.zeros(SIZE, bool)))
    before = [dict(instance) for instance in frame["instances"]]
    for _ in range(2):
        assert LoadTrackMasks()(dict(frame))["gt_ignore_flags"].tolist() == [False, True]
    assert frame["instances"] == before


def test_a_crop_that_takes_all_pixels_of_an_object_takes_it_out_of_the_training() -> None:
    """The crop's corner of the box remains, and the ids stay in step."""
    lost = 0
    for seed in range(20):
        frame = frame_with_blobs((90, 120), 12, seed)
        frame["gt_ignore_flags"] = np.zeros(12, bool)
        before = frame["gt_masks"].masks.copy()
        seed_everything(seed)
        crop = dict(type="RandomCrop", crop_size=(50, 40), bbox_clip_border=False, allow_negative_crop=True)
        cropped = Compose([crop, dict(type="IgnoreEmptyMasks")])(frame)
        x, y = -cropped["homography_matrix"][:2, 2].astype(int)
        seen = before[cropped["gt_instances_ids"] - 1, y : y + 40, x : x + 50]
        np.testing.assert_array_equal(cropped["gt_masks"].masks, seen)
        np.testing.assert_array_equal(cropped["gt_ignore_flags"], ~seen.any(axis=(1, 2)))
        lost += int(cropped["gt_ignore_flags"].sum())
    assert lost > 2


def test_without_masks_nothing_changes() -> None:
    frame = frame_of()
    frame["gt_ignore_flags"] = np.array([True, False])
    assert IgnoreEmptyMasks()(frame) is frame
    assert frame["gt_ignore_flags"].tolist() == [True, False]


def test_packed_masks_are_in_step_with_the_boxes() -> None:
    rng = np.random.default_rng(3)
    bitmaps = rng.random((6, *SIZE)) < 0.4
    frame = frame_of(*map(rle, bitmaps), ignored=(2, 3))
    sample = PackTrackInputs()(WithinFrameTwoView()(LoadTrackMasks()(frame)))["data_samples"]
    for view, turn in ((sample[0], slice(None)), (sample[1], slice(None, None, -1))):
        for objects in (view.gt_instances, view.ignored_instances):
            rows = objects.instances_ids.numpy() - 1
            np.testing.assert_array_equal(objects.masks.masks, bitmaps[rows][:, :, turn])
        assert view.ignored_instances.instances_ids.tolist() == [3, 4]


def test_decoded_pixels_are_pycocotools_own() -> None:
    rng = np.random.default_rng(1)
    bitmap = rng.random(SIZE) < 0.5
    np.testing.assert_array_equal(pixels(rle(bitmap))[0], mask_api.decode(rle(bitmap)))


def test_repr() -> None:
    assert repr(LoadTrackMasks()) == "LoadTrackMasks()"
    assert repr(IgnoreEmptyMasks()) == "IgnoreEmptyMasks()"
