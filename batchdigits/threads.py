"""Threads that keep the order: a pool of workers, a reader ahead of it, a writer behind it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

BlockT = TypeVar("BlockT")
ResultT = TypeVar("ResultT")
ItemT = TypeVar("ItemT")

BLOCKS_IN_FLIGHT = 2
"""Blocks a worker may be ahead of the writer: enough to keep it busy, and memory bounded."""

AHEAD = 3
"""Items that are drawn before they are asked for: enough to bridge what else the asker does."""

CALLS_BEHIND = 4
"""Calls that may wait for the thread behind: enough to bridge the writing of a row group."""


def in_order(
    blocks: Iterable[BlockT], work: Callable[[BlockT], ResultT], workers: int
) -> Generator[ResultT, None, None]:
    """The results of `work` in the order of `blocks`, computed by `workers` threads.

    Blocks are drawn in the caller's thread, a bounded number ahead. An error in `work` is raised
    where its result would have stood. With one worker nothing runs beside the caller.
    """
    if workers == 1:
        yield from map(work, blocks)
        return
    with ThreadPoolExecutor(workers, thread_name_prefix="worker") as pool:
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


def drawn_ahead(items: Iterator[ItemT]) -> Generator[ItemT, None, None]:
    """The items as they are, none of which is None. What drawing one raises, its turn raises.

    Closing it waits for the item that is being drawn, and draws no more.
    """
    with ThreadPoolExecutor(1, "ahead") as pool:
        waiting: deque[Future[ItemT | None]] = deque()
        try:
            for _ in range(AHEAD):
                waiting.append(pool.submit(next, items, None))
            while (item := waiting.popleft().result()) is not None:
                waiting.append(pool.submit(next, items, None))
                yield item
        finally:
            for future in waiting:
                future.cancel()


class Behind:
    """Calls made in their order by a thread of its own, a bounded number behind the caller.

    With one worker the caller makes them itself. After a call that raised, none is made.
    """

    def __init__(self, workers: int) -> None:
        self._waiting: deque[Future[None]] = deque()
        self._failed = False
        self._pool = ThreadPoolExecutor(1, "behind") if workers > 1 else None

    def call(self, function: Callable[[Any], None], value: Any) -> None:
        """Call `function(value)`, soon. Raises what an earlier call raised."""
        if self._pool is None:
            function(value)
            return
        if len(self._waiting) >= CALLS_BEHIND:
            self._waiting.popleft().result()
        self._waiting.append(self._pool.submit(self._call, function, value))

    def wait(self) -> None:
        """Wait for all calls. Raises what one of them raised."""
        while self._waiting:
            self._waiting.popleft().result()

    def stop(self) -> None:
        """Wait for the call at hand, and make no more."""
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
