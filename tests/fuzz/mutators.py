"""Valid files made invalid, from a random generator alone: the same generator gives the same file.

Every function takes the content of a file and gives that of a damaged one.
"""

from __future__ import annotations

import json
import random
import re
import struct
from collections.abc import Callable
from typing import Any

from array_mutators import mutate_mat, mutate_npz, mutate_parquet

#: What readers of JSON may meet in place of any value. ``RAW`` is put into the text as it stands.
RAW = "@raw{}@"
RAW_TEXTS = (
    "[" * 100_000 + "]" * 100_000,
    '{"a":' * 20_000 + "1" + "}" * 20_000,
    "9" * 5000,
    "-" + "9" * 400,
    "1" + "0" * 25,
    "1e999",
    "-1e999",
    "NaN",
    "1E400",
    '"\\ud800"',
    '"\\u0000"',
    "01",
    "+1",
    "'x'",
    "undefined",
    '"unfinished',
    "[1,",
    "",
)
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2, 0.5, -0.0, 1e-320, 1e18, -1e18, 1e38, 1e308, -1e308, 10**9, 10**12),
    *(2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64, -(2**63) - 1, float("nan"), float("inf"), float("-inf")),
    *(
        "",
        " ",
        "x",
        "1",
        "1.5",
        "nan",
        "-1",
        "a\nb",
        "\x00",
        "\x1b[31m",
        "..",
        "../../x",
        "/etc/passwd",
        "a/b",
        "٣",
        "é",
    ),
    *("x" * 5000, "1_0", "C:\\x", "\u2028", "%s", "{0}", "<b>"),
    *([], {}, [[]], [None], [1], [1, 2, 3, 4], [1, 2, 3, 4, 5], [None] * 4, ["a"] * 4, [1e308] * 4, [float("nan")] * 4),
    *([0, 0, 0, 0], [0, 0, -5, -5], [1, 2, 10**30, 4], [True] * 4, [[1], [2]], {"id": 1}, {"a": {"b": {}}}),
)
TOKENS = (
    *("", " ", "0", "-1", "-0", "1", "1.5", "nan", "NaN", "inf", "-inf", "1e400", "1e308", "-1e308", "1e18", "1e19"),
    *("1e15", "1000000000", "99999999999", "9223372036854775807", "9223372036854775808", "9" * 400, "1e-400", "0x10"),
    *(
        "1_0",
        "٣",
        "１",
        "1e",
        "e5",
        "--1",
        "+1",
        "1.",
        ".5",
        "x",
        "\x00",
        '"',
        "'",
        "a,b",
        "None",
        "True",
        "é",
        "#",
        ";",
        "//",
    ),
    *("[", "(", ")", "\ud7ff", "\u2028", "\x0c", "../../x", "/", "x" * 5000),
)
ENCODINGS = ("utf-16", "utf-16-le", "utf-32", "utf-8-sig", "cp037")
_INTEGERS = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def damage(content: bytes, kind: str, rng: random.Random) -> bytes:
    """One to three mutations; ``kind`` is ``json``, ``text``, ``binary``, ``npz``, ``mat`` or ``parquet``."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        content = _MUTATORS[kind](content, rng)
    return content


def mutate_json(content: bytes, rng: random.Random) -> bytes:
    """Change one value, key or entry; now and then the text of the file instead."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return mutate_bytes(content, rng)
    if rng.random() < 0.25:
        return rng.choice((mutate_bytes, mutate_text))(content, rng)
    places = list(_places(value))
    raws: list[str] = []
    if not places:
        return mutate_bytes(content, rng)
    holder, key = rng.choice(places)
    rng.choice((_replace, _replace, _replace, _remove, _repeat, _rename, _raw, _swap))(holder, key, rng, places, raws)
    text = json.dumps(value)
    for number, raw in enumerate(raws):
        text = text.replace(json.dumps(RAW.format(number)), raw)
    return text.encode("utf-8", "surrogatepass")


