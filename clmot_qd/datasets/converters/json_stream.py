"""Reading JSON files of any size piece by piece: the lists in them never stand in memory as a whole."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from clmot_qd.errors import InputError
from clmot_qd.files import has_halves, unusual_json, without_halves

_CHUNK = 1 << 20  # characters that are read at a time
_SPACE = re.compile(r"[ \t\n\r]*")
# An entry that ends where the buffer ends cannot be told from a broken one. The decoder gives up near that place, or
# at the beginning of a string without an end; anywhere else the file is broken.
_NEAR_END = 16
_UNFINISHED = 2  # characters of a number that are not taken for one: the e- of 1e-


def stream_json(path: Path) -> Iterator[tuple[str, Any]]:
    """Give the entries of a file that is a list, or an object with lists, one by one.

    Yields:
        ``("", entry)`` for each entry of a list; of an object ``(key, entry)`` for each entry of a list in it, and
        ``(key, value)`` for its other values.

    Raises:
        InputError: The file is missing, no text or no JSON; a file that ends too early is named as that.
    """
    try:
        with open(path, encoding="utf-8-sig") as stream:
            yield from _Reader(path, stream).read()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the folder layout") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: no text in UTF-8 ({error.reason} at byte {error.start})") from error


class _Reader:
    """A window on the text: ``text[at:]`` is not used up yet."""

    def __init__(self, path: Path, stream: IO[str]) -> None:
        self.path = path
        self.stream = stream
        self.text = ""
        self.at = 0
        self.line = 1  # in which text[0] is
        self.ended = False
        self.halves = False
        self._decode = json.JSONDecoder().raw_decode

    def read(self) -> Iterator[tuple[str, Any]]:
        first = self._next()
        if first == "[":
            yield from self._list("")
        elif first == "{":
            yield from self._object()
        else:
            raise self._broken("neither a list nor an object", self.at)
        if self._next():
            raise self._broken("something follows its end", self.at)

    def _object(self) -> Iterator[tuple[str, Any]]:
        self.at += 1
        if self._next() == "}":
            self.at += 1
            return
        while True:
            key = self._value()
            self._take(":")
            if self._next() == "[":
                yield from self._list(key)
            else:
                yield key, self._value()
            if self._take(",}") == "}":
                return

    def _list(self, key: str) -> Iterator[tuple[str, Any]]:
        self.at += 1
        if self._next() == "]":
            self.at += 1
            return
        while True:
            yield key, self._value()
            if self._take(",]") == "]":
                return

    def _value(self) -> Any:
        """Read one value, whatever its length."""
        self._next()
        size = _CHUNK
        while True:
            try:
                value, end = self._decode(self.text, self.at)
                if end + _UNFINISHED < len(self.text) or self.ended:
                    self.at = end
                    return without_halves(value) if self.halves else value
            except json.JSONDecodeError as error:
                near_end = error.pos > len(self.text) - _NEAR_END or error.msg.startswith("Unterminated string")
                if self.ended or not near_end:
                    raise self._broken(error.msg, error.pos) from error
            except (RecursionError, ValueError) as error:
                raise InputError(f"{self.path}: {unusual_json(error)}; Download it again") from error
            self._more(size)
            size *= 2  # so that a long value is not decoded again for each piece of it

    def _take(self, characters: str) -> str:
        """Use up one of some characters."""
        found = self._next()
        if not found or found not in characters:
            raise self._broken(f"Expecting {' or '.join(map(repr, characters))}", self.at)
        self.at += 1
        return found

    def _next(self) -> str:
        """Return the next character that is no white space, without using it up; "" at the end."""
        while True:
            space = _SPACE.match(self.text, self.at)
            assert space is not None  # it matches nothing, too
            self.at = space.end()
            if self.at < len(self.text):
                return self.text[self.at]
            if self.ended:
                return ""
            self._more(_CHUNK)

    def _more(self, size: int) -> None:
        piece = self.stream.read(size)
        self.ended = not piece
        self.line += self.text.count("\n", 0, self.at)
        self.text = self.text[self.at :] + piece
        self.halves = has_halves(self.text)
        self.at = 0

    def _broken(self, what: str, at: int) -> InputError:
        line = self.line + self.text.count("\n", 0, at)
        column = at - self.text.rfind("\n", 0, at)
        place = f"line {line}, column {column}" if "\n" in self.text[:at] or line > 1 else "line 1"
        return InputError(f"{self.path}: no valid JSON ({what} at {place}): truncated? Download it again")
