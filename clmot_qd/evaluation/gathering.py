"""Results of several processes in one place."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import Any

from mmengine.dist import get_dist_info
from mmengine.evaluator import BaseMetric

LONGEST_WAIT = timedelta(hours=6)
"""How long processes wait for the one with the longest videos, and for the first one to score."""


class GatheringMetric(BaseMetric):
    """A metric whose results come over the network to the first process, which scores them and tells the others.

    What differs from the parent: it needs no folder (the parent makes ``.dist_test`` in the current one, which has to
    be on a disk that all machines share; ``collect_dir`` still names such a folder); results are not cut to ``size``,
    the length of the data set, which may count videos where results count frames.
    """

    _group: Any = None

    def evaluate(self, size: int) -> dict:
        """Score everything that was processed, on all processes."""
        rank, processes = get_dist_info()
        if processes == 1 or self.collect_device != "cpu" or self.collect_dir is not None:
            return super().evaluate(sys.maxsize)
        from torch import distributed

        group = self._cpu_group()
        parts: list[Any] = [None] * processes
        distributed.gather_object(self.results, parts if rank == 0 else None, group=group)
        told: list[Any] = [None]
        if rank == 0:
            metrics = self.compute_metrics([result for part in parts for result in part])
            told = [{f"{self.prefix}/{key}" if self.prefix else key: value for key, value in metrics.items()}]
        distributed.broadcast_object_list(told, group=group)
        self.results.clear()
        return told[0]

    def _cpu_group(self) -> Any:
        """All processes, joined without GPUs (whose memory is not for results); None is the default group."""
        from torch import distributed

        if distributed.get_backend() != "gloo" and self._group is None:
            self._group = distributed.new_group(backend="gloo", timeout=LONGEST_WAIT)
        return self._group