def _places(value: Any) -> Any:
    """All (holder, key) below a value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(items):
        yield value, key
        yield from _places(inner)


def _replace(holder: Any, key: Any, rng: random.Random, places: list, raws: list[str]) -> None:
    holder[key] = rng.choice(VALUES)


def _remove(holder: Any, key: Any, rng: random.Random, places: list, raws: list[str]) -> None:
    del holder[key]


def _repeat(holder: Any, key: Any, rng: random.Random, places: list, raws: list[str]) -> None:
    if isinstance(holder, list):
        holder.insert(key, holder[key])
    else:
        holder[f"{key}2"] = holder[key]


def _rename(holder: Any, key: Any, rng: random.Random, places: list, raws: list[str]) -> None:
    if isinstance(holder, dict):
        holder[rng.choice(("", "id", "x", "\x00", "a\nb", "video", key.upper()))] = holder.pop(key)
    else:
        holder.append(rng.choice(VALUES))


def _raw(holder: Any, key: Any, rng: random.Random, places: list, raws: list[str]) -> None:
    holder[key] = RAW.format(len(raws))
    raws.append(rng.choice(RAW_TEXTS))


def _swap(holder: Any, key: Any, rng: random.Random, places: list, raws: list[str]) -> None:
    other, place = rng.choice(places)
    copied = json.loads(json.dumps(other[place]))
    holder[key] = copied


def mutate_text(content: bytes, rng: random.Random) -> bytes:
    """Change a field, a line, the line ends or the encoding."""
    if rng.random() < 0.15:
        return mutate_bytes(content, rng)
    text = content.decode("utf-8", "replace")
    choice: Callable[[str, random.Random], bytes] = rng.choice(
        (_field, _field, _field, _field, _field, _line, _line, _line, _line_ends, _encoding)
    )
    return choice(text, rng)


def _field(text: str, rng: random.Random) -> bytes:
    fields = re.split(r"([,;\s=:()\"]+)", text)
    fields[rng.randrange(0, len(fields), 2)] = rng.choice(TOKENS)
    return "".join(fields).encode("utf-8", "surrogatepass")


def _line(text: str, rng: random.Random) -> bytes:
    lines = text.split("\n")
    place = rng.randrange(len(lines))
    action = rng.randrange(7)
    if action == 0:
        del lines[place]
    elif action == 1:
        lines.insert(place, lines[place])
    elif action == 2:
        lines.insert(place, rng.choice(TOKENS))
    elif action == 3:
        lines[place] += rng.choice((",", ",1", " ", "\t", ";", ",,,,", "," * 2000))
    elif action == 4:
        lines[place] = lines[place][: rng.randrange(len(lines[place]) + 1)]
    elif action == 5:
        rng.shuffle(lines)
    else:
        lines = lines[:place]
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def _line_ends(text: str, rng: random.Random) -> bytes:
    return text.replace("\n", rng.choice(("\r\n", "\r", "\n\n", "\x0b", "\x00", "\u2028", ""))).encode()


def _encoding(text: str, rng: random.Random) -> bytes:
    return text.encode(rng.choice(ENCODINGS), "replace")


def mutate_bytes(content: bytes, rng: random.Random) -> bytes:
    """Flip, cut, repeat, drop or overwrite bytes."""
    data = bytearray(content)
    if not data:
        return bytes([rng.randrange(256)])
    place = rng.randrange(len(data))
    length = min(rng.choice((1, 2, 4, 8, 64, 512)), len(data) - place)
    action = rng.randrange(7)
    if action == 0:
        for _ in range(rng.choice((1, 1, 2, 8))):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    elif action == 1:
        del data[place:]
    elif action == 2:
        del data[place : place + length]
    elif action == 3:
        data[place:place] = data[place : place + length] * rng.choice((1, 2, 50))
    elif action == 4:
        data[place : place + length] = bytes(rng.randrange(256) for _ in range(length))
    elif action == 5:
        form = rng.choice(("<I", ">I", "<Q", ">Q"))
        number = struct.pack(form, rng.choice(_INTEGERS))
        data[place : place + len(number)] = number
    else:
        data[place:place] = rng.choice((b"\0", b"\xff", b"\xef\xbb\xbf", b"\xff\xfe", b"\r", b"\n", b"\x1a"))
    return bytes(data)


def _either(whole: Callable[[bytes, random.Random], bytes], content: bytes, rng: random.Random) -> bytes:
    """Change the content or, one time in three and where it cannot be read any more, the bytes."""
    try:
        return mutate_bytes(content, rng) if rng.random() < 0.34 else whole(content, rng)
    except Exception:  # an earlier change has broken it
        return mutate_bytes(content, rng)


_MUTATORS: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "json": mutate_json,
    "text": mutate_text,
    "binary": mutate_bytes,
    "npz": lambda content, rng: _either(mutate_npz, content, rng),
    "mat": lambda content, rng: _either(mutate_mat, content, rng),
    "parquet": lambda content, rng: _either(mutate_parquet, content, rng),
}
