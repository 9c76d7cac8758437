"""Worker processes that keep the order."""

import os
from functools import partial

import pytest

from batchdigits.errors import InternalError
from batchdigits.forms.workers import in_processes


def test_one_worker_is_this_process() -> None:
    assert list(in_processes(range(3), lambda _: os.getpid(), 1)) == [os.getpid()] * 3


def test_results_come_in_order_and_errors_after_those_before() -> None:
    """Divisions in two processes, the last one by zero."""
    got = []
    with pytest.raises(ZeroDivisionError):
        got.extend(in_processes([*range(20, 0, -1), 0, 7], partial(divmod, 60), 2))
    assert got == [divmod(60, number) for number in range(20, 0, -1)]


def test_a_killed_worker_is_one_line() -> None:
    with pytest.raises(InternalError, match="a worker process was killed, nothing was published"):
        list(in_processes([9], partial(os._exit), 2))
