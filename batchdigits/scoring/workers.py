"""How many workers this process may keep busy, the ordered pipeline they run in, and behind it."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

BlockT = TypeVar("BlockT")
ResultT = TypeVar("ResultT")

BLOCKS_IN_FLIGHT = 2
"""Blocks a worker may be ahead of the writer: enough to keep it busy, and memory bounded."""


CALLS_BEHIND = 4
"""Calls that may wait for the thread behind: enough to bridge the writing of a row group."""


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


def available_workers() -> int:
    """The CPUs that affinity and the cgroup's quota allow, at least 1."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    quota = _cgroup_quota()
    return max(1, min(affinity or 1, quota or affinity or 1))


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


def _cgroup_quota(root: Path = Path("/")) -> int | None:
    """Whole CPUs that the cgroups of this process grant it, the tightest of them; None for all.

    cgroup v2: `cpu.max` of the group and of every group above it; v1: `cpu.cfs_quota_us`.
    """
    mounted = root / "sys/fs/cgroup"
    quotas = [_v1_quota(mounted / "cpu")]
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        if line.startswith("0::"):
            group = mounted / line.removeprefix("0::/")
            quotas += [_v2_quota(one) for one in (group, *group.parents) if one >= mounted]
    found = [quota for quota in quotas if quota is not None]
    return max(1, int(min(found))) if found else None


def _v2_quota(group: Path) -> float | None:
    try:
        quota, period = (group / "cpu.max").read_text().split()
    except (OSError, ValueError):
        return None
    return None if quota == "max" else int(quota) / int(period)


def _v1_quota(group: Path) -> float | None:
    try:
        quota = int((group / "cpu.cfs_quota_us").read_text())
        period = int((group / "cpu.cfs_period_us").read_text())
    except (OSError, ValueError):
        return None
    return None if quota < 0 else quota / period
