"""The number of workers follows the CPUs that the machine grants."""

import os
from pathlib import Path

import pytest

from batchdigits.cpus import _cgroup_quota, available_workers


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize(
    ("files", "workers"),
    [
        ({}, None),
        ({"unit.slice/job.service/cpu.max": "150000 100000"}, 1),
        (
            {"unit.slice/job.service/cpu.max": "max 100000", "unit.slice/cpu.max": "300000 100000"},
            3,
        ),
        ({"unit.slice/job.service/cpu.max": "50000 100000"}, 1),
        ({"cpu.max": "200000 100000"}, 2),
        ({"other.slice/cpu.max": "100000 100000"}, None),
        ({"cpu/cpu.cfs_quota_us": "400000", "cpu/cpu.cfs_period_us": "100000"}, 4),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
    ],
)
def test_the_tightest_quota_of_the_groups_above_counts(
    tmp_path: Path, files: dict[str, str], workers: int | None
) -> None:
    """The service manager puts a quota on some group, seldom on the root."""
    write(tmp_path / "proc/self/cgroup", "0::/unit.slice/job.service\n")
    for name, text in files.items():
        write(tmp_path / "sys/fs/cgroup" / name, text)
    assert _cgroup_quota(tmp_path) == workers


def test_affinity_bounds_the_workers() -> None:
    assert 1 <= available_workers() <= len(os.sched_getaffinity(0))
