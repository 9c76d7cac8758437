"""The CPUs that this process may use, by its affinity and the quota of its cgroup."""

from __future__ import annotations

import os
from pathlib import Path


def available_workers() -> int:
    """Count the CPUs that affinity and the cgroup's quota allow, at least 1."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    quota = _cgroup_quota()
    return max(1, min(affinity or 1, quota or affinity or 1))


def _cgroup_quota(root: Path = Path("/")) -> int | None:
    """Return the whole CPUs that the tightest cgroup of this process allows; None for all.

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
            quotas += [_v2_quota(path) for path in (group, *group.parents) if path >= mounted]
    limits = [quota for quota in quotas if quota is not None]
    return max(1, int(min(limits))) if limits else None


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
