"""Fits side by side, a thread for each: a network this small keeps one core busy, not two."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event, local
from typing import TypeVar

from batchdigits.cpus import available_workers
from batchdigits.training.settings import Settings

MOST = 4
"""The most fits side by side. Each holds some eight arrays of rows and copies, 51 MB at most."""

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


class Stopped(Exception):  # noqa: N818  (no error: nobody waits for the result)
    """The end of a fit whose result nobody will read."""


class _Here(local):
    """Per thread: the event that ends its fits; None outside of the threads of `side_by_side`."""

    stopped: Event | None = None


_here = _Here()


def side_by_side(
    fit_one: Callable[[ItemT], ResultT], items: Sequence[ItemT], settings: Settings
) -> Generator[ResultT, None, None]:
    """Yield `fit_one(item)` of each item in their order; all cores work on them, up to four.

    Results are the same for any number of cores. A fit inside a fit stays in its thread, and the
    article's recipe, whose steps draw from the generator of the whole process, runs one at a time.
    If the consumer stops, running fits end with their epoch.
    """
    one_thread = _here.stopped is not None or settings.recipe == "article"
    workers = 1 if one_thread else min(available_workers(), len(items), MOST)
    if workers <= 1:
        yield from map(fit_one, items)
        return
    stopped = Event()

    def work(item: ItemT) -> ResultT:
        _here.stopped = stopped
        raise_if_stopped()
        return fit_one(item)

    with ThreadPoolExecutor(workers, "fit") as pool:
        fits = [pool.submit(work, item) for item in items]
        try:
            for fitted in fits:
                yield fitted.result()
        finally:
            stopped.set()
            for waiting in fits:
                waiting.cancel()


def raise_if_stopped() -> None:
    """Raise Stopped in a thread of `side_by_side` whose consumer has stopped."""
    if _here.stopped is not None and _here.stopped.is_set():
        raise Stopped
