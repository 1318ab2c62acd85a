"""Conversion of the pictures that a list names, and of no others."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from clmot_qd.datasets.converters.catalogue import Option
from clmot_qd.datasets.converters.report import Report
from clmot_qd.datasets.converters.text_files import read_text
from clmot_qd.errors import InputError

#: For data sets of which a public list names a part.
ONLY_OPTION = Option(
    "--only",
    {
        "type": Path,
        "metavar": "FILE",
        "help": "take the pictures named in FILE only, one on a line; folders and suffixes do not matter (the lists "
        "caltech.train, citypersons.train, cuhksysu.train and prw.train of JDE and CL-MOT have this form)",
    },
)


class PictureList:
    """The pictures to take.

    Args:
        path: A text file; each line ends in the name of a picture. None stands for all pictures.

    Raises:
        InputError: The file is missing, no text or names nothing.
    """

    def __init__(self, path: Path | None) -> None:
        """Read the list."""
        self.path = path
        self._unused = {} if path is None else _read_lines(path)
        self._names = frozenset(self._unused)

    def takes(self, name: str) -> bool:
        """Return whether a picture is to be taken; ``name`` without folder and suffix."""
        self._unused.pop(name, None)
        return self.path is None or name in self._names

    def finish(self, report: Report) -> None:
        """Report the lines that no picture has been taken for."""
        for line in self._unused.values():
            report.note("skipped", "line that names no picture of the data set", f"{self.path}:{line}")


def _read_lines(path: Path) -> dict[str, int]:
    """Return name -> line."""
    lines = enumerate(read_text(path).splitlines(), start=1)
    names = {PurePosixPath(line.strip()).stem: number for number, line in lines if line.strip()}
    if not names:
        raise InputError(f"{path}: names no picture")
    return names
