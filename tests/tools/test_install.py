"""tools/install.sh: what is missing is said in one line, before anything is built."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from locations import REPOSITORY

SCRIPT = REPOSITORY / "tools" / "install.sh"
BASICS = ("bash", "env", "dirname", "cat", "cksum", "grep", "sed", "awk", "nproc", "mktemp", "tail", "tr", "rm", "mv")


@pytest.fixture
def bin_dir(tmp_path: Path) -> Path:
    """A PATH with the basic commands and this Python, and nothing else."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in BASICS:
        found = shutil.which(name)
        assert found, name
        (folder / name).symlink_to(found)
    write(folder / "python3", f'exec "{sys.executable}" "$@"')
    return folder


def write(path: Path, line: str) -> None:
    path.write_text(f"#!{shutil.which('bash')}\n{line}\n")
    path.chmod(0o755)


def run(bin_dir: Path, command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": str(bin_dir), "HOME": str(bin_dir), "VENV": str(bin_dir / "venv"), **variables}
    return subprocess.run(["bash", "-c", command], env=environment, capture_output=True, text=True, check=False)


def error(result: subprocess.CompletedProcess[str]) -> str:
    assert result.returncode == 1
    lines = [line for line in result.stderr.splitlines() if line.startswith("[install] error: ")]
    assert len(lines) == 1, result.stderr
    return lines[0]


def test_no_fit_python(bin_dir: Path) -> None:
    write(bin_dir / "old-python", "exit 1")
    message = error(run(bin_dir, f"bash {SCRIPT}", PYTHON="old-python"))
    assert "needs Python 3.10 to 3.12" in message


def test_no_compiler_is_said_before_an_environment_is_made(bin_dir: Path) -> None:
    message = error(run(bin_dir, f"bash {SCRIPT}", PYTHON="python3"))
    assert "no C++ compiler found" in message
    assert not (bin_dir / "venv").exists()


def with_gpu(bin_dir: Path, cuda: str | None, nvcc: str | None, **variables: str) -> subprocess.CompletedProcess[str]:
    """check_gpu on a machine with a GPU, a torch built for ``cuda`` and a toolkit of release ``nvcc``."""
    write(bin_dir / "nvidia-smi", "echo 'GPU 0: H100'")
    if nvcc:
        write(bin_dir / "nvcc", f"echo 'Cuda compilation tools, release {nvcc}, V{nvcc}.1'")
    (bin_dir / "venv" / "bin").mkdir(parents=True)
    write(bin_dir / "venv" / "bin" / "python", f"echo '{cuda or ''}'")
    return run(bin_dir, f'source {SCRIPT}; check_gpu; echo "CUDA_BUILD=$CUDA_BUILD"', CUDA_HOME="/nowhere", **variables)


@pytest.mark.parametrize(
    ("cuda", "nvcc", "words"),
    [
        (None, "13.0", "this torch is a CPU build"),
        ("13.0", None, "nvcc is 'not installed'. mmcv 2.1.0 must be compiled with CUDA 13.x"),
        ("13.0", "12.4", "nvcc is '12.4'. mmcv 2.1.0 must be compiled with CUDA 13.x"),
    ],
)
def test_a_gpu_without_its_toolkit_is_no_silent_cpu_build(
    bin_dir: Path, cuda: str | None, nvcc: str | None, words: str
) -> None:
    assert words in error(with_gpu(bin_dir, cuda, nvcc))


def test_a_gpu_with_its_toolkit_gets_cuda_operators(bin_dir: Path) -> None:
    assert "CUDA_BUILD=1" in with_gpu(bin_dir, "13.0", "13.1").stdout


def test_a_cpu_build_can_be_asked_for(bin_dir: Path) -> None:
    assert "CUDA_BUILD=0" in with_gpu(bin_dir, "13.0", None, CLMOT_QD_CPU_ONLY="1").stdout


@pytest.mark.parametrize("name", ["install.sh", "demo.sh", "test.sh"])
def test_scripts_parse(name: str) -> None:
    assert os.access(SCRIPT, os.R_OK)
    assert subprocess.run(["bash", "-n", str(SCRIPT.parent / name)], check=False).returncode == 0
