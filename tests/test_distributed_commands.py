"""train and test by several processes without GPUs: what they write and say, also when one of them fails."""

from __future__ import annotations

import json
import os
import shutil
import socket
from datetime import timedelta
from pathlib import Path

import pytest
import torch
from distributed_commands import prepare
from forked_processes import run_forked
from mmengine.config import Config

from clmot_qd.apis import processes
from clmot_qd.apis.processes import joined_processes, local_device
from clmot_qd.errors import InputError
from clmot_qd.evaluation import gathering


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is left when all has run."""
    path = tmp_path_factory.mktemp("commands")
    prepare(path)
    calls = [
        ("test_command", 1),
        ("test_command", 4),
        ("train_command", 1),
        ("train_command", 2),
        ("broken_picture", 3),
        ("waited_for", 2),
    ]
    run_forked("distributed_commands", calls, path, join=False)
    return path


def test_results_are_those_of_one_process(folder: Path) -> None:
    """Three videos, so that of four processes one has none."""
    check_results(folder, 4)


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 3])
def test_results_are_those_of_one_process_whatever_the_shares(folder: Path, count: int) -> None:
    shutil.copy(folder / "whole.png", folder / "img" / "clip-3" / "000002.png")
    run_forked("distributed_commands", [("test_command", count)], folder, join=False)
    check_results(folder, count)


def check_results(folder: Path, count: int) -> None:
    alone, together = files_of(folder / "tested-1"), files_of(folder / f"tested-{count}")
    names = {"detection.json", "map/metrics.json", "map/tao.json", "tracks/metrics.json", "tracks/tao.json"}
    names |= {"tracks/cocovid.json", *(f"tracks/clip-{number}.txt" for number in (1, 2, 3))}
    assert alone.keys() == names
    assert all(len(alone[f"tracks/clip-{number}.txt"].splitlines()) >= 3 for number in (1, 2, 3))
    assert together == alone


def files_of(folder: Path) -> dict[str, bytes]:
    """Everything written, but for the log of the run."""
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in found.items() if not name.startswith("work/")}


def test_training_writes_one_checkpoint_and_one_log(folder: Path) -> None:
    written = folder / "trained-2"
    assert sorted(path.name for path in written.glob("*.pth")) == ["epoch_1.pth"]
    (scalars,) = written.rglob("scalars.json")
    logged = [json.loads(line) for line in scalars.read_text().splitlines()]
    assert "track/MOTA" in logged[-1]


def test_training_by_command_ends_where_one_process_does(folder: Path) -> None:
    """Pictures, their order and their augmentation are the same; so the weights are, without BatchNorm."""
    alone, together = (torch.load(folder / f"trained-{count}" / "epoch_1.pth")["state_dict"] for count in (1, 2))
    assert alone.keys() == together.keys()
    for key, value in alone.items():
        torch.testing.assert_close(
            together[key], value, rtol=1e-3, atol=5e-6, msg=lambda told, key=key: f"{key}: {told}"
        )


def test_an_error_of_one_process_ends_the_others(folder: Path) -> None:
    said = [(folder / f"said-{rank}").read_text().splitlines() for rank in range(3)]
    told = [[line for line in lines if line.startswith("error: ")] for lines in said]
    assert [len(lines) for lines in told] == [1, 1, 1]
    assert sum("000002.png" in lines[0] for lines in told) == 1
    assert sum("another process has ended before its work was done" in lines[0] for lines in told) == 2
    assert [(folder / f"code-{rank}").read_text() for rank in range(3)] == ["2", "2", "2"]
    assert not any("Traceback" in line for lines in said for line in lines)


def test_a_process_that_does_not_come_is_told_in_one_line(folder: Path) -> None:
    assert (folder / "waited").read_text() == (
        "another process did not come within 0:00:05; env_cfg.dist_cfg.timeout sets how many seconds to wait"
    )


@pytest.mark.parametrize("timeout", [None, 5])
def test_one_patience_everywhere(timeout: float | None, slurm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    waits = []
    start = torch.distributed.init_process_group
    monkeypatch.setattr(
        torch.distributed, "init_process_group", lambda *a, **k: waits.append(k["timeout"]) or start(*a, **k)
    )
    new = torch.distributed.new_group
    monkeypatch.setattr(torch.distributed, "new_group", lambda **k: waits.append(k["timeout"]) or new(**k))
    config = Config(dict(env_cfg=dict(dist_cfg=dict(timeout=timeout) if timeout else {})))
    for given in (dict(config=config), dict(timeout=timeout)):
        with joined_processes("slurm", **given), monkeypatch.context() as patch:
            patch.setattr(torch.distributed, "get_backend", lambda: "nccl")
            first, second = gathering._cpu_group(), gathering._cpu_group()
            assert first is second, "one side group, whatever the number of metrics"
    assert waits == [timedelta(seconds=timeout) if timeout else gathering.LONGEST_WAIT] * 4
    assert gathering.LONGEST_WAIT.total_seconds() * 1000 < 2**31


@pytest.mark.parametrize(("launcher", "missing"), [("pytorch", "RANK"), ("slurm", "SLURM_PROCID")])
def test_a_launcher_that_did_not_start_the_command(
    launcher: str, missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(missing, raising=False)
    with pytest.raises(InputError, match=f"--launcher {launcher}: {missing} is not set"), joined_processes(launcher):
        pass


@pytest.fixture
def slurm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The variables of a SLURM job of one task on this machine; returns the folder where scontrol is looked for."""
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR"):
        monkeypatch.setenv(name, "to be undone")
    monkeypatch.delenv("MASTER_ADDR")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("MASTER_PORT", str(free.getsockname()[1]))
    job = dict(SLURM_PROCID="0", SLURM_NTASKS="1", SLURM_LOCALID="0", SLURM_JOB_NODELIST="node[1-2]; touch oops")
    for name, value in job.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def test_slurm_tells_where_the_processes_meet(slurm: Path) -> None:
    with pytest.raises(InputError, match="scontrol does not tell the machines of this job"), joined_processes("slurm"):
        pass
    told = slurm / "scontrol"
    told.write_text('#!/bin/sh\n[ "$3" = "node[1-2]; touch oops" ] && echo 127.0.0.1 && echo node2\n')
    told.chmod(0o755)
    with joined_processes("slurm"):
        assert torch.distributed.get_backend() == "gloo"
        assert (os.environ["RANK"], os.environ["WORLD_SIZE"], os.environ["LOCAL_RANK"]) == ("0", "1", "0")
        assert os.environ["MASTER_ADDR"] == "127.0.0.1"
    assert not torch.distributed.is_initialized()


