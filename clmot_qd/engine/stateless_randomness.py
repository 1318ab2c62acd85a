"""Random numbers that follow from where training stands, so that no generator's state has to be kept.

Transforms and samplers of regions draw from the global generators of ``random``, numpy and torch. Their state differs
between data workers and is lost with the process. Here both kinds of draws are seeded anew each time: a sample's from
(seed, epoch, position in the epoch), an iteration's from (seed, iteration, process). So they are the same with any
number of workers, and after a restart.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence, Sized
from functools import partial
from numbers import Integral
from typing import Any

import numpy as np
import torch
from mmengine.dist import get_dist_info
from torch.utils.data import DataLoader, Sampler

SAMPLES, ITERATIONS, VALIDATIONS = 0, 1, 2
"""First number of a key, so that samples, iterations and validations share no seed."""


class Place(int):
    """An index into a data set that knows the key of the sample's random numbers.

    It is an ``int`` to whatever else looks at indices: batch samplers by aspect ratio, ``ConcatDataset``.
    """

    key: tuple[int, ...]

    def __new__(cls, index: int, key: tuple[int, ...] = ()) -> Place:
        """Make one; without a key (unpickling passes none) it is set afterwards."""
        place = super().__new__(cls, index)
        place.key = key
        return place


class FramePlace(tuple):
    """As :class:`Place`, of data sets of videos, whose indices are pairs (video, frame)."""

    key: tuple[int, ...]

    def __new__(cls, index: Iterable[int], key: tuple[int, ...] = ()) -> FramePlace:
        """As that of :class:`Place`."""
        place = super().__new__(cls, index)
        place.key = key
        return place


class NumberedSampler(Sampler):
    """Another sampler's indices, each with the key of its sample's random numbers.

    The position counts over all processes, which take every n-th element of one order: a sample is augmented alike
    whichever process has it. Everything else is the other sampler's.

    Attributes:
        sampler: The other one.
        seed: Of the run.
        epoch: The one that begins; a run by iterations is one epoch, through which the position counts on.
    """

    def __init__(self, sampler: Sampler, seed: int) -> None:
        self.sampler = sampler
        self.seed = seed
        self.epoch = 0
        self.rank, self.world_size = get_dist_info()

    def __iter__(self) -> Iterator[Any]:
        """The elements of this process in this epoch; those that are neither numbers nor tuples go without a key."""
        start = self.rank
        for index in self.sampler:
            key = (SAMPLES, self.seed, self.epoch, start)
            if isinstance(index, Integral):
                yield Place(int(index), key)
            else:
                yield FramePlace(index, key) if type(index) is tuple else index
            start += self.world_size

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch, of the other sampler as well; the iterator of mmengine's loop by iterations calls it."""
        self.epoch = epoch
        if hasattr(self.sampler, "set_epoch"):
            self.sampler.set_epoch(epoch)

    def __len__(self) -> int:
        """As the other sampler."""
        return len(self.sampler) if isinstance(self.sampler, Sized) else 0

    def __getattr__(self, name: str) -> Any:
        if name == "sampler":  # before __init__, when it is unpickled
            raise AttributeError(name)
        return getattr(self.sampler, name)


def number_samples(loader: DataLoader, seed: int) -> NumberedSampler:
    """Let each sample of a loader be drawn from random numbers of its own, in place; a second call does no more.

    The data set gets torch's optional method of a whole batch, ``__getitems__``, and stays what it is otherwise. To be
    called before the loader's workers are started.

    Args:
        loader: Of a data set with indices, in batches.
        seed: Of the run.

    Returns:
        The sampler, whose ``epoch`` is to be set before each epoch.
    """
    batches: Any = loader.batch_sampler
    if not isinstance(batches.sampler, NumberedSampler):
        batches.sampler = NumberedSampler(batches.sampler, seed)
        loader.dataset.__getitems__ = partial(_draw_samples, loader.dataset)  # type: ignore[attr-defined]
    return batches.sampler


def _draw_samples(dataset: Any, places: Sequence[Any]) -> list[Any]:
    """The samples of a batch."""
    samples = []
    for place in places:
        if isinstance(place, (Place, FramePlace)):
            seed_globally(place.key)
            place = int(place) if isinstance(place, Place) else tuple(place)
        samples.append(dataset[place])
    return samples


def seed_globally(key: Sequence[int]) -> None:
    """Set the global generators of ``random``, numpy and torch, on GPUs as well, to what a key says.

    ``torch.manual_seed`` would do it too, but asks for the caller's stack each time as long as no GPU is in use.

    Args:
        key: Numbers from 0 on.
    """
    words = np.random.SeedSequence(list(key)).generate_state(8)
    random.seed(words[:2].tobytes())
    np.random.seed(words[2:6])  # noqa: NPY002  mmcv's and mmdet's transforms draw from it
    number = int(words[6]) << 32 | int(words[7])
    torch.default_generator.manual_seed(number)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(number)


def loader_of(loader: DataLoader, batches: Any) -> DataLoader:
    """A loader as ``loader`` is, but of these batches of indices and with workers of its own."""
    return DataLoader(
        loader.dataset,
        batch_sampler=batches,
        num_workers=loader.num_workers,
        collate_fn=loader.collate_fn,
        pin_memory=loader.pin_memory,
        timeout=loader.timeout,
        worker_init_fn=loader.worker_init_fn,
        multiprocessing_context=loader.multiprocessing_context,
        prefetch_factor=loader.prefetch_factor,
        persistent_workers=loader.persistent_workers,
    )
