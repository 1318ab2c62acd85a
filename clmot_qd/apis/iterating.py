"""Generators over frames that close what they come from, when they end and when they are closed themselves."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from itertools import islice
from typing import TypeVar

import numpy as np

Item = TypeVar("Item")
Made = TypeVar("Made")


def first_of(items: Iterable[Item], count: int | None) -> Generator[Item]:
    """At most ``count`` items; None: all."""
    iterator = iter(items)
    try:
        yield from islice(iterator, count)
    finally:
        if hasattr(iterator, "close"):
            iterator.close()


def copies_of(frames: Generator[np.ndarray]) -> Generator[np.ndarray]:
    """Frames that stay what they are when their maker fills the same array again."""
    with closing(frames):
        for frame in frames:
            yield np.copy(frame)


def each_with(function: Callable[[Item], Made], items: Generator[Item]) -> Generator[tuple[Item, Made]]:
    """Each item beside what ``function`` makes of it."""
    with closing(items):
        for item in items:
            yield item, function(item)


def made_of(function: Callable[[Item], Made], items: Generator[Item]) -> Generator[Made]:
    """What ``function`` makes of each item."""
    with closing(items):
        for item in items:
            yield function(item)


def flattened(batches: Generator[list[Item]]) -> Generator[Item]:
    """The items of one batch after the other."""
    with closing(batches):
        for batch in batches:
            yield from batch


def batches_of(items: Generator[Item], size: int) -> Generator[list[Item]]:
    """Lists of ``size`` items, the last one shorter; what was read before an error is given out before it."""
    batch: list[Item] = []
    with closing(items):
        try:
            for item in items:
                batch.append(item)
                if len(batch) == size:
                    yield batch
                    batch = []
        except Exception:
            if batch:
                yield batch
            raise
    if batch:
        yield batch
