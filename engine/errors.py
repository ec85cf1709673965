"""One exception family: what is wrong, where, and what to do about it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import NoReturn

INTERRUPTED = 130
"""Exit code after Ctrl-C."""


class KeelError(Exception):
    """The work failed or a check did not hold. A command that meets it prints one line and exits with 1."""

    exit_code = 1


class InputError(KeelError):
    """What the user gave is wrong. A command that meets it prints one line and exits with 2."""

    exit_code = 2


class RecipeError(InputError):
    """A recipe has faults; the message lists all of them."""


class DataError(InputError):
    """A data file cannot be used as it is."""


class LeakError(KeelError):
    """The same text or group stands on both sides of a split."""


class ExportError(KeelError):
    """An exported model does not answer as the trained one does."""


class StoreError(KeelError):
    """A stored version is missing or differs from its manifest."""


def run(command: Callable[[], object]) -> NoReturn:
    """Run a command as a person sees it: a fault is one message on stderr and its exit code, never a traceback."""
    try:
        command()
    except KeelError as fault:
        sys.stderr.write(f"error: {fault}\n")
        raise SystemExit(fault.exit_code) from None
    except (KeyboardInterrupt, SystemExit) as end:
        if isinstance(end, SystemExit) and end.code != INTERRUPTED:
            raise
        if "RANK" not in os.environ:  # of several processes the launching one says it
            sys.stderr.write("stopped; what is stored is whole, and the same command goes on from here\n")
        raise SystemExit(INTERRUPTED) from None
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0) from None
    raise SystemExit(0)
