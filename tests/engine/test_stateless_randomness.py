"""Random numbers follow from the place in the training, and from nothing else."""

from __future__ import annotations

import pickle
import random
import sys
from typing import Any

import numpy as np
import pytest
import torch
from mmdet.datasets import BaseVideoDataset
from mmdet.datasets.samplers import TrackImgSampler
from mmengine.dataset import DefaultSampler, pseudo_collate
from torch.utils.data import BatchSampler, DataLoader, Dataset

from clmot_qd.engine import stateless_randomness
from clmot_qd.engine.stateless_randomness import (
    FramePlace,
    NumberedSampler,
    Place,
    loader_of,
    number_samples,
    seed_globally,
)


class Noise(Dataset):
    """(index, a number of each generator)"""

    def __len__(self) -> int:
        return 12

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        return (index, random.random(), np.random.rand(), float(torch.rand(())))  # noqa: NPY002


def epoch(number: int, workers: int = 0, seed: int = 5, batch: int = 3) -> list[tuple]:
    loader = DataLoader(Noise(), batch, sampler=range(12), num_workers=workers, collate_fn=list)
    number_samples(loader, seed).epoch = number
    return [sample for samples in loader for sample in samples]


def test_samples_are_the_same_with_any_workers_and_batches_and_differ_otherwise() -> None:
    first = epoch(0)
    assert [index for index, *_ in first] == list(range(12))
    assert type(first[0][0]) is int
    numbers = [value for _, *values in first for value in values]
    assert len(set(numbers)) == 36, "each its own"
    seed_globally([9])
    assert epoch(0, workers=2, batch=4) == first
    assert not {*numbers} & {value for _, *values in epoch(1) for value in values}
    assert not {*numbers} & {value for _, *values in epoch(0, seed=6) for value in values}


def test_another_process_draws_the_same_for_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    keys, order = {}, list(DefaultSampler(Noise(), seed=1))
    for processes in (1, 3):
        for rank in range(processes):
            monkeypatch.setattr(stateless_randomness, "get_dist_info", lambda: (rank, processes))  # noqa: B023
            numbered = NumberedSampler(order[rank::processes], 7)  # type: ignore[arg-type]
            keys.update({(processes, int(place)): place.key for place in numbered})
    assert all(keys[3, index] == keys[1, index] for index in range(12))


def test_the_global_generators_follow_from_the_key_alone() -> None:
    def drawn(*key: int) -> tuple[float, ...]:
        seed_globally(key)
        return (random.random(), np.random.rand(), float(torch.rand(())))  # noqa: NPY002

    one = drawn(1, 2, 3)
    assert drawn(1, 2, 4) != one
    assert drawn(1, 2, 3) == one
    assert (
        len(
            {
                drawn(0, 2**32 - 1, epoch, place)[source]
                for epoch in range(9)
                for place in range(9)
                for source in (0, 1, 2)
            }
        )
        == 243
    )


def test_numbering_twice_does_no_more_and_leaves_the_rest_to_the_sampler() -> None:
    sampler = DefaultSampler(Noise(), seed=3)
    loader = DataLoader(Noise(), batch_sampler=BatchSampler(sampler, 4, True), collate_fn=pseudo_collate)
    numbered = number_samples(loader, 1)
    assert number_samples(loader, 1) is numbered
    assert numbered.sampler is sampler
    assert len(numbered) == 12
    assert numbered.dataset is sampler.dataset
    numbered.set_epoch(4)
    assert (sampler.epoch, numbered.epoch) == (4, 4)
    assert [int(place) for place in numbered] == list(sampler)
    assert len(loader) == 3
    assert len(list(loader_of(loader, [[Place(0, (1,))]]))) == 1
    assert pickle.loads(pickle.dumps(numbered)).sampler.seed == 3


def test_a_place_is_an_index_and_travels_to_workers() -> None:
    place = pickle.loads(pickle.dumps(Place(7, (1, 2))))
    assert (place, place.key, list(range(9))[place]) == (7, (1, 2), 7)
    assert sys.getsizeof(place) < 200


def test_spawned_workers_can_be_given_the_data_set() -> None:
    loader = DataLoader(Noise(), 3)
    number_samples(loader, 5)
    again = pickle.loads(pickle.dumps(loader.dataset))
    assert again.__getitems__([Place(2, (1,))]) == loader.dataset.__getitems__([Place(2, (1,))])
    assert again.__getitems__.args[0] is again


class Frames(BaseVideoDataset):
    """Two videos of three frames: (index, a random number)."""

    def load_data_list(self) -> list[dict]:
        return [dict(video_id=number, video_length=3, images=[{}, {}, {}]) for number in range(2)]

    def filter_data(self) -> list[dict]:
        return self.data_list

    def __getitem__(self, index: Any) -> tuple[Any, float]:
        return (index, random.random())


def test_indices_of_frames_of_videos() -> None:
    """mmdet's sampler for video data sets gives pairs, which its batch sampler and data sets take apart."""
    data = Frames(ann_file="", serialize_data=False)
    drawn = []
    for workers in (0, 2):
        sampler = TrackImgSampler(data, seed=1)
        loader = DataLoader(data, 2, sampler=sampler, num_workers=workers, collate_fn=list)
        number_samples(loader, 5)
        seed_globally([workers])
        drawn.append([sample for samples in loader for sample in samples])
    assert drawn[0] == drawn[1]
    assert [index for index, _ in drawn[0]] == list(sampler)
    assert all(type(index) is tuple for index, _ in drawn[0])
    assert len({number for _, number in drawn[0]}) == 6
    place = pickle.loads(pickle.dumps(FramePlace((1, 2), (3, 4))))
    assert (place, place.key) == ((1, 2), (3, 4))


def test_other_indices_are_left_as_they_are() -> None:
    loader = DataLoader({"a": 1, "b": 2}, 1, sampler=["a", "b"], collate_fn=list)  # type: ignore[arg-type]
    assert list(NumberedSampler(loader.sampler, 5)) == ["a", "b"]
    assert stateless_randomness._draw_samples(loader.dataset, ["b"]) == [2]
