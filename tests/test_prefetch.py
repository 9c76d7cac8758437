from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from batchdigits.threads import AHEAD, drawn_ahead


def test_items_come_in_their_order() -> None:
    assert list(drawn_ahead(iter(range(100)))) == list(range(100))
    assert list(drawn_ahead(iter([]))) == []


def test_another_thread_draws_so_many_ahead() -> None:
    drawn: list[int] = []
    threads = set()
    enough = threading.Event()

    def items() -> Iterator[int]:
        for i in range(20):
            threads.add(threading.current_thread())
            drawn.append(i)
            if len(drawn) == AHEAD + 1:
                enough.set()
            yield i

    found = drawn_ahead(items())
    assert next(found) == 0
    assert enough.wait(10), "drawn without being asked for"
    assert len(drawn) == AHEAD + 1, "and no more than that"
    found.close()
    assert threading.current_thread() not in threads
    assert len(threads) == 1


def test_an_error_is_raised_in_its_turn() -> None:
    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise OSError(5, "damaged")

    found = drawn_ahead(items())
    assert [next(found), next(found)] == [1, 2]
    with pytest.raises(OSError, match="damaged"):
        next(found)


def test_closing_it_leaves_no_thread() -> None:
    before = threading.active_count()
    found = drawn_ahead(iter(range(1000)))
    next(found)
    found.close()
    assert threading.active_count() == before
