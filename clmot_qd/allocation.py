"""Memory that was freed stays with the process, for work that frees and asks for the same large blocks again."""

from __future__ import annotations

import ctypes
import functools
import logging
import sys

# Numbers of glibc's mallopt (malloc.h).
M_TRIM_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -1, -4, -8
LARGEST = 2**31 - 1

logger = logging.getLogger(__name__)


@functools.cache
def keep_freed_memory() -> bool:
    """Let the C library keep freed memory for the next request instead of giving it back to the system each time.

    A convolutional network on the CPU asks for the same dozens of megabytes in every frame. glibc fetches such blocks
    from the system and gives them back at once, and the system fills each of their pages with zeros again: a third to
    a half of the time of a ResNet-50.

    The setting is the whole process's, for good: for programs whose work is such a network, not for a library to make.
    The process then stays as large as it ever was, even if something else needed that for a moment, and all its threads
    share one arena, for whose lock they may wait.

    Returns:
        Whether it could be set: Linux with glibc alone.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        library = ctypes.CDLL(None)
        # One arena: the others give large blocks back whatever the threshold.
        done = [library.mallopt(key, value) for key, value in ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, LARGEST))]
        done.append(library.mallopt(M_ARENA_MAX, 1))
    except (OSError, AttributeError):  # another C library
        return False
    logger.debug("freed memory is kept: %s", done)
    return all(done)
