"""Threads that keep the order: workers, a prefetching reader, a background writer, a publisher."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from threading import Barrier
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

BlockT = TypeVar("BlockT")
ResultT = TypeVar("ResultT")
ItemT = TypeVar("ItemT")

BLOCKS_IN_FLIGHT = 2
"""Blocks for each worker that may wait for the writer: enough to keep the workers busy."""

PREFETCHED = 3
"""Items that are read ahead: enough to bridge the consumer's other work."""

WAITING_CALLS = 4
"""Calls that may wait for the background writer: enough to bridge the writing of a row group."""


def in_order(
    blocks: Iterable[BlockT], work: Callable[[BlockT], ResultT], workers: int
) -> Generator[ResultT, None, None]:
    """Yield the results of `work` in the order of `blocks`, computed by `workers` threads.

    The caller's thread reads the blocks, a bounded number ahead. An error in `work` is raised after
    the results of the blocks before it. With one worker there is no other thread.
    """
    if workers == 1:
        yield from map(work, blocks)
        return
    with _pool(workers, "worker") as pool:
        waiting: deque[Future[ResultT]] = deque()
        try:
            for block in blocks:
                waiting.append(pool.submit(work, block))
                if len(waiting) > BLOCKS_IN_FLIGHT * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def prefetch(items: Iterator[ItemT]) -> Generator[ItemT, None, None]:
    """Yield the items, which a thread reads up to three ahead from this call on.

    No item may be None. An error is raised after the items before it. Closing waits for the item
    that is being read.
    """
    reading = _prefetched(items)
    next(reading)  # a generator begins only when it is asked
    return reading


def _prefetched(items: Iterator[ItemT]) -> Generator[Any, None, None]:
    with _pool(1, "prefetch") as pool:
        waiting: deque[Future[ItemT | None]] = deque()
        try:
            for _ in range(PREFETCHED):
                waiting.append(pool.submit(next, items, None))
            yield None
            while (item := waiting.popleft().result()) is not None:
                waiting.append(pool.submit(next, items, None))
                yield item
        finally:
            for future in waiting:
                future.cancel()


class BackgroundWriter:
    """A thread that makes calls in their order, a bounded number behind the caller.

    With one worker the caller makes them itself. After a call that raised, no more are made.
    """

    def __init__(self, workers: int) -> None:
        self._waiting: deque[Future[None]] = deque()
        self._failed = False
        self._pool = _pool(1, "writer") if workers > 1 else None

    def call(self, function: Callable[[Any], None], value: Any) -> None:
        """Call `function(value)` soon. Raises the error of an earlier call."""
        if self._pool is None:
            function(value)
            return
        if len(self._waiting) >= WAITING_CALLS:
            self._waiting.popleft().result()
        self._waiting.append(self._pool.submit(self._call, function, value))

    def wait(self) -> None:
        """Wait for all calls. Raises the error of one of them."""
        while self._waiting:
            self._waiting.popleft().result()

    def stop(self) -> None:
        """Wait for the current call, and make no more."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def _call(self, function: Callable[[Any], None], value: Any) -> None:
        if self._failed:
            return
        try:
            function(value)
        except BaseException:
            self._failed = True
            raise


Publish = Callable[[], None]
"""Publishes one input file; it may be called in another thread."""


class Publisher:
    """A thread that publishes input files in their order, one at a time.

    Publishing waits for the disk most of the time, and scoring does not. The results are taken in
    the caller's thread, so that messages and totals keep the order of the input files. Where no
    thread can be started, or `workers` is 1, the caller publishes.
    """

    def __init__(self, workers: int | None = None) -> None:
        self._workers = workers
        self._thread: ThreadPoolExecutor | None = None
        self._pending: Callable[[], None] | None = None

    def begin(self, publish: Publish, take: Callable[[Publish], None]) -> None:
        """Start `publish`, once the input file before it is settled.

        `settle` calls `take` with a function that waits for it and raises what it raised.
        """
        self.settle()
        if self._thread is None and self._workers != 1:
            self._thread = _started()
        if self._thread is None:
            take(publish)
            return
        result = self._thread.submit(publish).result
        self._pending = lambda: take(result)

    def settle(self) -> None:
        """Wait for the input file that is being published, if there is one, and take its result."""
        pending, self._pending = self._pending, None
        if pending is not None:
            pending()

    def close(self) -> None:
        """Wait until nothing is being published: half of it must never be left to an exit."""
        if self._thread is not None:
            self._thread.shutdown()


def _started() -> ThreadPoolExecutor | None:
    """Start the thread; None if that is not possible now."""
    thread = _pool(1, "publisher")
    try:
        thread.submit(int).result()
    except RuntimeError:
        return None
    return thread


def require_threads(count: int) -> None:
    """Raise RuntimeError, as starting a thread does, unless `count` threads can be started now.

    A library in C that gets only some of its threads may wait for ever, or crash.
    """
    with _pool(count, "together") as pool:
        together = Barrier(count)
        try:
            for _ in range(count):
                pool.submit(together.wait)
        except RuntimeError:
            together.abort()
            raise


def _pool(threads: int, name: str) -> ThreadPoolExecutor:
    from concurrent.futures import ThreadPoolExecutor  # a run of one small file needs none

    return ThreadPoolExecutor(threads, name)
