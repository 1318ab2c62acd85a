"""MATLAB's own files of several versions, which scipy ships with its tests, and what other mistakes are called."""

from __future__ import annotations

import struct
import warnings
from pathlib import Path

import numpy as np
import pytest
import scipy.io.matlab
from scipy.io import loadmat, savemat
from scipy.sparse import eye

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


@pytest.mark.parametrize(
    ("name", "variable", "reason"),
    [
        ("corrupted_zlib_checksum.mat", "x", "incorrect data check"),
        ("corrupted_zlib_data.mat", "datagrid", "it has a tag that cannot be"),
        ("malformed1.mat", "x", "it has an element that is cut off"),
        ("bad_miuint32.mat", "x", "it has an array of negative size"),
    ],
)
def test_damaged_files(folder: Path, name: str, variable: str, reason: str) -> None:
    with pytest.raises(InputError, match=rf"{name}: no MATLAB file that can be read \(.*{reason}\): truncated\?"):
        load_variable(folder / name, variable)


def test_all_that_scipy_reads_is_read_or_named_for_what_it_is(folder: Path) -> None:
    read, reasons = 0, set()
    for path in sorted(folder.glob("*.mat")):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                names = [name for name in loadmat(path) if not name.startswith("__")]
        except Exception:
            continue
        for name in names:
            try:
                load_variable(path, name)
                read += 1
            except InputError as error:
                reasons.add(str(error).removeprefix(f"{path}: ").replace(f"'{name}'", "'NAME'"))
    unread = {
        f"variable 'NAME' is or holds {kind}, which" for kind in ("an object", "a sparse matrix", "a function handle")
    }
    assert {reason.partition(" is not read here; in MATLAB, ")[0] for reason in reasons} <= {
        *unread,
        "a MATLAB file of version 4, which",
    }
    assert read > len(reasons)


@pytest.mark.parametrize("compressed", [False, True])
def test_other_variables_do_not_matter(tmp_path: Path, compressed: bool) -> None:
    sparse = eye(9, format="csc")
    savemat(tmp_path / "a.mat", {"a": sparse, "x": np.arange(4.0), "z": sparse}, do_compression=compressed)
    assert load_variable(tmp_path / "a.mat", "y", "x").tolist() == [[0, 1, 2, 3]]
    with pytest.raises(InputError, match=r"a\.mat: no variable 'y'; it holds a, x, z$"):
        load_variable(tmp_path / "a.mat", "y")
    with pytest.raises(
        InputError, match=r"a\.mat: variable 'z' is or holds a sparse matrix, which is not read here; in"
    ):
        load_variable(tmp_path / "a.mat", "x", "z")


def test_damage_in_the_head_of_another_variable(tmp_path: Path) -> None:
    savemat(tmp_path / "a.mat", {"other": np.arange(4.0), "x": 1.0})
    content = (tmp_path / "a.mat").read_bytes()
    sizes = struct.pack("<2I", 1, 5), struct.pack("<2I", 1, 1 << 31)  # of its name
    (tmp_path / "a.mat").write_bytes(content.replace(*sizes, 1))
    with pytest.raises(InputError, match=r"can be read \(it has an element that is cut off\)"):
        load_variable(tmp_path / "a.mat", "x")


def test_damage_in_the_content_of_another_variable(tmp_path: Path) -> None:
    savemat(tmp_path / "a.mat", {"other": np.arange(4.0), "x": 1.0})
    content = (tmp_path / "a.mat").read_bytes()
    sizes = struct.pack("<2i", 1, 4), struct.pack("<2i", 1, 9)  # its rows and columns
    (tmp_path / "a.mat").write_bytes(content.replace(*sizes, 1))
    assert load_variable(tmp_path / "a.mat", "x").item() == 1
    with pytest.raises(InputError, match=r"it has an array of another size"):
        load_variable(tmp_path / "a.mat", "other")


def test_a_mask_of_the_size_of_a_picture_may_be_empty(tmp_path: Path) -> None:
    savemat(tmp_path / "a.mat", {"x": np.zeros((1500, 1920))}, do_compression=True)
    assert load_variable(tmp_path / "a.mat", "x").shape == (1500, 1920)


def test_version_4(tmp_path: Path) -> None:
    savemat(tmp_path / "a.mat", {"x": np.arange(4.0)}, format="4")
    with pytest.raises(InputError, match=r"a\.mat: a MATLAB file of version 4, which is not read here; .* '-v7'$"):
        load_variable(tmp_path / "a.mat", "x")
    for other in (bytes(200), b"<html>" * 40, b""):
        (tmp_path / "a.mat").write_bytes(other)
        with pytest.raises(InputError, match=r"no MATLAB file that can be read \(.*\): truncated"):
            load_variable(tmp_path / "a.mat", "x")


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
