"""Wheel and source distribution carry what mim looks for; an editable install tells mim where the checkout is."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest
from locations import REPOSITORY

import clmot_qd


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(folder)]
    subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True)
    return folder


def test_the_wheel_carries_configurations_tools_and_index(built: Path) -> None:
    names = set(zipfile.ZipFile(next(built.glob("*.whl"))).namelist())
    for path in (REPOSITORY / "configs").rglob("*.py"):
        assert f"clmot_qd/.mim/{path.relative_to(REPOSITORY)}" in names
    for path in (REPOSITORY / "tools").glob("*.py"):
        assert f"clmot_qd/.mim/tools/{path.name}" in names
    assert {"clmot_qd/.mim/model-index.yml", "clmot_qd/.mim/configs/clmot/metafile.yml"} <= names
    for path in (REPOSITORY / "clmot_qd").rglob("*.*"):  # templates and style sheets as well
        relative = path.relative_to(REPOSITORY)
        assert {".mim", "__pycache__"} & {*relative.parts} or str(relative) in names
    assert not [name for name in names if name.startswith(("tests/", "docs/"))]


def test_the_source_distribution_can_build_the_wheel_again(built: Path, tmp_path: Path) -> None:
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        archive.extractall(tmp_path, filter="data")
    source = next(tmp_path.iterdir())
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "dist")]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
    again = zipfile.ZipFile(next((tmp_path / "dist").glob("*.whl")))
    first = zipfile.ZipFile(next(built.glob("*.whl")))
    assert sorted(again.namelist()) == sorted(first.namelist())


def test_mim_finds_this_installation() -> None:
    from mim.utils import get_installed_path

    found = Path(get_installed_path("clmot_qd"))
    assert found.resolve() == Path(clmot_qd.__file__).resolve().parent
    assert (found / ".mim" / "configs" / "clmot").is_dir()
    assert distribution("clmot_qd").version == clmot_qd.__version__
