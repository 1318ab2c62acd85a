"""What every tracker keeps, whatever it is given."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from clips import ALL, BISOFTMAX, JDE, Clip, Frame, assert_same, clips, living, run
from hypothesis import given

every_tracker = pytest.mark.parametrize("kind", ALL)


@every_tracker
@given(clip=clips(), data=st.data())
def test_ids_are_unique_ascend_and_never_come_back(kind: str, clip: Clip, data: st.DataObject) -> None:
    tracker, ever = ALL[kind](), set[int]()
    gone = set[int]()
    for frame in clip:
        blind = (kind in JDE or kind == "overlap alone") and data.draw(st.booleans())
        tracks = tracker.update(*(frame._replace(embeds=None) if blind else frame))
        shown, alive = tracks.instances_id.tolist(), living(tracker).tolist()
        assert shown == sorted(set(shown))
        assert alive == sorted(set(alive))
        assert set(shown) <= set(alive)
        assert not gone & set(alive)
        born = set(alive) - ever
        assert min(born, default=tracker._next_id) > max(ever, default=-1)
        ever |= born
        gone = ever - set(alive)


@every_tracker
@given(clip=clips())
def test_every_track_shown_is_one_detection_of_its_frame(kind: str, clip: Clip) -> None:
    tracker = ALL[kind]()
    for frame in clip:
        tracks = tracker.update(*frame)
        index = tracks.detection_index
        assert len(set(index.tolist())) == len(index)
        assert ((index >= 0) & (index < len(frame.scores))).all()
        np.testing.assert_array_equal(tracks.labels, frame.labels[index])
        np.testing.assert_array_equal(tracks.scores, frame.scores[index].astype(np.float32))
        assert np.isfinite(tracks.bboxes).all()
        assert (tracks.bboxes[:, 2:] >= tracks.bboxes[:, :2]).all()
        if not getattr(tracker, "smooth_boxes", False):
            np.testing.assert_array_equal(tracks.bboxes, frame.bboxes[index].astype(np.float32))


@every_tracker
@given(clip=clips(distinct=True), seed=st.integers(0, 2**32 - 1))
def test_permuting_detections_permutes_the_output(kind: str, clip: Clip, seed: int) -> None:
    """The JDE tracker counts births by row, so there ids are equal up to their names; elsewhere by score."""
    rng, names = np.random.default_rng(seed), dict[int, int]()
    plain, shuffled = ALL[kind](), ALL[kind]()
    for frame in clip:
        order = rng.permutation(len(frame.scores))
        expected, found = plain.update(*frame), shuffled.update(*frame.select(order))
        a, b = np.argsort(expected.detection_index), np.argsort(order[found.detection_index])
        np.testing.assert_array_equal(order[found.detection_index][b], expected.detection_index[a])
        np.testing.assert_allclose(found.bboxes[b], expected.bboxes[a], atol=1e-3)
        if kind in BISOFTMAX:
            np.testing.assert_array_equal(found.instances_id, expected.instances_id)
        for identity, renamed in zip(expected.instances_id[a].tolist(), found.instances_id[b].tolist()):
            assert names.setdefault(identity, renamed) == renamed
    assert len(set(names.values())) == len(names)


@every_tracker
@given(before=clips(), clip=clips())
def test_reset_makes_a_new_tracker(kind: str, before: Clip, clip: Clip) -> None:
    used = ALL[kind]()
    run(used, before)
    used.reset()
    for found, expected in zip(run(used, clip), run(ALL[kind](), clip)):
        assert_same(found, expected)


@every_tracker
@given(clip=clips(distinct=True), x=st.integers(-5000, 5000), y=st.integers(-5000, 5000))
def test_moving_the_camera_moves_the_tracks(kind: str, clip: Clip, x: int, y: int) -> None:
    shift = np.array([x, y, x, y])
    moved = [frame._replace(bboxes=frame.bboxes + shift) for frame in clip]
    for found, expected in zip(run(ALL[kind](), moved), run(ALL[kind](), clip)):
        np.testing.assert_array_equal(found.instances_id, expected.instances_id)
        np.testing.assert_array_equal(found.detection_index, expected.detection_index)
        np.testing.assert_allclose(found.bboxes, expected.bboxes + shift, atol=5e-3)


@every_tracker
@given(clip=clips(), power=st.integers(-2, 6))
def test_other_pixels_are_the_same_scene(kind: str, clip: Clip, power: int) -> None:
    """Powers of two lose no digit: every decision is the same, and every box to the last bit."""
    factor = 2.0**power
    scaled = [frame._replace(bboxes=frame.bboxes * factor) for frame in clip]
    for found, expected in zip(run(ALL[kind](), scaled), run(ALL[kind](), clip)):
        assert_same(found, replace(expected, bboxes=expected.bboxes * np.float32(factor)))


@every_tracker
@given(clip=clips(distinct=True))
def test_a_mirrored_scene_has_mirrored_tracks(kind: str, clip: Clip) -> None:
    mirrored = [
        frame._replace(bboxes=1000 - frame.bboxes[:, [2, 1, 0, 3]] * [1, -1, 1, -1] - [0, 1000, 0, 1000])
        for frame in clip
    ]
    for found, expected in zip(run(ALL[kind](), mirrored), run(ALL[kind](), clip)):
        np.testing.assert_array_equal(found.instances_id, expected.instances_id)
        np.testing.assert_array_equal(found.detection_index, expected.detection_index)


@every_tracker
@given(clip=clips(), start=st.sampled_from([-(2**61), -(2**40), -7, 1, 1000, 2**40, 2**61]))
def test_where_frames_are_counted_from_does_not_matter(kind: str, clip: Clip, start: int) -> None:
    later = [frame._replace(frame_id=frame.frame_id + start) for frame in clip]
    for found, expected in zip(run(ALL[kind](), later), run(ALL[kind](), clip)):
        assert_same(found, expected)


@every_tracker
@given(clip=clips(steps=(1, 10**6, 10**12)))
def test_a_long_gap_forgets_everything_at_once(kind: str, clip: Clip) -> None:
    """Frame numbers may be timestamps: no work is done for each frame of a gap."""
    tracker, last, shown = ALL[kind](), None, set[int]()
    for frame in clip:
        tracks = tracker.update(*frame)
        if last is not None and frame.frame_id - last > 10**5:
            assert not shown & set(tracks.instances_id.tolist())
            shown = set(living(tracker).tolist())
        shown |= set(living(tracker).tolist())
        last = frame.frame_id


@pytest.mark.parametrize("kind", ["cosine", "tao", "tao, strict"])
@given(clip=clips())
def test_a_gap_is_the_same_as_empty_frames(kind: str, clip: Clip) -> None:
    """Of trackers without backdrops and motion; the others say in their docstrings what a gap is to them."""
    gaps, filled = ALL[kind](), ALL[kind]()
    last = clip[0].frame_id - 1
    for frame in clip:
        for between in range(last + 1, frame.frame_id):
            assert not len(filled.update([], [], [], None, between))
        assert_same(filled.update(*frame), gaps.update(*frame))
        last = frame.frame_id


@pytest.mark.parametrize("kind", [kind for kind, make in JDE.items() if make().low_conf_thr == make().conf_thr])
@given(clip=clips(distinct=True), seed=st.integers(0, 2**32 - 1))
def test_detections_that_are_not_used_change_nothing(kind: str, clip: Clip, seed: int) -> None:
    rng, plain, disturbed = np.random.default_rng(seed), JDE[kind](), JDE[kind]()
    for frame in clip:
        more = with_useless_rows(frame, rng, disturbed.conf_thr)
        expected, found = plain.update(*frame), disturbed.update(*more)
        np.testing.assert_array_equal(found.instances_id, expected.instances_id)
        np.testing.assert_array_equal(found.bboxes, expected.bboxes)
        np.testing.assert_array_equal(more.scores[found.detection_index], frame.scores[expected.detection_index])


def with_useless_rows(frame: Frame, rng: np.random.Generator, conf_thr: float) -> Frame:
    """The same rows in the same order, and others between them: low scores, and numbers that are none."""
    count = int(rng.integers(0, 5))
    boxes, looks = rng.uniform(0, 100, (count, 4)), rng.standard_normal((count, 4))
    boxes[:, 2:] += 100
    scores = rng.uniform(0, conf_thr, count)
    broken = rng.random(count) < 0.5
    boxes[broken, rng.integers(0, 4)], scores[broken] = np.nan, 0.99
    place = np.sort(rng.integers(0, len(frame.scores) + 1, count))
    added = boxes, scores, rng.integers(0, 2, count), looks.astype(frame.embeds.dtype)
    return Frame(*(np.insert(old, place, new, axis=0) for old, new in zip(frame.rows, added)), frame.frame_id)


@every_tracker
@given(clip=clips())
def test_classes_have_no_order(kind: str, clip: Clip) -> None:
    renamed = [frame._replace(labels=np.array([900, 5])[frame.labels]) for frame in clip]
    for found, expected in zip(run(ALL[kind](), renamed), run(ALL[kind](), clip)):
        assert_same(found, replace(expected, labels=np.array([900, 5])[expected.labels]))


@every_tracker
@given(clip=clips())
def test_channels_have_no_sign(kind: str, clip: Clip) -> None:
    """Turning the space of looks changes no angle; flipping axes loses no digit."""
    flipped = [frame._replace(embeds=frame.embeds * np.array([1, -1, -1, 1], frame.embeds.dtype)) for frame in clip]
    for found, expected in zip(run(ALL[kind](), flipped), run(ALL[kind](), clip)):
        assert_same(found, expected)


@every_tracker
@given(clip=clips())
def test_lists_and_tensors_are_as_good_as_arrays(kind: str, clip: Clip) -> None:
    as_lists, as_tensors, as_arrays = (ALL[kind]() for _ in range(3))
    for frame in clip:
        expected = as_arrays.update(*frame)
        assert_same(as_tensors.update(*map(torch.from_numpy, frame.rows), frame.frame_id), expected)
        if frame.embeds.dtype == np.float64:
            assert_same(as_lists.update(*(values.tolist() for values in frame.rows), frame.frame_id), expected)
        else:
            as_lists.update(*frame)


@every_tracker
@given(clip=clips())
def test_nobody_elses_arrays_are_touched_or_kept(kind: str, clip: Clip) -> None:
    """Whoever fills the same arrays again for the next frame, or draws into the result, disturbs no track."""
    careless, careful = ALL[kind](), ALL[kind]()
    for frame in clip:
        given_away = Frame(*(values.copy() for values in frame.rows), frame.frame_id)
        found, expected = careless.update(*given_away), careful.update(*frame)
        assert_same(found, expected)
        for mine, original in zip(given_away.rows, frame.rows):
            np.testing.assert_array_equal(mine, original)
        for values in (*given_away.rows, *found.columns().values()):
            values[...] = 77


@every_tracker
@given(clip=clips(), data=st.data())
def test_refused_input_leaves_no_trace(kind: str, clip: Clip, data: st.DataObject) -> None:
    disturbed, plain = ALL[kind](), ALL[kind]()
    wrong: list[dict[str, Any]] = [
        {"frame_id": -(10**9)},
        {"frame_id": 2**63},
        {"frame_id": -(2**70)},
        {"scores": np.zeros(99)},
        {"labels": np.full(99, 1)},
        {"bboxes": np.zeros((3, 5))},
        {"bboxes": [[9, 9, 1, 1]], "scores": [0.99], "labels": [0], "embeds": np.ones((1, 4))},
        {"bboxes": [[1, 1, 9, 9]], "scores": [0.99], "labels": [0.5], "embeds": np.ones((1, 4))},
    ]
    for number, frame in enumerate(clip):
        if number:
            changed = frame._asdict() | data.draw(st.sampled_from(wrong))
            with pytest.raises(ValueError, match=r"^(frame_id|scores|labels|bboxes|embeds): "):
                disturbed.update(**changed)
        assert_same(disturbed.update(*frame), plain.update(*frame))
        assert disturbed.num_rejected == plain.num_rejected == 0


def test_the_trackers_of_these_tests_are_all_that_there_are() -> None:
    import clmot_qd.trackers as package

    classes = {value for value in vars(package).values() if isinstance(value, type) and hasattr(value, "update")}
    assert {type(make()) for make in ALL.values()} == classes
