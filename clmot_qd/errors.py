"""The one error type that stands for a user's mistake, and the wrapper that shows it as one line.

Everything a user can get wrong (a file, a line of it, a configuration key) raises :class:`InputError`, whose text
names the place and says what to do. The commands in ``tools/`` run through :func:`run_command`, which prints that text
without a traceback. Any other exception is a defect of ours and keeps its traceback.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class InputError(ValueError):
    """A mistake in what the user gave: the message names file, line or key and says what to do.

    Values of the user's file stand in the message, so line ends are blanks, what else would move the cursor is written
    as an escape, and the middle of a very long message is left out.
    """

    def __init__(self, message: object = "") -> None:
        """Take the message; a data loader's worker gives its whole traceback, see :func:`one_line`."""
        text = str(message)
        super().__init__(text if _WORKER in text else _in_one_line(text))


_WORKER = "Original Traceback"
_LONGEST = 2000  # characters


def _in_one_line(text: str) -> str:
    text = " ".join(text.splitlines()).strip()
    if len(text) > _LONGEST:
        text = f"{text[: _LONGEST * 3 // 4]} ... {text[-_LONGEST // 4 :]}"
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


@contextmanager
def expecting_form(place: Callable[[], str]) -> Iterator[None]:
    """Turn what a value of the wrong kind sets off while a user's file is read into an :class:`InputError`.

    Readers check what is likely to be wrong and name it exactly; this is for the rest, such as a list where a number
    should be.

    Args:
        place: Gives file and, as far as it is known, entry.

    Raises:
        InputError: With ``place`` and Python's own words.
    """
    try:
        yield
    except InputError:
        raise
    except (TypeError, ValueError, LookupError, AttributeError, OverflowError, RecursionError) as error:
        told = str(error).splitlines()[0] if str(error) else "no details"
        raise InputError(f"{place()}: not of the expected form ({type(error).__name__}: {told})") from error


def run_command(main: Callable[[], int | None]) -> None:
    """Run ``main`` and leave: exit code 0 or main's own, 2 after an InputError, 130 after Ctrl-C, 143 after SIGTERM."""
    if threading.current_thread() is threading.main_thread():
        # A job that is ended from outside cleans up as after Ctrl-C.
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        code = main()
    except InputError as error:
        print(f"error: {one_line(error)}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(130)
    sys.exit(code or 0)


def one_line(error: InputError) -> str:
    """What the error said where it was raised.

    mmengine's registries raise a second error of the same type around the first, naming the class under construction;
    a data loader's worker hands over its whole traceback as text. Both hold the original line.
    """
    while isinstance(error.__context__, InputError):
        error = error.__context__
    text = str(error).strip()
    if _WORKER in text:
        text = text.splitlines()[-1].split("InputError: ", 1)[-1]
    return text
