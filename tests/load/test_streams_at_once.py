"""Eight streams at once in one process, each with a session of its own: as one after the other."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from stub_session import SquareSession, scene

from clmot_qd.trackers import Tracks

STREAMS = 8
CONFIGS = {
    "clmot_tiny_demo": {
        "model.tracker.conf_thr": 0.0,
        "model.detector.test_cfg": dict(topk=6, local_maximum_kernel=3, score_thr=0.0),
    },
    "qdtrack_tiny_demo": {
        "model.tracker.init_score_thr": 0.0,
        "model.tracker.obj_score_thr": 0.0,
        "model.detector.test_cfg.rcnn.score_thr": 0.0,
        "model.detector.test_cfg.rcnn.max_per_img": 6,
    },
}


def at_once(work: Callable[[int], Any]) -> list[Any]:
    """What ``work`` returns for 0 to 7, each called in a thread of its own."""
    results: list[Any] = [None] * STREAMS

    def call(number: int) -> None:
        try:
            results[number] = work(number)
        except BaseException as error:
            results[number] = error

    threads = [threading.Thread(target=call, args=(number,)) for number in range(STREAMS)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results


def clip(number: int, count: int) -> list[np.ndarray]:
    """A video that no other stream has: so many frames more, other places, another beginning."""
    return [np.roll(scene(7 * number + frame, 128, 96), 5 * number, axis=1) for frame in range(count + number)]


def assert_same(ours: Sequence[Tracks], theirs: Sequence[Tracks]) -> None:
    assert len(ours) == len(theirs)
    for mine, other in zip(ours, theirs):
        for name, values in vars(other).items():
            np.testing.assert_array_equal(getattr(mine, name), values)


def test_files_of_eight_streams(tmp_path: Path) -> None:
    """Detection, tracking, drawing and encoding at once; every byte of text and every picture as alone."""

    def track(folder: str, number: int) -> list[bytes]:
        session = SquareSession(batch_size=1 + number % 3)
        outputs = ["mot", "cocovid", "sheet", "frames"]
        written = session.track(
            clip(number, 9), tmp_path / folder / str(number), outputs=outputs, progress=lambda done, total: None
        )
        pictures = [picture.read_bytes() for picture in sorted(written[3].iterdir())]
        return [path.read_bytes() for path in written[:3]] + pictures

    together = at_once(lambda number: track("together", number))
    assert together == [track("alone", number) for number in range(STREAMS)]
    assert len({files[0] for files in together}) == STREAMS


def test_eight_inferencers_of_two_models() -> None:
    """Built at once, then at work at once. Weights are random: the tracks mean nothing, and are many."""
    import torch

    from clmot_qd.apis import TrackingInferencer

    names = list(CONFIGS)
    sessions = at_once(lambda number: TrackingInferencer(names[number % 2], None, "cpu", CONFIGS[names[number % 2]]))
    for session in sessions[::2]:  # sizes of an untrained head are about 0
        torch.nn.init.constant_(session.model.detector.bbox_head.wh_head[-1].bias, 6.0)
    together = at_once(lambda number: list(sessions[number].stream(clip(number, 2))))
    for number, session in enumerate(sessions):
        assert_same(together[number], list(session.stream(clip(number, 2))))
        ids = np.concatenate([tracks.instances_id for tracks in together[number]])
        assert len(ids) > 5
        assert ids.min() == session.model.tracker.first_id, "identities are counted for each stream"
