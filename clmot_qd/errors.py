"""The one error type that stands for a user's mistake, and the wrapper that shows it as one line.

Everything a user can get wrong (a file, a line of it, a configuration key) raises :class:`InputError`, whose text
names the place and says what to do. The commands in ``tools/`` run through :func:`run_command`, which prints that text
without a traceback. Any other exception is a defect of ours and keeps its traceback.
"""

from __future__ import annotations

import sys
from collections.abc import Callable


class InputError(ValueError):
    """A mistake in what the user gave: the message names file, line or key and says what to do."""


def run_command(main: Callable[[], int | None]) -> None:
    """Run ``main`` and leave the process: exit code 0 or main's own, 2 after an InputError, 130 after Ctrl-C."""
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
    if "Original Traceback" in text:
        text = text.splitlines()[-1].split("InputError: ", 1)[-1]
    return text
