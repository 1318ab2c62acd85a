"""What MOTChallenge's ``seqinfo.ini`` says of a sequence."""

from __future__ import annotations

import configparser
import os
import re
from dataclasses import dataclass

from clmot_qd.datasets.mot_text import LAST_FRAME, PathLike
from clmot_qd.errors import InputError
from clmot_qd.files import read_text
from clmot_qd.names import check_below


@dataclass(frozen=True)
class SeqInfo:
    """What a ``seqinfo.ini`` says of its sequence; None where it says nothing.

    ``length`` is the length of the whole sequence: there may be fewer images beside the file. ``frame_rate`` is in Hz.
    """

    name: str | None = None
    image_dir: str = "img1"
    frame_rate: float = 30.0
    length: int | None = None
    width: int | None = None
    height: int | None = None
    image_suffix: str = ".jpg"


def read_seqinfo(path: PathLike) -> SeqInfo:
    """Read a ``seqinfo.ini``; keys that are not there take the defaults of :class:`SeqInfo`.

    Raises:
        InputError: The file is not of that form; the message names the key.
    """
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(read_text(path), source=str(path))
        section = parser["Sequence"]
    except (configparser.Error, KeyError) as error:
        raise InputError(f"{path}: not a seqinfo.ini with a [Sequence] section; mend it or remove it") from error
    return SeqInfo(
        name=section.get("name"),
        image_dir=_image_dir(path, section.get("imDir", SeqInfo.image_dir)),
        frame_rate=_positive_number(path, section, "frameRate") or SeqInfo.frame_rate,
        length=_count(path, section, "seqLength"),
        width=_count(path, section, "imWidth"),
        height=_count(path, section, "imHeight"),
        image_suffix=_image_suffix(path, section.get("imExt", SeqInfo.image_suffix)),
    )


def _image_dir(path: PathLike, name: str) -> str:
    """Refuse pictures of somebody else: a sequence has its own."""
    folder = os.path.dirname(path)
    check_below(folder or ".", [os.path.join(folder, name)], f"{path}: imDir")
    return name


def _image_suffix(path: PathLike, suffix: str) -> str:
    """Refuse other folders; what ``jpg`` and ``*.jpg`` mean is clear. Where there are pictures, nobody reads it."""
    if re.search(r"[/\\\0]", suffix):
        raise InputError(f"{path}: imExt={suffix!r} must be the end of a file name, such as .jpg")
    suffix = suffix.removeprefix("*")
    return suffix if suffix.startswith(".") or not suffix else f".{suffix}"


def _count(path: PathLike, section: configparser.SectionProxy, key: str) -> int | None:
    value = _positive_number(path, section, key)
    if value is None:
        return None
    if not value.is_integer() or value > LAST_FRAME:  # of pictures: nobody has so many, nor so large ones
        raise InputError(f"{path}: {key}={section[key]} must be a whole number up to {LAST_FRAME}")
    return int(value)


def _positive_number(path: PathLike, section: configparser.SectionProxy, key: str) -> float | None:
    text = section.get(key)
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < float("inf"):
        raise InputError(f"{path}: {key}={text} must be a number greater than 0")
    return value
