"""The exception tree: each class has an exit code, each message is one line.

A message says what, where, what was found and expected, and then the fix.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterable, Iterator

from batchdigits.text import one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import ClassVar


OUT_OF_MEMORY = (
    "out of memory, nothing was published; give the run more memory, fewer --workers or a smaller "
    "--batch-size"
)

_OPEN_FILES = {errno.EMFILE, errno.ENFILE}
_NO_THREAD = ("can't start new thread", "Failed to launch worker thread", "pthread_create")
"""What Python, Arrow and C libraries say when the system gives them no thread."""


class BatchdigitsError(Exception):
    """The base of all our errors; its message is always one line."""

    exit_code: ClassVar[int] = 70

    def __str__(self) -> str:
        return one_line(super().__str__())


class UsageError(BatchdigitsError):
    """Flags or keywords with a value, a name or a combination that can't be used."""

    exit_code = 2


class UnusableInputError(BatchdigitsError):
    """An input file that can't be scored as a whole, or a model that can't be rewritten."""

    exit_code = 65


class NoInputError(BatchdigitsError):
    """An input file that does not exist or can't be read."""

    exit_code = 66


class MissingExtraError(BatchdigitsError):
    """A package of an optional extra that is not installed."""

    exit_code = 69


class InternalError(BatchdigitsError):
    """A bug in batchdigits, or too little memory."""

    exit_code = 70


class OutputError(BatchdigitsError):
    """An output that can't be created, or that exists from other work."""

    exit_code = 73


class IOFailedError(BatchdigitsError):
    """A failure of the operating system or the disk while reading or writing."""

    exit_code = 74


class TryAgainError(BatchdigitsError):
    """An output that another run holds, or an input that changed while it was read."""

    exit_code = 75


class BundleError(BatchdigitsError):
    """A bundle that is missing, damaged or untrusted, or a file to import that is hostile."""

    exit_code = 78


def missing_extra(problem: str, extra: str) -> MissingExtraError:
    """Return the error for a package of an extra; batchdigits itself is on no package index."""
    return MissingExtraError(
        f"{problem}: install the extra {extra}: pip install '.[{extra}]' in batchdigits' checkout"
    )


def unsound_bundle(problem: str) -> BundleError:
    """Return the error for a bundle that only another training mends."""
    return BundleError(f"{problem}: rebuild the bundle with train")


class InterruptedRunError(BatchdigitsError):
    """A run that SIGINT (130), SIGTERM (143) or SIGHUP (129) stopped."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(
            f"interrupted by signal {signal_number}: no unfinished file was left; run it again"
        )
        self.signal_number = signal_number

    @property
    def exit_code(self) -> int:  # type: ignore[override]  # 128 + signal, as a shell reports it
        return 128 + self.signal_number


def as_ours(error: Exception, where: str = "") -> BatchdigitsError:
    """Return the exception as one of ours, with a message and an exit code.

    `where` names the file in work, for exceptions that don't name one. A resource that ran out is
    named as such, whatever could not be read or written without it.
    """
    if isinstance(error, OSError) and error.filename:
        where = os.fsdecode(error.filename)
    prefix = f"{where}: " if where else ""
    scarce = _scarcity(error, prefix)
    if scarce is not None:
        return scarce
    if isinstance(error, BatchdigitsError):
        return error
    if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
        return InternalError(f"{prefix}{OUT_OF_MEMORY}")
    if isinstance(error, OSError):
        return IOFailedError(f"{prefix}{error.strerror or error}")
    if is_impossible_name(error):
        return UsageError(f"{prefix}no file can have that name ({error})")
    return InternalError(
        f"{prefix}internal error: {type(error).__name__}: {error}; please report it with the "
        "traceback that --debug shows"
    )


class BatchdigitsWarning(UserWarning):
    """Rows were scored in memory that do not look like digits."""


def is_impossible_name(error: Exception) -> bool:
    """Return whether Python refused a file name with a NUL, or with half a character in it."""
    words = ("embedded null ", "surrogates not allowed")
    return isinstance(error, ValueError) and any(word in str(error) for word in words)


def _scarcity(error: BaseException, prefix: str) -> BatchdigitsError | None:
    """Return the error for a thread, process or open file that could not be had, else None."""
    if isinstance(error, (InterruptedRunError, TryAgainError)):
        return None
    cause: BaseException | None = error
    while cause is not None:
        number = cause.errno if isinstance(cause, OSError) else None
        if number in _OPEN_FILES:
            return IOFailedError(
                f"{prefix}{os.strerror(number or 0)}: the limit on open files is reached; raise it "
                "(ulimit -n), then run again"
            )
        # Of a wrapped OSError only its owner knows what there was too little of.
        if (cause is error and number == errno.EAGAIN) or (
            number is None and any(words in str(cause) for words in _NO_THREAD)
        ):
            return TryAgainError(
                f"{prefix}no thread or process could be started: the limit of this user or "
                "container on processes is reached; run it again when fewer run, raise the limit "
                "(ulimit -u, pids.max), or give --workers 1"
            )
        cause = cause.__cause__
    return None


# A run over several inputs ends with the first of these codes that is present.
PRECEDENCE = (130, 143, 129, 70, 69, 78, 74, 73, 2, 66, 65, 75, 3, 4, 0)


def is_exit_code(value: object) -> bool:
    """Return whether a document can have this as the exit code of a run."""
    return type(value) is int and value in PRECEDENCE


def worst_exit_code(codes: Iterable[int]) -> int:
    """Return the exit code of a run over several inputs: the first of `PRECEDENCE`, else 0."""
    return min(codes, key=PRECEDENCE.index, default=0)


@contextlib.contextmanager
def naming(where: object) -> Iterator[None]:
    """Put `where`, a path or a member's name, in front of the message of a BundleError."""
    try:
        yield
    except BundleError as error:
        raise BundleError(f"{where}: {error}") from error
