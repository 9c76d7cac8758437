"""How many workers this process may keep busy, and the ordered pipeline they run in."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

BlockT = TypeVar("BlockT")
ResultT = TypeVar("ResultT")

BLOCKS_IN_FLIGHT = 2
"""Blocks a worker may be ahead of the writer: enough to keep it busy, and memory bounded."""


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


def _cgroup_quota() -> int | None:
    """Whole CPUs that the cgroup's quota grants, by cgroup v2 (cpu.max) or v1 (cfs_quota_us)."""
    root = Path("/sys/fs/cgroup")
    try:
        quota, period = (root / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota = (root / "cpu/cpu.cfs_quota_us").read_text()
            period = (root / "cpu/cpu.cfs_period_us").read_text()
        except OSError:
            return None
    if quota.strip() in ("max", "-1"):
        return None
    return max(1, int(quota) // int(period))
