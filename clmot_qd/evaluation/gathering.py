"""Results of several processes in one place."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from weakref import WeakKeyDictionary

from mmengine.dist import get_dist_info
from mmengine.evaluator import BaseMetric

LONGEST_WAIT = timedelta(days=20)
"""How long processes wait for the one with the longest videos, and for the first one to score.

It is not to matter: one that has ended is noticed at once, by its connection or its launcher. In milliseconds it fits
into 32 bits.
"""

_waits = [LONGEST_WAIT]
_side_groups: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()  # by the default group they go with


@contextmanager
def longest_wait(wait: timedelta) -> Iterator[None]:
    """Let metrics wait no longer than this in place of :data:`LONGEST_WAIT`, for as long as the block lasts."""
    _waits.append(wait)
    try:
        yield
    finally:
        _waits.pop()


class GatheringMetric(BaseMetric):
    """A metric whose results come over the network to the first process, which scores them and tells the others.

    What differs from the parent: it needs no folder (the parent makes ``.dist_test`` in the current one, which has to
    be on a disk that all machines share; ``collect_dir`` still names such a folder); results are not cut to ``size``,
    the length of the data set, which may count videos where results count frames.
    """

    def evaluate(self, size: int) -> dict:
        """Score everything that was processed, on all processes."""
        rank, processes = get_dist_info()
        if processes == 1 or self.collect_device != "cpu" or self.collect_dir is not None:
            return super().evaluate(sys.maxsize)
        from torch import distributed

        group = _cpu_group()
        parts: list[Any] = [None] * processes
        distributed.gather_object(self.results, parts if rank == 0 else None, group=group)
        told: list[Any] = [None]
        if rank == 0:
            metrics = self.compute_metrics([result for part in parts for result in part])
            told = [{f"{self.prefix}/{key}" if self.prefix else key: value for key, value in metrics.items()}]
        distributed.broadcast_object_list(told, group=group)
        self.results.clear()
        return told[0]


def _cpu_group() -> Any:
    """All processes, joined without GPUs (whose memory is not for results); None is the default group.

    Made once, by all processes at the same time, with the patience that ``dist_cfg.timeout`` has set.
    """
    from torch import distributed

    if distributed.get_backend() == "gloo":
        return None
    default = distributed.group.WORLD
    if default not in _side_groups:
        _side_groups[default] = distributed.new_group(backend="gloo", timeout=_waits[-1])
    return _side_groups[default]
