"""Whole files of numpy, MATLAB and Arrow with wrong content: flipped bytes hardly ever give any, for sums tell them."""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from clmot_qd.datasets.converters.mat_layout import check_layout

_ARRAYS: tuple[Any, ...] = (
    *(0, 1, -1, 2.5, float("nan"), float("inf"), 1e308, 2**62, -(2**62), "x", "", "a\nb\x00c", "../../x", "x" * 5000),
    *(
        np.empty(0),
        np.empty((0, 0)),
        np.empty((0, 4)),
        np.empty((3, 0)),
        np.ones((1, 1, 1, 1)),
        np.arange(7),
        np.ones((2, 2)),
    ),
    *(
        np.ones(3, bool),
        np.ones(3, np.complex128),
        np.array(["a", "b"]),
        np.full((2, 4), np.nan),
        np.ones((2, 4), np.uint8),
    ),
)


def mutate_npz(content: bytes, rng: random.Random) -> bytes:
    """Drop, rename, exchange or change an array of an ``.npz`` file."""
    with np.load(io.BytesIO(content)) as file:
        arrays = dict(file)
    name = rng.choice(list(arrays))
    value = arrays[name]
    changes: tuple[Callable[[], Any], ...] = (
        lambda: np.asarray(rng.choice(_ARRAYS)),
        lambda: arrays[rng.choice(list(arrays))],
        lambda: value[..., :-1] if value.ndim else value.reshape(1),
        lambda: value.astype(rng.choice((np.float16, np.int8, np.uint64, "U3", bool)), casting="unsafe"),
        lambda: value * rng.choice((-1, 0, 10**6)) if value.dtype.kind in "iuf" else value,
        lambda: np.repeat(value, 2, axis=0) if value.ndim else value,
        lambda: value[None],
    )
    if rng.random() < 0.15:
        arrays[rng.choice(("x", "embeds", "a/b"))] = arrays.pop(name)
    else:
        try:
            with np.errstate(all="ignore"):
                arrays[name] = rng.choice(changes)()
        except ValueError:  # text is no number
            arrays[name] = np.empty(0)
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def mutate_mat(content: bytes, rng: random.Random) -> bytes:
    """Change a number, text, cell or field anywhere in a MATLAB file."""
    from scipy.io import loadmat, savemat

    check_layout(content)  # an earlier change may have made what scipy crashes on
    variables = {key: value for key, value in loadmat(io.BytesIO(content)).items() if not key.startswith("__")}
    holder, key = rng.choice(list(_places(variables)))
    holder[key] = rng.choice((*_ARRAYS, np.array([[None, None]]), {"id": 1.0}, np.array([["a", 1.0]], dtype=object)))
    if rng.random() < 0.1:
        variables["x"] = variables.pop(rng.choice(list(variables)))
    stream = io.BytesIO()
    try:
        savemat(stream, variables, do_compression=rng.random() < 0.5)
    except (TypeError, ValueError):  # not everything can be written
        return content[: rng.randrange(len(content))]
    return stream.getvalue()


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, dict):
        keys: list[Any] = list(value)
    elif isinstance(value, np.void) and value.dtype.names:
        keys = list(value.dtype.names)
    elif isinstance(value, np.ndarray) and (value.dtype == object or value.dtype.names):
        keys = list(np.ndindex(value.shape))
    else:
        return
    for key in keys:
        if isinstance(value, dict) or value.dtype == object or isinstance(value, np.void):
            yield value, key
        yield from _places(value[key])


def mutate_parquet(content: bytes, rng: random.Random) -> bytes:
    """Change a column of a parquet file, or values in it."""
    import pyarrow as pa
    from pyarrow import parquet

    columns = parquet.read_table(io.BytesIO(content)).to_pydict()
    name = rng.choice(list(columns))
    rows = len(columns[name])
    wrong = rng.choice(
        (
            None,
            0,
            -1,
            7,
            2**62,
            2.5,
            float("nan"),
            1e308,
            "x",
            "",
            "../../x",
            "a\x00b",
            "x" * 5000,
            b"\xff",
            [1],
            {"a": 1},
        )
    )
    if rng.random() < 0.15:
        columns[f"{name}2"] = columns.pop(name)
    elif rng.random() < 0.5 or wrong is None:
        columns[name] = [wrong] * rows
    else:
        kept = columns[name][rng.randrange(rows)]
        columns[name] = [wrong if type(wrong) is type(kept) or rng.random() < 0.3 else kept for _ in range(rows)]
    stream = io.BytesIO()
    try:
        parquet.write_table(pa.table(columns), stream)
    except pa.ArrowException:  # values of two kinds
        return content[: rng.randrange(len(content))]
    return stream.getvalue()
