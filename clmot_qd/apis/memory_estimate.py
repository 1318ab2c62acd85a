"""How much memory training and inference need, measured on the CPU by one real step on a made-up pair.

torch counts every block that its CPU allocator hands out; on a GPU the same operations, mmcv's among them, ask for
blocks of the same sizes. In mixed precision mmcv's operators get float32 here, so that they count for more than on a
GPU. What a GPU takes besides is in :data:`OVERHEAD` and :data:`FRAGMENTATION`.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clmot_qd.apis.memory_sample import made_up_batch
from clmot_qd.errors import InputError

if TYPE_CHECKING:
    from mmengine.config import Config

    from clmot_qd.models.mot.tracking_model import TrackingModel

GIB = 2**30
OVERHEAD = 1 * GIB
"""What no tensor shows: CUDA's context (0.5 to 1 GiB) and the libraries loaded into it."""
FRAGMENTATION = 0.15
"""Share of the rest that goes to cuDNN's workspaces and to gaps between blocks; an allowance, not a measurement."""
CARDS = (8, 12, 16, 24, 40, 80)
"""Memory of common cards, GiB."""


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes. Those that grow with the batch are for one pair; see :meth:`training` and :meth:`inference`.

    Attributes:
        size: (width, height) of the network input after padding, pixels.
        amp: Mixed precision.
        parameters: Parameters and buffers.
        gradients: Gradients of what is trained; they stay while gradients are accumulated.
        optimizer: The optimizer's state.
        activations: What one pair leaves behind for the backward pass.
        step: The most that one pair needs at a time in forward and backward pass, ``activations`` among it.
        frame: The most that detecting and tracking in one frame needs at a time.
    """

    size: tuple[int, int]
    amp: bool
    parameters: int
    gradients: int
    optimizer: int
    activations: int
    step: int
    frame: int

    def training(self, batch_size: int) -> int:
        """Tensors of a training step with so many pairs, at the worst moment.

        What a step needs once only, or for one picture after the other, is counted for every pair: the figure for large
        batches is rather too high.
        """
        return self.parameters + self.gradients + self.optimizer + batch_size * self.step

    def inference(self) -> int:
        """Tensors of tracking frame by frame, at the worst moment."""
        return self.parameters + self.frame

    def largest_batch(self, card: int) -> int:
        """The most pairs that fit on a card of so many GiB, allowance included; 0 if not even one does."""
        free = (card * GIB - OVERHEAD) / (1 + FRAGMENTATION) - self.training(0)
        return max(0, int(free // self.step))

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def on_card(tensors: int) -> int:
    """Bytes of GPU memory to reckon with for so many bytes of tensors."""
    return round(tensors * (1 + FRAGMENTATION)) + OVERHEAD


def estimate_memory(
    config: Config, size: tuple[int, int] | None = None, amp: bool | None = None, objects: int = 30
) -> MemoryEstimate:
    """Build the model of a configuration, without its pretrained weights, and run it once in training and in test.

    Args:
        config: Read by ``load_config``.
        size: (width, height) of the pictures that come out of the training pipeline, pixels; the configuration's
            ``input_size`` by default.
        amp: Mixed precision; by default what the configuration's ``optim_wrapper`` says. bfloat16 stands for float16,
            which is of the same size.
        objects: Objects in each picture.

    Raises:
        InputError: Not one of our models; no size; a number that cannot be.
    """
    width, height = _checked_size(config, size)
    if objects < 1:
        raise InputError(f"objects = {objects}: must be 1 or more")
    import torch

    from clmot_qd.ops import mmcv_operators

    if amp is None:
        amp = str(config.get("optim_wrapper", {}).get("type")) in ("AmpOptimWrapper", "BFloat16OptimWrapper")
    model = _build(config)
    views = 2 if model.needs_pairs else 1
    batch = made_up_batch(model, (width, height), views, objects)
    with mmcv_operators(), torch.autocast("cpu", torch.bfloat16, enabled=amp):
        activations, step = _measure_step(model, batch)
        frame = _measure_frame(model, made_up_batch(model, (width, height), 1, objects))
    trained = [parameter for parameter in model.parameters() if parameter.grad is not None]
    return MemoryEstimate(
        size=_padded(model, width, height),
        amp=amp,
        parameters=_bytes([*model.parameters(), *model.buffers()]),
        gradients=_bytes(trained),
        optimizer=_optimizer_state(config, model),
        activations=activations,
        step=step,
        frame=frame,
    )


def _checked_size(config: Config, size: tuple[int, int] | None) -> tuple[int, int]:
    chosen = size or config.get("input_size")
    if not chosen:
        raise InputError("the configuration has no key 'input_size': give the network's input with --size WIDTH HEIGHT")
    width, height = (int(side) for side in chosen)
    if min(width, height) < 32:
        raise InputError(f"size {width}x{height}: both sides must be 32 pixels or more")
    return width, height


def _padded(model: TrackingModel, width: int, height: int) -> tuple[int, int]:
    """The sides as the model's preprocessor rounds them up."""
    divisor = max(1, getattr(model.data_preprocessor, "pad_size_divisor", 1))
    return -(-width // divisor) * divisor, -(-height // divisor) * divisor


def _build(config: Config) -> TrackingModel:
    from mmdet.registry import MODELS
    from mmengine.registry import init_default_scope

    from clmot_qd.apis.running import explain_build
    from clmot_qd.models.mot.tracking_model import TrackingModel

    init_default_scope(config.get("default_scope", "mmdet"))
    model = explain_build(lambda: MODELS.build(config.model))
    if not isinstance(model, TrackingModel):
        raise InputError(f"model.type = {type(model).__name__}: the estimate knows CLMOT and QuasiDenseMOT alone")
    return model


def _measure_step(model: TrackingModel, batch: dict[str, Any]) -> tuple[int, int]:
    """Bytes saved for the backward pass, and the most in use at a time, of one training step."""
    import torch

    kept = {block.untyped_storage().data_ptr() for block in (*model.parameters(), *model.buffers())}
    saved: dict[int, int] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in kept:
            saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    def step() -> None:
        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            losses = model(**model.data_preprocessor(batch, True), mode="loss")
        model.parse_losses(losses)[0].backward()

    model.train()
    most = _most_in_use(step)
    return sum(saved.values()), most


def _measure_frame(model: TrackingModel, batch: dict[str, Any]) -> int:
    """The most in use at a time while one frame is tracked."""
    model.eval()
    return _most_in_use(lambda: model(**model.data_preprocessor(batch, False), mode="predict"))


def _most_in_use(work: Callable[[], Any]) -> int:
    """The highest sum of the blocks in use while ``work`` runs, bytes, over what was in use before."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        work()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        profiler.export_chrome_trace(str(path))
        events = json.loads(path.read_text())["traceEvents"]
    changes = sorted((event["ts"], event["args"]["Bytes"]) for event in events if event.get("name") == "[memory]")
    in_use = most = 0
    for _, change in changes:
        in_use += change
        most = max(most, in_use)
    return most


def _optimizer_state(config: Config, model: TrackingModel) -> int:
    """Bytes of the optimizer's state after its first step."""
    import torch
    from mmengine.optim import build_optim_wrapper

    from clmot_qd.apis.running import explain_build, require_keys

    require_keys(config, "optim_wrapper")
    # On this machine there may be no device for mixed precision's loss scaling, which has no state to speak of.
    settings = {key: value for key, value in config.optim_wrapper.items() if key not in ("loss_scale", "dtype")}
    wrapper = explain_build(lambda: build_optim_wrapper(model, {**settings, "type": "OptimWrapper"}))
    wrapper.step()
    states = wrapper.optimizer.state.values()
    return _bytes([value for state in states for value in state.values() if isinstance(value, torch.Tensor)])


def _bytes(tensors: list[Any]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
