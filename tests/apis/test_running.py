"""Mistakes told in one line; leaving a process group."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from processes import run_ranks

pytest.importorskip("mmdet")

from mmengine.registry import VISBACKENDS

from clmot_qd.apis.running import end_process_group, explain_build
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


def test_a_backend_whose_package_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("torch.utils.tensorboard", "tensorboardX"):
        monkeypatch.setitem(sys.modules, name, None)
    backend = VISBACKENDS.build(dict(type="TensorboardVisBackend", save_dir=str(tmp_path)))
    with pytest.raises(InputError, match=r"needs a package that is missing: .*tensorboard"):
        explain_build(lambda: backend.experiment)