def test_mpi_wants_to_know_the_first_machine(slurm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in dict(RANK="0", SIZE="1", LOCAL_RANK="0").items():
        monkeypatch.setenv(f"OMPI_COMM_WORLD_{name}", value)
    with pytest.raises(InputError, match="--launcher mpi: set MASTER_ADDR"), joined_processes("mpi"):
        pass


@pytest.mark.skipif(torch.cuda.is_available(), reason="with a GPU all of it stays as it is")
def test_a_configuration_is_made_fit_for_processors() -> None:
    norm = dict(type="SyncBN", requires_grad=True)
    config = Config(dict(model=dict(type="X", parts=[dict(norm_cfg=norm)], norm_cfg=dict(norm)), sync_bn="torch"))
    with pytest.raises(InputError, match="sync_bn: torch joins BatchNorm on GPUs only"):
        processes._prepare(config)
    config.sync_bn = None
    processes._prepare(config)
    assert "SyncBN" not in str(config.model)
    assert config.model.norm_cfg == dict(type="BN", requires_grad=True)
    assert config.model_wrapper_cfg.device_ids is None
    assert config.env_cfg.dist_cfg == dict(backend="nccl"), "what waits on GPUs waits as long as NCCL does"
    config = Config(dict(model_wrapper_cfg=dict(type="Own"), env_cfg=dict(dist_cfg=dict(timeout=5))))
    processes._prepare(config)
    assert config.model_wrapper_cfg.type == "Own"
    assert config.env_cfg.dist_cfg.timeout == 5


def test_each_process_takes_the_next_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_RANK", "5")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert [local_device(name) for name in ("auto", "cuda", "cuda:0", "cpu")] == ["cuda:1", "cuda:1", "cuda:0", "cpu"]
    monkeypatch.delenv("LOCAL_RANK")
    assert local_device("auto") == "auto"
