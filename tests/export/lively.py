"""Random weights that behave like trained ones: activations of unit spread, scores all over the range, boxes that move;
and frames to look at.

Weights as they are drawn give scores that all but tie, and two runtimes may rank ties differently without being wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn

# Last layers by part of their name -> spread of what they give, and its mean in each channel (None: as it comes).
AIMS: dict[str, tuple[float, float | None]] = {
    "_cls": (2.0, 0.0),
    "heatmap_head.2": (2.0, 0.0),
    "wh_head.2": (2.0, 4.0),
    "_obj": (2.0, None),
    "_reg": (0.1, None),
    # Deformable convolutions look elsewhere by the bias below; offsets that depend on the picture make the network
    # chaotic: a difference of 1e-7 grows to 1 within twenty layers, in torch alone as well.
    "conv_offset": (0.02, None),
}


def enliven(model: nn.Module, run: Callable[[], Any], seed: int = 0) -> None:
    """Draw weights, then scale each layer so that what it gives has the wanted spread on what ``run`` shows the model.

    Args:
        model: Changed in place and left in evaluation mode.
        run: Calls the model.
        seed: Of the weights.
    """
    generator = torch.Generator().manual_seed(seed)
    model.eval()  # BatchNorm stays as it was made, the identity: statistics of one picture would magnify differences
    handles = []
    for name, layer in model.named_modules():
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)) or hasattr(layer, "deform_groups"):
            with torch.no_grad():
                layer.weight.normal_(generator=generator).div_(layer.weight[0].numel() ** 0.5)
            handles.append(layer.register_forward_hook(_scaling(*_aim_of(name))))
    with torch.no_grad():
        run()
    for handle in handles:
        handle.remove()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("conv_offset.bias"):
                parameter.normal_(generator=generator)
    model.eval()


def _aim_of(name: str) -> tuple[float, float | None]:
    return next((aim for part, aim in AIMS.items() if part in name), (1.0, None))


def _scaling(spread: float, mean: float | None) -> Callable[[Any, Any, Tensor], Tensor]:
    """A hook that scales a layer at its first call; a shared layer is called once for each level."""
    scaled: list[Any] = []

    def hook(layer: Any, inputs: Any, output: Tensor) -> Tensor:
        if scaled or not output.numel():
            return output
        scaled.append(layer)
        factor = spread / output.std().clamp(min=1e-6)
        shift = torch.zeros(output.shape[1])
        if mean is not None:
            shift = mean - factor * output.transpose(0, 1).flatten(1).mean(1)
        layer.weight.data.mul_(factor)
        if getattr(layer, "bias", None) is not None:
            layer.bias.data.mul_(factor).add_(shift)
        return output * factor + shift.reshape(-1, *[1] * (output.ndim - 2))

    return hook


def moving_frames(count: int, size: tuple[int, int] = (200, 120)) -> list[np.ndarray]:
    """A textured picture that drifts, with noise: what is found in one frame is found again a little further."""
    rng = np.random.default_rng(0)
    width, height = size
    coarse = rng.integers(0, 256, (height // 8, width // 5, 3), dtype=np.uint8)
    scene = cv2.resize(coarse, (2 * width, 2 * height), interpolation=cv2.INTER_CUBIC)
    frames = []
    for n in range(count):
        noise = rng.integers(0, 8, (height, width, 3), dtype=np.uint8)
        frames.append(scene[2 * n : 2 * n + height, 3 * n : 3 * n + width] // 2 + 60 + noise)
    return frames
