"""The memory estimate against sums by hand, against larger batches, and as the command prints it."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from locations import REPOSITORY
from mmengine.config import Config

from clmot_qd.apis import memory_estimate
from clmot_qd.apis.memory_estimate import GIB, MemoryEstimate, estimate_memory, on_card
from clmot_qd.apis.memory_report import figures, report
from clmot_qd.apis.memory_sample import made_up_batch
from clmot_qd.apis.running import load_config
from clmot_qd.errors import InputError

SIZE = (128, 96)


@pytest.fixture(scope="module")
def clmot() -> MemoryEstimate:
    return estimate_memory(load_config("clmot_tiny_demo"), SIZE)


@pytest.fixture(scope="module")
def qdtrack() -> MemoryEstimate:
    return estimate_memory(load_config("qdtrack_tiny_demo"), SIZE)


def test_weights_and_optimizer_are_counted_by_hand(clmot: MemoryEstimate) -> None:
    config = load_config("clmot_tiny_demo")
    model = memory_estimate._build(config)
    weights = 4 * sum(parameter.numel() for parameter in model.parameters())
    assert clmot.gradients == weights
    assert weights < clmot.parameters < 1.02 * weights  # and BatchNorm's statistics
    assert 2 * weights < clmot.optimizer < 2 * weights + 10_000  # Adam: two moments, a step count per tensor
    assert clmot.size == SIZE
    assert not clmot.amp


def test_sgd_has_one_moment_and_frozen_stages_have_none(qdtrack: MemoryEstimate) -> None:
    config = load_config("qdtrack_tiny_demo")
    config.optim_wrapper.optimizer = dict(type="SGD", lr=0.1, momentum=0.9)
    config.model.detector.backbone.frozen_stages = 2
    frozen = estimate_memory(config, SIZE)
    assert frozen.optimizer == frozen.gradients < qdtrack.gradients
    assert frozen.parameters == qdtrack.parameters
    assert frozen.activations < qdtrack.activations
    config.optim_wrapper.optimizer = dict(type="SGD", lr=0.1)
    assert estimate_memory(config, SIZE).optimizer == 0


class Chain(torch.nn.Module):
    """What the measurement asks of a model, around a few layers."""

    data_preprocessor = staticmethod(lambda batch, training: batch)

    def __init__(self, layers: torch.nn.Module) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, x: torch.Tensor, mode: str) -> torch.Tensor:
        return self.layers(x).sum()

    def parse_losses(self, losses: torch.Tensor) -> tuple[torch.Tensor, dict]:
        return losses, {}


def measured(layers: torch.nn.Module, x: torch.Tensor) -> tuple[int, int]:
    return memory_estimate._measure_step(Chain(layers), dict(x=x))  # type: ignore[arg-type]


def test_activations_of_a_chain_are_what_it_saves() -> None:
    """The second layer saves the result of the first, the sigmoid its own; the weights do not count."""
    layers = torch.nn.Sequential(torch.nn.Linear(64, 1024), torch.nn.Linear(1024, 1024), torch.nn.Sigmoid())
    x = torch.rand(4096, 64)
    activations, step = measured(layers, x)
    row = 4 * 4096 * 1024
    assert activations == x.nbytes + 2 * row
    gradients = 4 * sum(parameter.numel() for parameter in layers.parameters())
    assert 3 * row <= step <= 4 * row + gradients + 10_000


def test_what_two_layers_save_together_counts_once() -> None:
    class Twice(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = torch.nn.Linear(64, 8), torch.nn.Linear(64, 8)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.one(x) + self.two(x)

    x = torch.rand(512, 64)
    assert measured(Twice(), x)[0] == x.nbytes


def test_masks_take_memory_and_a_mask_head_alone_hardly_any_gradients(qdtrack: MemoryEstimate) -> None:
    full = estimate_memory(load_config("qdtrack_mask-rcnn_tiny_demo"), SIZE)
    alone = estimate_memory(load_config("qdtrack_mask-rcnn_frozen_tiny_demo"), SIZE)
    head = full.gradients - qdtrack.gradients
    assert 0 < head == alone.gradients
    assert alone.activations < full.activations > qdtrack.activations


@pytest.mark.parametrize("name", ["clmot_tiny_demo", "qdtrack_tiny_demo"])
def test_one_pair_stands_for_many(name: str) -> None:
    """At sizes where weights do not matter; what a step takes once only is counted for every pair."""
    size = (256, 192)
    estimate = estimate_memory(load_config(name), size)
    model = memory_estimate._build(load_config(name))
    one = made_up_batch(model, size, 2, 30)
    many = {key: value * 4 for key, value in one.items()}
    activations, step = memory_estimate._measure_step(model, many)
    assert activations == pytest.approx(4 * estimate.activations, rel=0.05)
    assert 0.7 * 4 * estimate.step < step <= 1.01 * 4 * estimate.step


def test_memory_grows_with_the_area_and_shrinks_with_mixed_precision(clmot: MemoryEstimate) -> None:
    config = load_config("clmot_tiny_demo")
    large = estimate_memory(config, (256, 192))
    assert large.activations == pytest.approx(4 * clmot.activations, rel=0.05)
    assert large.frame > 2 * clmot.frame
    assert large.parameters == clmot.parameters
    half = estimate_memory(config, (256, 192), amp=True)
    assert half.amp
    assert 0.4 * large.activations < half.activations < 0.7 * large.activations
    config.optim_wrapper.update(type="AmpOptimWrapper", loss_scale="dynamic")
    assert estimate_memory(config, (256, 192)) == half


def test_mixed_precision_reaches_what_a_cpu_cannot_do_in_half(qdtrack: MemoryEstimate) -> None:
    """RoI pooling, non-maximum suppression and deformable convolutions."""
    config = load_config("qdtrack_tiny_demo")
    assert estimate_memory(config, SIZE, amp=True).activations < 0.9 * qdtrack.activations
    deformable = load_config("clmot_tiny_demo")
    deformable.model.detector.neck.use_dcn = True
    whole, half = (estimate_memory(deformable, (192, 128), amp=amp) for amp in (False, True))
    assert half.activations < 0.9 * whole.activations


def test_checkpointed_stages_save_less(qdtrack: MemoryEstimate) -> None:
    config = load_config("qdtrack_tiny_demo")
    config.model.detector.backbone.with_cp = True
    assert estimate_memory(config, SIZE).activations < 0.9 * qdtrack.activations


def test_the_supervised_baseline_has_one_view(clmot: MemoryEstimate) -> None:
    config = load_config("clmot_tiny_demo")
    config.model.update(loss_embed=None, id_head=dict(type="IdentityClassifier", num_ids=9, embed_channels=64))
    assert 0.4 * clmot.activations < estimate_memory(config, SIZE).activations < 0.7 * clmot.activations


def test_sides_are_rounded_up_as_in_training() -> None:
    assert estimate_memory(load_config("clmot_tiny_demo"), (100, 70)).size == (128, 96)


def made(**changes: Any) -> MemoryEstimate:
    base = MemoryEstimate((64, 32), False, 100 * 2**20, 100 * 2**20, 200 * 2**20, GIB // 2, GIB, 300 * 2**20)
    return replace(base, **changes)


def test_the_largest_batch_is_the_last_that_fits() -> None:
    estimate = made()
    for card in memory_estimate.CARDS:
        batch = estimate.largest_batch(card)
        assert on_card(estimate.training(batch)) <= card * GIB < on_card(estimate.training(batch + 1))
    assert made(step=9 * GIB).largest_batch(8) == 0
    assert on_card(0) == memory_estimate.OVERHEAD


def test_the_report_tells_what_fits() -> None:
    lines = {line.split()[0]: line.split()[2:] for line in report(made(), 6, "mine").splitlines() if " GiB   " in line}
    assert lines["8"] == ["tight", "5", "yes"]  # 6.4 GiB of tensors, 8.4 with all allowances
    assert lines["12"] == ["yes", "9", "yes"]
    assert report(made(step=9 * GIB), 1, "mine").count(" no ") == 1
    assert "CUDA's context" in report(made(), 6, "mine")
    assert "CPU" not in report(made(), 6, "mine").splitlines()[0]
    assert "float32, the only precision" in report(made(amp=True), 6, "mine")
    assert figures(made(), 6)["training"] == 400 * 2**20 + 6 * GIB


@pytest.mark.parametrize(
    ("changes", "arguments", "words"),
    [
        (dict(input_size=None), dict(), "no key 'input_size': give the network's input with --size"),
        (dict(), dict(size=(1088, 8)), "size 1088x8: both sides must be 32 pixels or more"),
        (dict(), dict(objects=0), "objects = 0: must be 1 or more"),
        (dict(model=dict(type="ResNet", depth=18)), dict(), "model.type = ResNet: the estimate knows CLMOT and"),
        (dict(model=dict(type="NoSuch")), dict(), "something unknown"),
    ],
)
def test_what_cannot_be_estimated_is_told(changes: dict, arguments: dict, words: str) -> None:
    config = Config(dict(load_config("clmot_tiny_demo").to_dict(), **changes))
    with pytest.raises(InputError, match=words):
        estimate_memory(config, **arguments)


def command() -> Any:
    spec = importlib.util.spec_from_file_location("estimate_memory", REPOSITORY / "tools" / "estimate_memory.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_command_prints_and_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "memory.json"
    arguments = ["qdtrack_tiny_demo", "--size", "96", "64", "--batch-size", "3", "--json", str(out)]
    assert command().main(arguments) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("qdtrack_tiny_demo: 3 pairs of 96x64 in a step, float32")
    written = json.loads(out.read_text())
    assert written["batch_size"] == 3
    assert written["training"] == sum(written[key] for key in ("parameters", "gradients", "optimizer")) + (
        3 * written["step"]
    )
    for wrong in (["--batch-size", "0"], ["--cfg-options", "train_dataloader=None"]):
        with pytest.raises(InputError, match="batch size 0: give 1 or more with --batch-size"):
            command().main(["qdtrack_tiny_demo", *wrong])


def test_help_comes_before_anything_heavy() -> None:
    code = "import sys; sys.argv = ['x', '--help']; import runpy\n"
    code += f"try: runpy.run_path({str(REPOSITORY / 'tools' / 'estimate_memory.py')!r}, run_name='__main__')\n"
    code += "except SystemExit: pass\nassert not {'torch', 'mmdet', 'clmot_qd'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
