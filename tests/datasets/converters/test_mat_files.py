"""MATLAB's own files of several versions, which scipy ships with its tests, and what other mistakes are called."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.io.matlab

from clmot_qd.datasets.converters.mat_files import cells, load_variable, numbers, records, text
from clmot_qd.errors import InputError

VERSIONS = ("6.1_SOL2", "6.5.1_GLNX86", "7.1_GLNX86", "7.4_GLNX86")


@pytest.fixture(scope="module")
def folder() -> Path:
    folder = Path(scipy.io.matlab.__file__).parent / "tests" / "data"
    if not folder.is_dir():
        pytest.skip("this build of scipy comes without its tests")
    return folder


@pytest.mark.parametrize("version", VERSIONS)
def test_files_that_matlab_has_written(folder: Path, version: str) -> None:
    first, *others = cells(load_variable(folder / f"testcell_{version}.mat", "testcell"), "place")
    assert text(first, "place") == "This cell contains this string and 3 arrays of increasing length"
    assert [numbers(one, columns, "place").tolist() for columns, one in enumerate(others, start=1)] == [
        [[1]],
        [[1, 2]],
        [[1, 2, 3]],
    ]
    structs = records(load_variable(folder / f"teststructarr_{version}.mat", "teststructarr"), ("one", "two"), "place")
    assert [numbers(structs[0][name], 1, "place").item() for name in ("one", "two")] == [1, 2]
    assert [text(structs[1][name], "place") for name in ("one", "two")] == ["number 1", "number 2"]


@pytest.mark.parametrize("version", VERSIONS[1:])
def test_empty_matrices(folder: Path, version: str) -> None:
    _, _, empty, *_ = cells(load_variable(folder / f"testemptycell_{version}.mat", "testemptycell"), "place")
    assert numbers(empty, 5, "place").shape == (0, 5)
    assert (cells(empty, "place"), records(empty, ("one",), "place"), text(empty, "place")) == ([], [], "")


@pytest.mark.parametrize("name", ["corrupted_zlib_checksum.mat", "corrupted_zlib_data.mat", "malformed1.mat"])
def test_damaged_files(folder: Path, name: str) -> None:
    with pytest.raises(InputError, match=rf"{name}: no MATLAB file that can be read: truncated\?"):
        load_variable(folder / name, "x")


def test_the_first_name_that_is_there_counts(folder: Path) -> None:
    path = folder / "testmatrix_7.4_GLNX86.mat"
    assert load_variable(path, "other", "testmatrix").shape == (3, 5)
    with pytest.raises(InputError, match=r"mat: no variable 'other' or 'another'; it holds testmatrix$"):
        load_variable(path, "other", "another")


def test_what_is_not_there_is_named() -> None:
    with pytest.raises(InputError, match=r"^place: no cell array"):
        cells(np.ones((2, 2)), "place")
    with pytest.raises(InputError, match=r"^place: no field 'b'; it has a$"):
        records(np.zeros((1, 1), dtype=[("a", object)]), ("a", "b"), "place")
    with pytest.raises(InputError, match=r"^place: no field 'a'; it has none$"):
        records(np.ones((1, 1)), ("a",), "place")
    with pytest.raises(InputError, match=r"^place: no text"):
        text(np.ones((1, 1)), "place")
    with pytest.raises(InputError, match=r"^place: no matrix of numbers with 4 columns"):
        numbers(np.ones((4, 1)), 4, "place")
