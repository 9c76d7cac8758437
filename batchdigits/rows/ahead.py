"""What is drawn by a thread of its own, before it is asked for."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

ItemT = TypeVar("ItemT")

AHEAD = 3
"""Items that are drawn before they are asked for: enough to bridge what else the asker does."""


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
