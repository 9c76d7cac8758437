"""Worker processes that keep the order, for work that threads can't share: many small arrays."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from batchdigits.errors import InternalError
from batchdigits.threads import BLOCKS_IN_FLIGHT

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


def in_processes(
    items: Iterable[ItemT], work: Callable[[ItemT], ResultT], workers: int
) -> Generator[ResultT, None, None]:
    """Yield the results of `work` in the order of `items`, computed by `workers` processes.

    `work` is a function of a module, or a partial of one, that pickles with its items and results.
    A bounded number of items is in work at a time. An error in `work` is raised after the results
    of the items before it. With one worker there is no other process. Raises InternalError if a
    process was killed, as the system does with the largest when memory runs out.
    """
    if workers == 1:
        yield from map(work, items)
        return
    context = multiprocessing.get_context("spawn")  # a fork would copy threads' locks
    waiting: deque[Future[ResultT]] = deque()
    with ProcessPoolExecutor(workers, context, initializer=_start) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > BLOCKS_IN_FLIGHT * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool as error:
            raise InternalError(
                "a worker process was killed, nothing was published; give the run more memory or "
                "fewer --workers"
            ) from error
        finally:
            for future in waiting:
                future.cancel()


def _start() -> None:
    """Leave signals to the parent process, and end with it even if it is killed."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
