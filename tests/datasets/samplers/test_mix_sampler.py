"""MixSampler: how often each element comes, over epochs and processes."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from mmengine.dataset import BaseDataset, ConcatDataset
from torch.utils.data import DataLoader

from clmot_qd.datasets.samplers import MixSampler, mix_sampler
from clmot_qd.errors import InputError


class Numbers(BaseDataset):
    """A data set of a given length."""

    def __init__(self, length: int) -> None:
        self.length = length
        super().__init__(lazy_init=True)
        self._fully_initialized = True

    def load_data_list(self) -> list[dict]:
        return [{} for _ in range(self.length)]

    def full_init(self) -> None:
        self._fully_initialized = True

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Any:
        return index


def mix(*lengths: int) -> ConcatDataset:
    return ConcatDataset([Numbers(length) for length in lengths], lazy_init=True)


def epoch(sampler: MixSampler, number: int) -> list[int]:
    sampler.set_epoch(number)
    return list(sampler)


def test_four_epochs_of_a_quarter_show_everything_once() -> None:
    sampler = MixSampler(mix(8, 10), [0.25, 1], seed=0)
    epochs = [epoch(sampler, number) for number in range(8)]
    for drawn in epochs:
        assert len(drawn) == len(sampler) == 12
        assert sorted(drawn)[2:] == list(range(8, 18))  # all of the second part
    for four in (epochs[:4], epochs[4:]):
        assert sorted(index for drawn in four for index in drawn if index < 8) == list(range(8))
    assert epochs[0][:2] != sorted(epochs[0])[:2], "shuffled together"
    assert [sorted(drawn)[:2] for drawn in epochs[:4]] != [sorted(drawn)[:2] for drawn in epochs[4:]]


def test_weights_above_one_and_zero() -> None:
    sampler = MixSampler(mix(4, 5, 3), [2.5, 0, 1], seed=1)
    counts = Counter(index for number in range(2) for index in epoch(sampler, number))
    assert {counts[index] for index in range(4)} == {5}
    assert not any(counts[index] for index in range(4, 9))
    assert {counts[index] for index in range(9, 12)} == {2}


def test_order_follows_from_seed_and_epoch_and_another_part_changes_nothing() -> None:
    one, other = MixSampler(mix(30, 7), [0.5, 1], seed=5), MixSampler(mix(30, 9), [0.5, 1], seed=5)
    assert epoch(one, 3) == epoch(MixSampler(mix(30, 7), [0.5, 1], seed=5), 3)
    assert epoch(one, 3) != epoch(one, 4)
    assert epoch(one, 3) != epoch(MixSampler(mix(30, 7), [0.5, 1], seed=6), 3)
    first_part = [sorted(index for index in epoch(sampler, 3) if index < 30) for sampler in (one, other)]
    assert first_part[0] == first_part[1]


def test_processes_share_an_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    hands = []
    for rank in range(3):
        monkeypatch.setattr(mix_sampler, "get_dist_info", lambda rank=rank: (rank, 3))
        sampler = MixSampler(mix(5, 8), [1, 0.25], seed=0)
        hands.append(epoch(sampler, 0))
        assert len(sampler) == 3
    assert [len(hand) for hand in hands] == [3, 3, 3]
    counts = Counter(index for hand in hands for index in hand)
    assert len(counts) == 7, "two elements come twice, to make the hands equal"
    assert {index for index in counts if index < 5} == set(range(5))


def test_more_processes_than_elements(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mix_sampler, "get_dist_info", lambda: (4, 5))
    assert len(epoch(MixSampler(mix(2), [1], seed=0), 0)) == 1


def test_in_a_loader() -> None:
    data = mix(4, 4)
    sampler = MixSampler(data, [1, 0.5], seed=0)
    assert sum(len(batch) for batch in DataLoader(data, batch_size=2, sampler=sampler)) == 6


@pytest.mark.parametrize(
    ("dataset", "weights", "message"),
    [
        (Numbers(3), [1], "MixSampler: mixes the parts of a ConcatDataset, but the data set is a Numbers"),
        (mix(3, 3), [1], "MixSampler: 1 weights for 2 data sets; give one for each"),
        (mix(3, 3), [1, -1], "MixSampler: weight -1 must be a number from 0 on"),
        (mix(3, 3), [1, float("nan")], "MixSampler: weight nan must be a number from 0 on"),
        (mix(3, 3), [0, 0.1], "MixSampler: weights [0, 0.1] leave nothing to draw from [3, 3] elements"),
    ],
)
def test_mistakes(dataset: Any, weights: list[float], message: str) -> None:
    with pytest.raises(InputError) as caught:
        MixSampler(dataset, weights)
    assert str(caught.value) == message
