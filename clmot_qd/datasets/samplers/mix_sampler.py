"""Several data sets in one epoch, each as much as wanted."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from mmdet.registry import DATA_SAMPLERS
from mmengine.dataset import ConcatDataset
from mmengine.dist import get_dist_info, sync_random_seed
from torch.utils.data import Sampler

from clmot_qd.errors import InputError


@DATA_SAMPLERS.register_module()
class MixSampler(Sampler):
    """Draws from each part of a ``ConcatDataset`` ``weight`` times its length in every epoch, shuffled together.

    Weight 1 shows every element once an epoch, as ``DefaultSampler`` does; 0.25 shows a fresh quarter in each epoch, so
    that four epochs show everything once; 2 shows every element twice; 0 leaves the part out. All processes draw from
    one order and share it; the order follows from seed and epoch alone.

    Args:
        dataset: A ``ConcatDataset``; its parts may be of any kind (pairs of frames, stills, wrappers of these).
        weights: One for each part, 0 or greater.
        seed: The same on all processes; None takes the configuration's ``randomness.seed``, or draws one. A run that is
            to be resumed in the middle of a round needs one that is fixed, as in all packaged configurations.

    Raises:
        InputError: Not a ``ConcatDataset``, another number of weights than parts, a weight that is negative or not
            finite, or nothing left to draw.
    """

    def __init__(self, dataset: ConcatDataset, weights: Sequence[float], seed: int | None = None) -> None:
        """Check, and count what an epoch holds."""
        self.lengths = _lengths(dataset, weights)
        self.counts = [round(weight * length) for weight, length in zip(weights, self.lengths)]
        if not sum(self.counts):
            raise InputError(f"MixSampler: weights {list(weights)} leave nothing to draw from {self.lengths} elements")
        self.rank, self.world_size = get_dist_info()
        self.seed = sync_random_seed() if seed is None else seed
        self.epoch = 0

    def __iter__(self) -> Iterator[int]:
        """Elements of this process, for the epoch that was set last."""
        starts = [sum(self.lengths[:part]) for part in range(len(self.lengths))]
        drawn = torch.cat([start + self._draw(part) for part, start in enumerate(starts)])
        mixed = drawn[torch.randperm(len(drawn), generator=self._generator(-1, self.epoch))]
        missing = len(self) * self.world_size - len(mixed)
        padded = torch.cat([mixed, mixed.repeat(math.ceil(missing / len(mixed)))[:missing]])
        return iter(padded[self.rank :: self.world_size].tolist())

    def __len__(self) -> int:
        """Elements of this process in one epoch; all processes have the same number."""
        return math.ceil(sum(self.counts) / self.world_size)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch; mmengine's loops call it."""
        self.epoch = epoch

    def _draw(self, part: int) -> torch.Tensor:
        """The elements (count,) of one part: the epoch's stretch of an endless row of permutations."""
        length, count = self.lengths[part], self.counts[part]
        if not count:
            return torch.empty(0, dtype=torch.long)
        first = self.epoch * count
        rounds = range(first // length, (first + count - 1) // length + 1)
        row = torch.cat([torch.randperm(length, generator=self._generator(part, round_)) for round_ in rounds])
        start = first - rounds[0] * length
        return row[start : start + count]

    def _generator(self, part: int, step: int) -> torch.Generator:
        """A generator of its own for each part and step, so that a longer part changes no other."""
        state = np.random.SeedSequence([self.seed, part + 1, step]).generate_state(1)
        return torch.Generator().manual_seed(int(state[0]))


def _lengths(dataset: ConcatDataset, weights: Sequence[float]) -> list[int]:
    if not isinstance(dataset, ConcatDataset):
        kind = type(dataset).__name__
        raise InputError(f"MixSampler: mixes the parts of a ConcatDataset, but the data set is a {kind}")
    lengths = [len(part) for part in dataset.datasets]
    if len(weights) != len(lengths):
        raise InputError(f"MixSampler: {len(weights)} weights for {len(lengths)} data sets; give one for each")
    for weight in weights:
        if not 0 <= weight < math.inf:
            raise InputError(f"MixSampler: weight {weight} must be a number from 0 on")
    return lengths
