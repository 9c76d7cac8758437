"""Every way a run can fail: one exception tree, an exit code on each class.

A message is one line: what, where, got and expected, then what to do about it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator

from batchdigits.text import one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import ClassVar


OUT_OF_MEMORY = (
    "out of memory, nothing was published; give the run more, or fewer --workers or a smaller "
    "--batch-size"
)


class BatchdigitsError(Exception):
    """Something that the caller can be told in one line."""

    exit_code: ClassVar[int] = 70

    def __str__(self) -> str:
        """The message as one line, so that a log keeps it in one record."""
        return one_line(super().__str__())


class UsageError(BatchdigitsError):
    """What was asked for can't be asked: a flag, a name, or a combination of them."""

    exit_code = 2


class UnusableInputError(BatchdigitsError):
    """An input can't be scored as a whole."""

    exit_code = 65


class NoInputError(BatchdigitsError):
    """There is no such input, or it can't be read."""

    exit_code = 66


class MissingExtraError(BatchdigitsError):
    """A package of an optional extra is not installed."""

    exit_code = 69


class InternalError(BatchdigitsError):
    """A promise of ours did not hold."""

    exit_code = 70


class OutputError(BatchdigitsError):
    """An output can't be created, or it exists from something else."""

    exit_code = 73


class IOFailedError(BatchdigitsError):
    """Reading or writing failed below us."""

    exit_code = 74


class TryAgainError(BatchdigitsError):
    """Another run holds the output, or the input changed while it was read."""

    exit_code = 75


class BundleError(BatchdigitsError):
    """A bundle is missing, damaged, untrusted, or fails its golden rows."""

    exit_code = 78


class InterruptedRunError(BatchdigitsError):
    """The run was told to stop by SIGINT (130) or SIGTERM (143)."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(f"interrupted by signal {signal_number}: nothing half-done was left")
        self.signal_number = signal_number

    @property
    def exit_code(self) -> int:  # type: ignore[override]  # the shell's 128 + signal
        """128 + the signal's number, as a shell reports it."""
        return 128 + self.signal_number


def as_ours(error: Exception, where: str = "") -> BatchdigitsError:
    """The exception as one of ours, with its message and exit code.

    `where` names what was worked on, for exceptions that don't say so themselves.
    """
    if isinstance(error, BatchdigitsError):
        return error
    if isinstance(error, OSError):
        place = os.fsdecode(error.filename) if error.filename else where
        return IOFailedError(f"{f'{place}: ' if place else ''}{error.strerror or error}")
    prefix = f"{where}: " if where else ""
    if isinstance(error, MemoryError):
        return InternalError(f"{prefix}{OUT_OF_MEMORY}")
    return InternalError(
        f"{prefix}fault in batchdigits: {type(error).__name__}: {error}; --debug shows the "
        "traceback"
    )


# Of several inputs' codes the run reports the first of these that is present.
PRECEDENCE = (130, 143, 70, 78, 74, 73, 66, 65, 75, 3, 4, 0)


def worst_exit_code(codes: Iterable[int]) -> int:
    """The code a run over several inputs ends with: the first of `PRECEDENCE` present, else 0.

    A code that is not listed concerns the whole run and comes first.
    """
    present = set(codes)
    unlisted = present.difference(PRECEDENCE)
    return max(unlisted) if unlisted else next((c for c in PRECEDENCE if c in present), 0)


@contextlib.contextmanager
def naming(where: object) -> Iterator[None]:
    """Put `where`, a path or a member's name, in front of the message of a BundleError."""
    try:
        yield
    except BundleError as error:
        raise BundleError(f"{where}: {error}") from error
