"""Mistakes told in one line; leaving a process group."""

from __future__ import annotations

import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from processes import run_ranks

pytest.importorskip("mmdet")

import torch
from mmengine.config import Config
from mmengine.registry import VISBACKENDS
from mmengine.visualization import TensorboardVisBackend

from clmot_qd.apis import running
from clmot_qd.apis.running import chosen_device, end_process_group, explain_build, load_config
from clmot_qd.errors import InputError

LATE = """
import time
from clmot_qd.apis.running import end_process_group
if torch.distributed.get_rank() == 1:
    time.sleep(1)
    late = time.time()
else:
    late = 0
end_process_group()
print("left", time.time(), late, torch.distributed.is_initialized())
"""


def test_everybody_waits_for_the_last() -> None:
    printed = run_ranks(LATE, [], 2, [Path(__file__).parent])
    lines = [line.split()[1:] for text in printed for line in text.splitlines() if line.startswith("left ")]
    assert [line[2] for line in lines] == ["False", "False"]
    assert float(lines[0][0]) >= float(lines[1][1])


def test_without_a_group_nothing_happens() -> None:
    end_process_group()
    assert not torch.distributed.is_initialized()


def test_a_backend_whose_package_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("torch.utils.tensorboard", "tensorboardX"):
        monkeypatch.setitem(sys.modules, name, None)
    backend = VISBACKENDS.build(dict(type=TensorboardVisBackend.__name__, save_dir=str(tmp_path)))
    with pytest.raises(InputError, match=r"needs a package that is missing: .*tensorboard"):
        explain_build(lambda: backend.experiment)


def test_a_device_is_named_in_full(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which GPU is the current one is a matter of the thread, and the network runs in another one."""
    assert [chosen_device(name) for name in ("cpu", "meta")] == ["cpu", "meta"]
    with pytest.raises(InputError, match="device 'tpu9': cannot be used here"):
        chosen_device("tpu9")
    monkeypatch.setattr(running, "check_device", lambda device: None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 3)
    assert [chosen_device(name) for name in ("auto", "cuda", "cuda:1", "cpu")] == ["cuda:3", "cuda:3", "cuda:1", "cpu"]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert chosen_device("auto") == "cpu"


def test_configurations_are_read_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python's parser, as mmengine uses it, fails now and then in several threads at once."""
    reading, most = threading.Semaphore(1), []

    def slow(path: str) -> Config:
        most.append(reading.acquire(blocking=False))
        time.sleep(0.02)
        reading.release()
        return Config(dict(model=dict(type="X")))

    monkeypatch.setattr(Config, "fromfile", slow)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(load_config, ["clmot_tiny_demo"] * 6))
    assert most == [True] * 6
