"""Text from outside as a page and a drawing can hold it."""

from __future__ import annotations

import re

# What HTML and XML forbid: control characters but tab and line ends, halves of surrogate pairs (how Python holds bytes
# that are no UTF-8), non-characters.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def printable(text: str) -> str:
    """Return the text with U+FFFD in place of every character that cannot be written or shown."""
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text)
