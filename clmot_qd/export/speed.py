"""How fast torch and ONNX Runtime find the objects of a frame, taken in turns in one run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from clmot_qd.export.runtime import OnnxDetector


@dataclass(frozen=True)
class Timing:
    """Seconds per frame of one runtime.

    Attributes:
        name: Of the runtime.
        seconds: (rounds,) from a frame's pixels to its detections.
    """

    name: str
    seconds: np.ndarray

    def __str__(self) -> str:
        """Median and quartiles in milliseconds."""
        low, middle, high = np.percentile(1000 * self.seconds, [25, 50, 75])
        return f"{self.name:13s}{middle:9.1f} ms per frame (quartiles {low:.1f} to {high:.1f}), {1000 / middle:.2f} fps"


def compare_speed(tracking: Any, detector: OnnxDetector, frame: np.ndarray, rounds: int) -> Iterator[Timing]:
    """Time both runtimes on one frame: pre-processing, network and decoding, without the tracker.

    They take turns, so that whatever else the machine does falls on both; the first call of each is not counted.

    Args:
        tracking: The model in torch.
        detector: The same in ONNX Runtime.
        frame: (H, W, 3) uint8 BGR.
        rounds: Calls of each.

    Yields:
        torch's time, ONNX Runtime's time.
    """
    runtimes: dict[str, Callable[[], Any]] = {
        "torch": lambda: tracking._detect([frame]),
        "ONNX Runtime": lambda: detector.detect([frame]),
    }
    for call in runtimes.values():
        call()
    taken = np.array([[_seconds(call) for call in runtimes.values()] for _ in range(rounds)])
    for name, seconds in zip(runtimes, taken.T):
        yield Timing(name, seconds)


def _seconds(call: Callable[[], Any]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started
