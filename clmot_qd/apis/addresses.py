"""Addresses and cameras: what they are, and how they may be shown."""

from __future__ import annotations

import os
import re
from numbers import Integral
from typing import Any

from clmot_qd.errors import InputError

#: What is sent as it happens: there is no end to wait for, whatever the sender says of its length.
LIVE_SCHEMES = frozenset({"rtsp", "rtsps", "rtmp", "rtmps", "rtp", "udp", "srt", "tcp", "mms"})
# One letter is a drive of Windows; pathlib leaves one slash of two.
_SCHEME = re.compile(r"^[a-z][a-z0-9+.-]+:/+", re.IGNORECASE)
_SECRET = re.compile(
    r"(pass(?:word|wd)?|pwd|token|secret|key|auth|sig(?:nature)?)=.*?(?=[&/]|_[a-z]+=|$)", re.IGNORECASE
)


def is_address(source: Any) -> bool:
    """Whether a source is the address of a stream, or of a recording elsewhere."""
    return isinstance(source, (str, os.PathLike)) and "://" in str(source)


def is_live_address(address: str) -> bool:
    """Whether the protocol alone says that it is a stream."""
    return address.partition("://")[0].lower() in LIVE_SCHEMES


def public_name(source: str | int) -> str:
    """The source as messages may show it: an address without user, password and query.

    Passwords may hold any character, ``@``, ``/`` and ``?`` among them: rather too much is left out than too little.
    """
    text = str(source)
    scheme = _SCHEME.match(text)
    if scheme is None:
        return text
    rest = text[scheme.end() :].rpartition("@")[2]
    return scheme.group() + _SECRET.sub(r"\1=***", re.split(r"[?#]", rest)[0])


def camera_number(source: Integral | int) -> int:
    """The number of a camera.

    Raises:
        InputError: There can be no such camera.
    """
    if isinstance(source, bool) or int(source) < 0:
        raise InputError(f"source {source}: cameras have numbers from 0")
    return int(source)
