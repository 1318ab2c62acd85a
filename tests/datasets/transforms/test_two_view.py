"""WithinFrameTwoView and SingleView: one frame in, corresponding views out, no identity label read."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from frame_builder import (
    centres_of,
    dotted_frame,
    find_dot,
    frame_with_blobs,
    make_frame,
    map_points,
    random_boxes,
    seed_everything,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from mmcv.transforms import Compose
from mmdet.datasets.transforms import PackTrackInputs, RandomFlip

from clmot_qd.datasets.transforms import SingleView, WithinFrameTwoView
from clmot_qd.errors import InputError

pytestmark = pytest.mark.usefixtures("mmdet_scope")

SIZE = (480, 640)


def augmentation(scale: tuple[int, int], **affine: object) -> list[dict]:
    return [
        {"type": "ColourJitterHSV"},
        {"type": "Letterbox", "scale": scale},
        {"type": "TrackRandomAffine", **affine},
    ]


def train_steps(scale: tuple[int, int] = (192, 96), **affine: object) -> Compose:
    """The training pipeline behind the loaders."""
    return Compose(
        [
            RandomFlip(prob=0.5),
            WithinFrameTwoView(),
            {
                "type": "TransformBroadcaster",
                "share_random_params": False,
                "transforms": augmentation(scale, **affine),
            },
        ]
    )


def test_reference_is_the_mirror_image():
    boxes = random_boxes(6, SIZE)
    frame = make_frame(boxes)
    views = WithinFrameTwoView()(dict(frame))
    key, ref = views["img"]
    np.testing.assert_array_equal(key, frame["img"])
    np.testing.assert_array_equal(ref, frame["img"][:, ::-1])
    np.testing.assert_allclose(views["gt_bboxes"][0], boxes, atol=1e-4)
    mirrored = [[640 - x2, y1, 640 - x1, y2] for x1, y1, x2, y2 in boxes.tolist()]
    np.testing.assert_allclose(views["gt_bboxes"][1], mirrored, atol=1e-3)
    for name in ("gt_bboxes_labels", "gt_ignore_flags"):
        np.testing.assert_array_equal(views[name][0], views[name][1])
    assert views["gt_instances_ids"][0].tolist() == views["gt_instances_ids"][1].tolist() == [1, 2, 3, 4, 5, 6]
    assert views["gt_instances_ids"][0].dtype == np.int64


def test_what_the_track_transforms_need():
    views = WithinFrameTwoView()(make_frame(random_boxes(2, SIZE)))
    assert views["key_frame_flags"] == [True, False]
    assert views["img_id"] == [7, 7]
    assert views["img_path"] == ["frame.png"] * 2
    assert views["frame_id"] == [0, 0]
    assert views["video_length"] == [2, 2]
    assert views["ori_video_length"] == [1, 1]
    assert all(isinstance(values, list) and len(values) == 2 for values in views.values())


def test_without_mirror_both_views_are_equal_but_separate():
    frame = make_frame(random_boxes(3, SIZE))
    views = WithinFrameTwoView(mirror_ref=False)(frame)
    for name in ("img", "gt_bboxes"):
        np.testing.assert_array_equal(*views[name])
    for name in ("img", "gt_bboxes", "gt_bboxes_labels", "gt_ignore_flags", "gt_instances_ids"):
        assert not np.shares_memory(*views[name])


@pytest.mark.parametrize("mirror", [True, False])
def test_masks_are_in_both_views_and_share_no_memory(mirror):
    frame = frame_with_blobs((48, 64), 3)
    before = frame["gt_masks"].masks.copy()
    key, ref = WithinFrameTwoView(mirror_ref=mirror)(frame)["gt_masks"]
    np.testing.assert_array_equal(key.masks, before)
    np.testing.assert_array_equal(ref.masks, before[:, :, ::-1] if mirror else before)
    assert not np.shares_memory(key.masks, ref.masks)


@pytest.mark.parametrize(
    ("before", "after"),
    [(None, "horizontal"), ("horizontal", None), ("vertical", "diagonal"), ("diagonal", "vertical")],
)
def test_flip_metas_describe_each_view(before, after):
    frame = dotted_frame(SIZE)
    centres = centres_of(frame["gt_bboxes"].numpy())
    frame = RandomFlip(prob=1.0 if before else 0.0, direction=before or "horizontal")(frame)
    views = WithinFrameTwoView()(frame)
    assert views["flip_direction"] == [before, after]
    assert views["flip"] == [before is not None, after is not None]
    for image, boxes, matrix in zip(views["img"], views["gt_bboxes"], views["homography_matrix"]):
        expected = centres if matrix is None else map_points(matrix, centres)
        np.testing.assert_allclose(centres_of(boxes), expected, atol=1e-3)
        found = np.array([find_dot(image, centre) for centre in centres_of(boxes)])
        np.testing.assert_allclose(found, centres_of(boxes), atol=0.05)
        assert image.flags["C_CONTIGUOUS"]


@pytest.mark.parametrize("seed", range(10))
def test_dots_lie_at_box_centres_after_the_whole_pipeline(seed):
    """The i-th annotation is found, by its pixels, under id i in both views: through flip, mirror, letterbox, warp."""
    frame = dotted_frame((1080, 1920), seed)
    centres = centres_of(frame["gt_bboxes"].numpy())
    steps = train_steps((1088, 608), bbox_clip_border=False)
    seed_everything(seed)
    # The jitter would move the grey that the dots are told from.
    steps.transforms[2].transforms.transforms.pop(0)
    views = steps(frame)
    for image, boxes, ids, matrix in zip(
        views["img"], views["gt_bboxes"], views["gt_instances_ids"], views["homography_matrix"]
    ):
        after = centres_of(boxes)
        np.testing.assert_allclose(after, map_points(matrix, centres[ids - 1]), atol=5e-3)
        inside = ((after > 20) & (after < np.array([1088, 608]) - 20)).all(axis=1)
        assert inside.sum() > 20
        found = np.array([find_dot(image, centre, radius=12) for centre in after[inside]])
        np.testing.assert_allclose(found, after[inside], atol=0.15)


def test_an_object_may_survive_in_one_view_only():
    """Of the objects near the border some are lost in the key, some in the reference; the rest keep their ids."""
    only_key, only_ref = set(), set()
    for seed in range(20):
        seed_everything(seed)
        boxes = random_boxes(40, SIZE, seed)
        views = train_steps()(make_frame(boxes))
        key_ids, ref_ids = (set(ids.tolist()) for ids in views["gt_instances_ids"])
        assert key_ids | ref_ids <= set(range(1, 41))
        only_key |= key_ids - ref_ids
        only_ref |= ref_ids - key_ids
        for view in range(2):
            labels, flags, ids = (
                views[name][view] for name in ("gt_bboxes_labels", "gt_ignore_flags", "gt_instances_ids")
            )
            np.testing.assert_array_equal(labels, (ids - 1) % 3)
            np.testing.assert_array_equal(flags, (ids - 1) % 5 == 4)
    assert only_key
    assert only_ref


@given(count=st.sampled_from([0, 1, 2, 7, 200]), seed=st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_any_number_of_objects(count, seed):
    seed_everything(seed)
    frame = make_frame(random_boxes(count, (90, 120), seed), image=np.zeros((90, 120, 3), np.uint8))
    sample = PackTrackInputs(meta_keys=("pad_param",))(train_steps((96, 64))(frame))
    assert sample["inputs"].shape == (2, 3, 64, 96)
    for view in sample["data_samples"]:
        used, ignored = view.gt_instances, view.ignored_instances
        assert len(used) + len(ignored) <= count
        assert used.bboxes.shape == (len(used), 4)
        assert len(used.labels) == len(used.instances_ids) == len(used)
        assert len(set(used.instances_ids.tolist()) | set(ignored.instances_ids.tolist())) == len(used) + len(ignored)


def everything_equal(one: dict, two: dict) -> bool:
    if one.keys() != two.keys():
        return False
    return all(
        np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b
        for name in one
        for a, b in zip(one[name], two[name])
    )


def with_identities(frame: dict, identities: list[int] | None) -> dict:
    frame = copy.deepcopy(frame)
    count = len(frame["gt_bboxes_labels"])
    frame["instances"] = [{"bbox": [0, 0, 1, 1]} for _ in range(count)]
    if identities is not None:
        frame["gt_instances_ids"] = np.array(identities, dtype=np.int32)
        for instance, identity in zip(frame["instances"], identities):
            instance["instance_id"] = identity
    return frame


def test_identity_labels_change_nothing():
    frame = make_frame(random_boxes(12, SIZE))
    samples = []
    for identities in (None, list(range(12)), list(range(12))[::-1], [5] * 12):
        seed_everything(4)
        samples.append(train_steps()(with_identities(frame, identities)))
    assert all(everything_equal(samples[0], other) for other in samples[1:])
    seed_everything(5)
    assert not everything_equal(samples[0], train_steps()(with_identities(frame, None)))


def test_frame_dict_of_a_video_dataset():
    """Lists of length 1, numpy boxes: what BaseFrameSample and LoadTrackAnnotations give."""
    frame = make_frame(random_boxes(4, SIZE))
    frame.update(gt_bboxes=frame["gt_bboxes"].numpy(), frame_id=33, video_id=5, video_length=1, ori_video_length=90)
    flat = WithinFrameTwoView()(dict(frame))
    listed = WithinFrameTwoView()({name: [value] for name, value in frame.items()})
    assert everything_equal(flat, listed)
    assert listed["frame_id"] == [33, 33]
    assert listed["video_id"] == [5, 5]
    assert listed["ori_video_length"] == [90, 90]
    assert listed["video_length"] == [2, 2]


@pytest.mark.parametrize("step", [WithinFrameTwoView(), SingleView()])
def test_mistakes_in_the_pipeline_are_named(step):
    frame = make_frame(random_boxes(2, SIZE))
    with pytest.raises(InputError, match="takes one frame, got 2"):
        step({name: [value, value] for name, value in frame.items()})
    del frame["gt_bboxes"]
    with pytest.raises(InputError, match=r"no 'gt_bboxes': put LoadAnnotations\(with_bbox=True\) before it"):
        step(frame)


def test_single_view_keeps_true_identities():
    frame = make_frame(random_boxes(3, SIZE))
    with pytest.raises(InputError, match="LoadTrackAnnotations"):
        SingleView()(dict(frame))
    views = SingleView()({**frame, "gt_instances_ids": np.array([9, 4, 7], dtype=np.int32)})
    assert views["gt_instances_ids"][0].tolist() == [9, 4, 7]
    assert views["key_frame_flags"] == [True]
    assert len(views["img"]) == 1
    np.testing.assert_array_equal(views["img"][0], frame["img"])
    sample = PackTrackInputs()(views)
    assert sample["inputs"].shape == (1, 3, 480, 640)
    assert sample["data_samples"].key_frames_inds == [0]
    assert sample["data_samples"][0].gt_instances.instances_ids.tolist() == [9, 4, 7]


def test_repr():
    assert repr(WithinFrameTwoView(mirror_ref=False)) == "WithinFrameTwoView(mirror_ref=False, keep_ids=False)"
    assert repr(SingleView()) == "SingleView()"


def test_identities_are_kept_where_a_classifier_needs_them():
    frame = make_frame(random_boxes(4, (480, 640)))
    frame["gt_instances_ids"] = np.array([9, 4, 7, 2], dtype=np.int32)
    views = WithinFrameTwoView(keep_ids=True)(dict(frame))
    assert [ids.tolist() for ids in views["gt_instances_ids"]] == [[9, 4, 7, 2]] * 2
    assert views["gt_instances_ids"][0].dtype == np.int64
    with pytest.raises(InputError, match="LoadTrackAnnotations"):
        WithinFrameTwoView(keep_ids=True)(make_frame(random_boxes(4, (480, 640))))
