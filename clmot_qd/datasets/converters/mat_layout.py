"""The layout of a MATLAB file of version 5 to 7, checked before scipy, which trusts it, reads variables of the file.

scipy takes sizes from the file as they stand: a damaged one ends the process, or asks for all memory. Here every size
is compared with the bytes that are there. The form is that of MATLAB's "MAT-File Format" (The MathWorks), chapter 1: a
head of 128 bytes, then elements, each a tag (type and number of bytes) and its bytes; an array is an element that holds
others.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Collection, Iterator

from clmot_qd.arrays import MOST_PACKED, SMALL

_HEAD = 128
_VERSION = 0x0100
_INT8, _INT32, _UINT32, _MATRIX, _COMPRESSED, _UTF8 = 1, 5, 6, 14, 15, 16
_WIDTHS = {1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 7: 4, 9: 8, 12: 8, 13: 8}  # types of numbers -> bytes of one
_TEXTS = (1, 2, 3, 4, 16, 17, 18)
_CELL, _STRUCT, _CHARS, _OPAQUE = 1, 2, 4, 17
_NUMBERS = range(6, 16)
_UNREAD = {3: "an object", 5: "a sparse matrix", 16: "a function handle", _OPAQUE: "an object"}
_COMPLEX = 0x800
_DEEPEST = 64
_PIECE = 4096  # bytes
_LONGEST_HEAD = 1 << 16  # bytes of an array before its content: flags, sides and name

Element = tuple[int, memoryview]  # type, content


class UnreadKindError(ValueError):
    """What MATLAB can write, and nobody has damaged, but is not read here; says so."""


def check_layout(content: bytes, wanted: Collection[str] | None = None) -> list[str]:
    """Check a file: the heads of all variables, and the content of some.

    Args:
        content: Of the file.
        wanted: Names of the variables that will be read; None: all.

    Returns:
        Names of all variables; that of an object is empty.

    Raises:
        UnreadKindError: A wanted variable has something else than numbers, text, cells and structs in it.
        ValueError: A size does not fit.
    """
    order = {b"IM": "<", b"MI": ">"}.get(content[126:128])
    if order is None or struct.unpack_from(f"{order}H", content, 124)[0] != _VERSION:
        raise ValueError("no file of version 5 to 7")
    room = max(SMALL, MOST_PACKED * len(content))
    names = []
    for kind, body in _elements(memoryview(content)[_HEAD:], order):
        start = _start_of(kind, body, order)
        name = _read_head(_elements(start, order), order)[3]
        names.append(name)
        if wanted is not None and name not in wanted:
            continue
        if kind == _COMPRESSED:
            body = _unpack(body, room)
            room -= len(body)
            ((_, body),) = _elements(body, order)
        try:
            _check_array(body, order, 0)
        except UnreadKindError as error:
            raise UnreadKindError(f"variable {name!r} is or holds {error}, which is not read here") from None
    return names


def _start_of(kind: int, body: memoryview, order: str) -> memoryview:
    """Return the beginning of an array, unpacked; as much as its head may take."""
    if kind == _COMPRESSED:
        start = memoryview(zlib.decompressobj().decompress(body, _LONGEST_HEAD))
        _require(len(start) >= 8, "an array without flags")
        kind, body = struct.unpack_from(f"{order}I", start)[0], start[8:]
    _require(kind == _MATRIX, "something else than an array")
    return body[:_LONGEST_HEAD]


def _unpack(body: memoryview, room: int) -> memoryview:
    """Unpack, after it was counted how much that gives: no more memory is taken than the result needs."""
    size = 0
    for piece in _pieces(body):
        size += len(piece)
        if size > room:
            raise ValueError(f"it unpacks to more than {MOST_PACKED} times its size")
    unpacked, at = bytearray(size), 0
    for piece in _pieces(body):
        unpacked[at : at + len(piece)] = piece
        at += len(piece)
    return memoryview(unpacked)


def _pieces(body: memoryview) -> Iterator[bytes]:
    """Give what is unpacked, some MB at a time."""
    stream = zlib.decompressobj()
    for at in range(0, len(body), _PIECE):
        yield stream.decompress(body[at : at + _PIECE])


def _elements(data: memoryview, order: str) -> Iterator[Element]:
    """Give the elements one by one; each but a compressed one ends at a multiple of 8 bytes."""
    at = 0
    while at < len(data):
        _require(at + 8 <= len(data), "a tag that is cut off")
        kind, size = struct.unpack_from(f"{order}II", data, at)
        start = at + 8
        if kind >> 16:  # up to four bytes stand in the tag itself
            kind, size, start = kind & 0xFFFF, kind >> 16, at + 4
            _require(size <= 4, "a tag that cannot be")
        _require(start + size <= len(data), "an element that is cut off")
        yield kind, data[start : start + size]
        at = start + size
        if kind != _COMPRESSED:
            at += -at % 8


def _check_array(body: memoryview, order: str, depth: int) -> None:
    if not len(body):
        return  # nothing, as an empty cell has it
    _require(depth < _DEEPEST, "too many arrays in one another")
    parts = _elements(body, order)
    kind, flags, count, _ = _read_head(parts, order)
    if kind in _UNREAD:
        raise UnreadKindError(_UNREAD[kind])
    if kind in (_CELL, _STRUCT):
        members = count * (_count_fields(parts, order) if kind == _STRUCT else 1)
        _require(8 * members <= len(body), "more cells than bytes")
        _check_members(parts, members, order, depth)
        return
    _require(kind == _CHARS or kind in _NUMBERS, f"an array of class {kind}")
    for _ in range(2 if flags & _COMPLEX else 1):
        form, values = _next(parts)
        width = _WIDTHS.get(form, 1)
        fits = form in _WIDTHS and len(values) == count * width
        _require(
            fits or (kind == _CHARS and form in _TEXTS and count <= max(len(values), 1)), "an array of another size"
        )
    _require(next(parts, None) is None, "something behind an array")


def _read_head(parts: Iterator[Element], order: str) -> tuple[int, int, int, str]:
    """Return class, flags, number of elements and name of an array."""
    form, head = _next(parts)
    _require(form == _UINT32 and len(head) == 8, "an array without flags")
    (flags,) = struct.unpack_from(f"{order}I", head)
    if flags & 0xFF == _OPAQUE:  # of another form from here
        return _OPAQUE, flags, 0, ""
    form, sides = _next(parts)
    fits = form in (_INT32, _UINT32) and len(sides) >= 8 and len(sides) % 4 == 0
    _require(fits, "an array without a size")
    sizes = struct.unpack(f"{order}{len(sides) // 4}i", sides)
    _require(min(sizes) >= 0, "an array of negative size")
    form, name = _next(parts)
    _require(form in (_INT8, _UTF8), "an array without a name")
    return flags & 0xFF, flags, math.prod(sizes), bytes(name).decode("latin1")


def _count_fields(parts: Iterator[Element], order: str) -> int:
    form, length = _next(parts)
    _require(form == _INT32 and len(length) == 4, "a struct without names")
    (size,) = struct.unpack(f"{order}i", length)
    form, names = _next(parts)
    _require(form == _INT8 and size > 0 and len(names) % size == 0, "a struct with damaged names")
    return len(names) // size


def _check_members(parts: Iterator[Element], members: int, order: str, depth: int) -> None:
    for _ in range(members):
        kind, body = _next(parts)
        _require(kind == _MATRIX, "a cell that is no array")
        _check_array(body, order, depth + 1)
    _require(next(parts, None) is None, "more cells than there should be")


def _next(parts: Iterator[Element]) -> Element:
    element = next(parts, None)
    if element is None:
        raise ValueError("an array that ends too early")
    return element


def _require(fits: bool, what: str) -> None:
    if not fits:
        raise ValueError(f"it has {what}")
