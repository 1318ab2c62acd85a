"""The pages of the documentation as tests see them: blocks of code with their markers, spans of code, links.

The line above a block may be a marker: ``<!-- run -->`` (it runs in an empty folder), ``<!-- run: NAME -->`` (in a
folder that the scenario NAME has set up) or ``<!-- needs: WHAT -->`` (it needs what cannot be shipped). Each bash block
has one.
A Python block whose first line is a comment with a file name, ``# shop.py``, is that file.
"""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

from locations import REPOSITORY

PAGES = sorted(
    path.relative_to(REPOSITORY)
    for path in (REPOSITORY / "README.md", *REPOSITORY.glob("docs/**/*.md"), *REPOSITORY.glob("configs/*/README.md"))
)
FENCE = re.compile(r"(?P<indent> *)(?P<marks>`{3,})(?P<language>[\w-]*)[^`]*$")
MARKER = re.compile(r" *<!-- (?P<kind>run|needs)(?:: (?P<what>.+?))? -->$")
FILE_NAME = re.compile(r"# ([\w-]+\.py)$")


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Args:
        page: Its page, from the repository's root.
        line: Number of its first line.
        language: What stands behind the fence; empty: nothing.
        kind: ``run``, ``needs``, or nothing where no marker stands above it.
        what: The marker's text.
        text: Its lines, not indented.
    """

    page: Path
    line: int
    language: str
    kind: str
    what: str
    text: str

    @property
    def place(self) -> str:
        """Page and line, for messages."""
        return f"{self.page}:{self.line}"

    @property
    def file_name(self) -> str:
        """The file that this block is; empty: none."""
        named = FILE_NAME.match(self.text.split("\n", 1)[0]) if self.language == "python" else None
        return named[1] if named else ""


def read(page: Path) -> str:
    """The text of a page."""
    return (REPOSITORY / page).read_text(encoding="utf-8")


def blocks_of(page: Path) -> list[Block]:
    """All fenced blocks of a page, in order."""
    lines = read(page).split("\n")
    blocks, start = [], None
    for number, line in enumerate(lines):
        fence = FENCE.match(line)
        if start is None and fence:
            start = number
        elif (
            start is not None and fence and not fence["language"] and line.strip() == FENCE.match(lines[start])["marks"]
        ):
            blocks.append(_block(page, lines, start, number))
            start = None
    assert start is None, f"{page}: a block begins in line {start and start + 1} and does not end"
    return blocks


def _block(page: Path, lines: list[str], start: int, end: int) -> Block:
    marker = MARKER.match(lines[start - 1]) if start else None
    text = textwrap.dedent("\n".join(lines[start + 1 : end])) + "\n"
    kind, what = (marker["kind"], marker["what"] or "") if marker else ("", "")
    return Block(page, start + 2, FENCE.match(lines[start])["language"], kind, what, text)


def all_blocks(*languages: str) -> list[Block]:
    """The blocks of all pages in one of these languages."""
    return [block for page in PAGES for block in blocks_of(page) if block.language in languages]


def prose(page: Path) -> str:
    """A page without its fenced blocks; the lines keep their numbers."""
    lines, inside = read(page).split("\n"), False
    for number, line in enumerate(lines):
        fence = FENCE.match(line)
        lines[number] = "" if inside or fence else line
        inside ^= bool(fence)
    return "\n".join(lines)


def code_spans(page: Path) -> list[tuple[int, str]]:
    """(number of the line, text) of each span of code in the prose of a page."""
    return [
        (number, span)
        for number, line in enumerate(prose(page).split("\n"), start=1)
        for span in re.findall(r"`([^`]+)`", line)
    ]


def anchors_of(page: Path) -> set[str]:
    """The names to which a link into this page may lead, as code hosts make them from headings."""
    headings = re.findall(r"^#{1,6} +(.+?) *$", prose(page), flags=re.M)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {name.strip().replace(" ", "-") for name in plain}


def commands_of(block: Block) -> list[str]:
    """The commands of a bash block, one a line: joined where they are continued, without comments."""
    joined = re.sub(r"\\\n\s*", " ", block.text)
    lines = (re.sub(r"(^|\s)#.*$", "", line).strip() for line in joined.split("\n"))
    return [line for line in lines if line]
