"""An exported file in ONNX Runtime: frames in, detections out; no torch."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from clmot_qd.apis.tracking_session import Frame, FrameDetections
from clmot_qd.errors import InputError
from clmot_qd.export.metadata import OUTPUTS, FileSettings
from clmot_qd.export.preprocess import Prepared
from clmot_qd.geometry import boxes_to_original


class OnnxDetector:
    """Finds objects and their embeddings with a file of ``tools/export_onnx.py``.

    Args:
        path: The file.
        providers: Execution providers of ONNX Runtime, by preference; None: CUDA if there is one, then the CPU.
        threads: Threads of the CPU provider; None leaves the number to ONNX Runtime.

    Attributes:
        settings: What the file carries beside the network.

    Raises:
        InputError: ONNX Runtime is missing or refuses the file, another program wrote it, or a provider is unknown.
    """

    def __init__(
        self, path: str | os.PathLike[str], providers: Sequence[str] | None = None, threads: int | None = None
    ) -> None:
        self.path = os.fspath(path)
        self._session = open_session(self.path, providers, threads)
        self.settings = FileSettings.from_properties(self.path, self._session.get_modelmeta().custom_metadata_map)
        self._inputs = {entry.name: entry.shape for entry in self._session.get_inputs()}
        missing = {"images", *OUTPUTS} - {*self._inputs, *(entry.name for entry in self._session.get_outputs())}
        if missing:
            raise InputError(f"{self.path}: has no {', '.join(sorted(missing))}; export it again")

    @property
    def takes_batches(self) -> bool:
        """Whether the network takes several frames at once (CL-MOT's does, QDTrack's takes one)."""
        return not isinstance(self._inputs["images"][0], int)

    def detect(self, frames: Sequence[Frame]) -> list[FrameDetections]:
        """Find the objects of some frames of one size, (H, W, 3) uint8 BGR each.

        Returns:
            Per frame its detections, best first, boxes in its pixels.
        """
        prepared = [self.settings.preprocess(frame) for frame in frames]
        if self.takes_batches:
            return self._run(prepared)
        return [found for one in prepared for found in self._run([one])]

    def _run(self, prepared: Sequence[Prepared]) -> list[FrameDetections]:
        """One call of the network."""
        values = {
            "images": np.stack([one.image for one in prepared]),
            "image_shape": np.array(prepared[0].image_shape, dtype=np.int64),
        }
        try:
            found = self._session.run(list(OUTPUTS), {name: values[name] for name in self._inputs})
        except Exception as error:  # ONNX Runtime has a family of exceptions, all of them plain ones
            size = "x".join(map(str, values["images"].shape))
            raise InputError(
                f"{self.path}: ONNX Runtime failed on an input of {size} ({_first_line(error)})"
            ) from error
        boxes, scores, labels, embeds, image = found
        rows = [image == index for index in range(len(prepared))]
        return [
            FrameDetections(
                boxes_to_original(boxes[row], one.scale_factor, one.pad_param), scores[row], labels[row], embeds[row]
            )
            for row, one in zip(rows, prepared)
        ]


def open_session(path: str, providers: Sequence[str] | None, threads: int | None) -> Any:
    """Load a file into ONNX Runtime.

    Raises:
        InputError: See :class:`OnnxDetector`.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise InputError(f"ONNX files are run by onnxruntime: pip install onnxruntime ({error})") from error
    if not os.path.isfile(path):
        raise InputError(f"{path}: no such file; write it with tools/export_onnx.py")
    if threads is not None and threads < 1:
        raise InputError(f"threads = {threads}: must be at least 1")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.log_severity_level = 3  # its warnings are about its own optimisations
    chosen = _providers(onnxruntime.get_available_providers(), providers)
    try:
        return onnxruntime.InferenceSession(path, options, providers=chosen)
    except Exception as error:  # as above
        raise InputError(f"{path}: ONNX Runtime cannot load it ({_first_line(error)}); export it again") from error


def _providers(available: Sequence[str], wanted: Sequence[str] | None) -> list[str]:
    """The execution providers to use, by preference."""
    if wanted is None:
        return [name for name in ("CUDAExecutionProvider", "CPUExecutionProvider") if name in available]
    for name in wanted:
        if name not in available:
            raise InputError(f"providers: this onnxruntime has no {name}, it has {', '.join(available)}")
    return list(wanted)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
