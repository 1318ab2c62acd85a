"""Reading JSON piece by piece gives what the whole file holds, whatever the size of the pieces; broken files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clmot_qd.datasets.converters import json_stream
from clmot_qd.errors import InputError

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


def entries(content: object) -> list[tuple[str, object]]:
    """What a file with this content is to give."""
    if isinstance(content, list):
        return [("", entry) for entry in content]
    assert isinstance(content, dict)
    result: list[tuple[str, object]] = []
    for key, value in content.items():
        result += [(key, entry) for entry in value] if isinstance(value, list) else [(key, value)]
    return result


@pytest.fixture(params=[1, 5, 1 << 20])
def chunk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(json_stream, "_CHUNK", request.param)
    return request.param


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.lists(VALUES, max_size=5) | st.dictionaries(st.text(max_size=3), VALUES, max_size=4),
    indent=st.sampled_from([None, 2]),
    ascii_only=st.booleans(),
)
def test_equals_the_whole_file(
    tmp_path: Path, chunk: int, content: object, indent: int | None, ascii_only: bool
) -> None:
    path = tmp_path / "file.json"
    path.write_text(json.dumps(content, indent=indent, ensure_ascii=ascii_only), encoding="utf-8")
    assert list(json_stream.stream_json(path)) == entries(content)


def test_byte_order_mark_and_windows_lines(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    path.write_bytes(b'\xef\xbb\xbf\r\n[ 1 ,\r\n "\xc3\xa4" ]\r\n')
    assert list(json_stream.stream_json(path)) == [("", 1), ("", "ä")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "neither a list nor an object at line 1"),
        ("7", "neither a list nor an object"),
        ('[\n{"a": 1},\n{"a": tru', "Expecting value at line 3, column 7"),
        ('[\n{"a": 1},\n{"a": "tex', "Unterminated string"),
        ('[{"a": 1}', "Expecting ',' or ']' at line 1"),
        ('[{"a": 1} {"a": 2}]', "Expecting ',' or ']'"),
        ('{"frames": [1, 2]', "Expecting ',' or '}'"),
        ('{"frames" [1, 2]}', "Expecting ':'"),
        ('{"frames": [1, 2], 5}', "Expecting ':'"),
        ("[1, 2]\n]", "something follows its end at line 2, column 1"),
        ("[1,\n}" + " " * 100 + "]", "Expecting value at line 2, column 1"),
    ],
)
def test_broken(tmp_path: Path, chunk: int, text: str, message: str) -> None:
    path = tmp_path / "file.json"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        list(json_stream.stream_json(path))
    assert str(caught.value).startswith(f"{path}: no valid JSON (")
    assert message in str(caught.value)
    assert "truncated? Download it again" in str(caught.value)


def test_every_truncation_is_noticed(tmp_path: Path, chunk: int) -> None:
    text = json.dumps({"a": [{"b": [1.5e3, "x\\u00e4", None]}, True], "c": -2})
    path = tmp_path / "file.json"
    for end in range(len(text)):
        path.write_text(text[:end])
        with pytest.raises(InputError, match="no valid JSON"):
            list(json_stream.stream_json(path))


def test_entries_much_longer_than_the_pieces(tmp_path: Path, chunk: int) -> None:
    content = [{"text": "ab" * 400, "numbers": list(range(300))}, "x" * 500, {}]
    path = tmp_path / "file.json"
    path.write_text(json.dumps(content))
    assert list(json_stream.stream_json(path)) == entries(content)


def test_broken_in_the_middle_does_not_read_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_stream, "_CHUNK", 64)
    path = tmp_path / "file.json"
    path.write_text('[{"a": oops},' + "1, " * 100_000 + "2]")
    reader = json_stream._Reader(path, path.open())
    with pytest.raises(InputError, match="Expecting value at line 1"):
        list(reader.read())
    assert reader.stream.tell() < 1000


def test_only_a_window_is_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_stream, "_CHUNK", 100)
    path = tmp_path / "file.json"
    path.write_text(json.dumps([{"number": number} for number in range(2000)]))
    with path.open() as stream:
        reader = json_stream._Reader(path, stream)
        assert max(len(reader.text) for _ in reader.read()) < 300


def test_other_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot be read .*check the folder layout"):
        list(json_stream.stream_json(tmp_path / "none.json"))
    path = tmp_path / "binary.json"
    path.write_bytes(b'["\xff\xfe"]')
    with pytest.raises(InputError, match="no text in UTF-8"):
        list(json_stream.stream_json(path))
