"""Commands that print: whoever reads may stop reading (`| head`), which is no error."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

CLOSED = 141  # what a shell reports of a command that a closed pipe ended


def quietly(main: Callable[[], int]) -> int:
    """Return the exit status of main(); without a message that of a closed pipe where it could not print all."""
    status = CLOSED
    try:
        status = main()
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what is printed or flushed from here on
    return status
