"""Exit codes of runs over several inputs; errors that name the file in work."""

import errno
import re

import pytest
from paths import PACKAGE, ROOT

from batchdigits import errors
from batchdigits.errors import (
    BundleError,
    InterruptedRunError,
    OutputError,
    TryAgainError,
    as_ours,
    naming,
    worst_exit_code,
)


@pytest.mark.parametrize(
    ("codes", "worst"),
    [
        ([], 0),
        ([0, 0], 0),
        ([0, 3, 4], 3),
        ([3, 65, 75], 65),
        ([2, 0], 2),
        ([65, 2, 75], 2),
        ([2, 73], 73),
        ([69, 3, 78], 69),
        ([129, 70], 129),
        ([143, 129, 0], 143),
        ([66, 73, 74], 74),
        ([78, 70], 70),
    ],
)
def test_the_worst_code_follows_the_documented_order(codes: list[int], worst: int) -> None:
    assert worst_exit_code(codes) == worst


def test_every_code_has_its_place_in_the_order() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    own = {code for kind in kinds if isinstance(code := getattr(kind, "exit_code", None), int)}
    stopped = {InterruptedRunError(number).exit_code for number in (1, 2, 15)}
    assert own | stopped | {0, 3, 4} == set(errors.PRECEDENCE)


def wrapped(error: Exception) -> BundleError:
    """The error as a reader of a bundle reports it."""
    result = BundleError(f"a.bundle: can't be read: {error}")
    result.__cause__ = error
    return result


NO_THREAD = [
    RuntimeError("can't start new thread"),
    wrapped(RuntimeError("can't start new thread")),
    wrapped(ValueError("Unknown error: Failed to launch worker thread: Resource temporarily …")),
    BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"),
]


@pytest.mark.parametrize("error", NO_THREAD)
def test_a_thread_that_can_not_be_had_is_for_another_time(error: Exception) -> None:
    ours = as_ours(error, "a.csv")
    assert (ours.exit_code, str(ours)[:60]) == (
        75,
        "a.csv: no thread or process could be started: the limit of t",
    )


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
def test_a_file_that_can_not_be_opened_for_too_many_others_is_no_fault_of_it(number: int) -> None:
    for error in (OSError(number, "Too many"), wrapped(OSError(number, "Too many"))):
        ours = as_ours(error, "a.csv")
        assert (ours.exit_code, "the limit on open files" in str(ours)) == (74, True)


def test_memory_that_is_not_there_is_memory_whoever_reports_it() -> None:
    for error in (MemoryError(), OSError(errno.ENOMEM, "Cannot allocate memory")):
        ours = as_ours(error, "a.csv")
        assert (ours.exit_code, "a.csv: out of memory" in str(ours)) == (70, True)


def test_what_is_busy_or_interrupted_stays_what_it_is() -> None:
    busy = TryAgainError("another run is writing it")
    busy.__cause__ = BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
    for error in (busy, InterruptedRunError(15)):
        assert as_ours(error) is error


def test_a_bundle_error_gets_the_name_of_its_file_and_no_other_error_does() -> None:
    with pytest.raises(BundleError, match=r"^a\.bundle: is damaged$"), naming("a.bundle"):
        raise BundleError("is damaged")
    with pytest.raises(OutputError, match="^exists$"), naming("a.bundle"):
        raise OutputError("exists")


def test_nothing_says_to_install_batchdigits_from_an_index() -> None:
    """It is on none: there the name could be anybody's."""
    for path in (*PACKAGE.rglob("*.py"), *ROOT.glob("docs/**/*.md"), ROOT / "README.md"):
        assert not re.search(r"pip install (-\S+ )*'?batchdigits", path.read_text("utf-8")), path
