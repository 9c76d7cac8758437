"""Threads keep order and memory bounded, and an error arrives where its result would."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from batchdigits.threads import (
    BLOCKS_IN_FLIGHT,
    PREFETCHED,
    WAITING_CALLS,
    BackgroundWriter,
    Publish,
    Publisher,
    in_order,
    prefetch,
    require_threads,
)


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_results_keep_the_order_of_the_blocks(workers: int) -> None:
    def work(number: int) -> int:
        time.sleep(0.002 * (number % 3))
        return number * number

    assert list(in_order(range(40), work, workers)) == [n * n for n in range(40)]


@pytest.mark.parametrize("workers", [1, 3])
def test_a_bounded_number_of_blocks_is_read_ahead(workers: int) -> None:
    """A slow consumer holds the reader back: memory does not grow with the input."""
    drawn = 0

    def blocks() -> Iterator[int]:
        nonlocal drawn
        for number in range(1000):
            drawn += 1
            yield number

    for taken, _ in enumerate(in_order(blocks(), lambda number: number, workers), 1):
        assert drawn - taken <= BLOCKS_IN_FLIGHT * workers + 1


def test_an_error_comes_after_the_results_before_it() -> None:
    def work(number: int) -> int:
        if number == 7:
            raise ZeroDivisionError("block 7")
        return number

    results = in_order(range(50), work, 2)
    assert [next(results) for _ in range(7)] == list(range(7))
    with pytest.raises(ZeroDivisionError, match="block 7"):
        next(results)


def test_closing_early_leaves_no_thread_behind() -> None:
    before = threading.active_count()
    results = in_order(range(1000), lambda number: number, 3)
    assert next(results) == 0
    results.close()
    assert threading.active_count() == before


@pytest.mark.parametrize("workers", [1, 2])
def test_background_calls_keep_their_order(workers: int) -> None:
    made: list[int] = []
    writer = BackgroundWriter(workers)
    for number in range(100):
        writer.call(made.append, number)
    writer.wait()
    writer.stop()
    assert made == list(range(100))


def test_a_bounded_number_of_calls_waits() -> None:
    """The first call blocks all others, and soon the caller too: memory does not fill."""
    go_on = threading.Event()
    taken: list[int] = []

    def slow(number: int) -> None:
        go_on.wait(30)
        assert len(taken) - number <= WAITING_CALLS + 2

    def caller() -> None:
        for number in range(50):
            writer.call(slow, number)
            taken.append(number)

    writer = BackgroundWriter(2)
    thread = threading.Thread(target=caller)
    thread.start()
    while len(taken) < WAITING_CALLS:
        time.sleep(0.001)
    go_on.set()
    thread.join()
    writer.wait()
    writer.stop()
    assert len(taken) == 50


def test_after_a_failed_call_no_more_are_made() -> None:
    made: list[int] = []

    def call(number: int) -> None:
        if number == 3:
            raise ZeroDivisionError("call 3")
        made.append(number)

    writer = BackgroundWriter(2)
    with pytest.raises(ZeroDivisionError, match="call 3"):  # noqa: PT012  # at any later call
        for number in range(20):
            writer.call(call, number)
        writer.wait()
    writer.stop()
    assert made == [0, 1, 2]


def test_prefetched_items_keep_their_order() -> None:
    assert list(prefetch(iter(range(100)))) == list(range(100))
    assert list(prefetch(iter([]))) == []


def test_another_thread_reads_a_bounded_number_of_items_ahead() -> None:
    read: list[int] = []
    threads = set()
    enough = threading.Event()

    def items() -> Iterator[int]:
        for i in range(20):
            threads.add(threading.current_thread())
            read.append(i)
            if len(read) == PREFETCHED + 1:
                enough.set()
            yield i

    ahead = prefetch(items())
    assert next(ahead) == 0
    assert enough.wait(10), "not read ahead"
    assert len(read) == PREFETCHED + 1, "more than that was read"
    ahead.close()
    assert threading.current_thread() not in threads
    assert len(threads) == 1


def test_an_error_of_a_prefetched_item_comes_after_the_items_before_it() -> None:
    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise OSError(5, "damaged")

    ahead = prefetch(items())
    assert [next(ahead), next(ahead)] == [1, 2]
    with pytest.raises(OSError, match="damaged"):
        next(ahead)


def test_closing_a_prefetch_leaves_no_thread() -> None:
    before = threading.active_count()
    ahead = prefetch(iter(range(1000)))
    next(ahead)
    ahead.close()
    assert threading.active_count() == before


def test_threads_that_are_required_are_started_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some of them are not enough; those that were started end."""
    require_threads(8)
    started: list[threading.Thread] = []
    really = threading.Thread.start

    def start(thread: threading.Thread) -> None:
        if len(started) == 5:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        really(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        require_threads(8)
    for thread in started:
        thread.join(timeout=10)
    assert (len(started), any(thread.is_alive() for thread in started)) == (5, False)


def record(done: list[str], name: str) -> Callable[[Publish], None]:
    """Note what comes of publishing a file."""

    def take(published: Publish) -> None:
        try:
            published()
        except OSError as error:
            done.append(f"{name} failed: {error}")
        else:
            done.append(name)

    return take


def test_the_caller_goes_on_while_a_file_is_published() -> None:
    may_end = threading.Event()
    done: list[str] = []
    with closing(Publisher()) as publisher:
        publisher.begin(lambda: done.append(f"may end: {may_end.wait(10)}"), record(done, "a"))
        assert done == []
        may_end.set()
        publisher.settle()
        publisher.settle()
    assert done == ["may end: True", "a"], "a result is taken once"


def test_a_file_is_published_after_the_one_before_it_is_settled() -> None:
    done: list[str] = []

    def fail() -> None:
        raise OSError("full")

    with closing(Publisher()) as publisher:
        publisher.begin(fail, record(done, "a"))
        publisher.begin(lambda: done.append("b begins"), record(done, "b"))
        publisher.settle()
    assert done == ["a failed: full", "b begins", "b"]


def test_leaving_waits_for_what_is_being_published() -> None:
    """A signal ends the scoring of the next file; the commit before it is completed."""
    published: list[str] = []
    begun, may_end = threading.Event(), threading.Event()

    def publish() -> None:
        begun.set()
        assert may_end.wait(10)
        published.append("a")

    publisher = Publisher()
    publisher.begin(publish, record([], "a"))
    assert begun.wait(10)
    threading.Timer(0.05, may_end.set).start()
    publisher.close()
    assert published == ["a"]


@pytest.mark.parametrize("workers", [1, None])
def test_without_another_thread_the_caller_publishes(
    workers: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    done: list[str] = []
    with closing(Publisher(workers)) as publisher:
        publisher.begin(lambda: done.append(threading.current_thread().name), record(done, "a"))
    assert done == [threading.main_thread().name, "a"]
