"""The pipeline keeps order and memory bounded, and an error arrives where its result would."""

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from batchdigits.cpus import _cgroup_quota, available_workers
from batchdigits.threads import BLOCKS_IN_FLIGHT, CALLS_BEHIND, Behind, in_order


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_results_keep_the_order_of_the_blocks(workers: int) -> None:
    def work(number: int) -> int:
        time.sleep(0.002 * (number % 3))
        return number * number

    assert list(in_order(range(40), work, workers)) == [n * n for n in range(40)]


@pytest.mark.parametrize("workers", [1, 3])
def test_blocks_are_drawn_a_bounded_number_ahead(workers: int) -> None:
    """Whoever consumes slowly holds the reader back: memory does not grow with the input."""
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
def test_calls_behind_keep_their_order(workers: int) -> None:
    made: list[int] = []
    behind = Behind(workers)
    for number in range(100):
        behind.call(made.append, number)
    behind.wait()
    behind.stop()
    assert made == list(range(100))


def test_a_bounded_number_of_calls_waits() -> None:
    """The first call holds all others up, and soon the caller too: memory does not fill."""
    go_on = threading.Event()
    taken: list[int] = []

    def slow(number: int) -> None:
        go_on.wait(30)
        assert len(taken) - number <= CALLS_BEHIND + 2

    def caller() -> None:
        for number in range(50):
            behind.call(slow, number)
            taken.append(number)

    behind = Behind(2)
    thread = threading.Thread(target=caller)
    thread.start()
    while len(taken) < CALLS_BEHIND:
        time.sleep(0.001)
    go_on.set()
    thread.join()
    behind.wait()
    behind.stop()
    assert len(taken) == 50


def test_after_a_call_that_failed_none_is_made() -> None:
    made: list[int] = []

    def call(number: int) -> None:
        if number == 3:
            raise ZeroDivisionError("call 3")
        made.append(number)

    behind = Behind(2)
    with pytest.raises(ZeroDivisionError, match="call 3"):  # noqa: PT012  # at any later call
        for number in range(20):
            behind.call(call, number)
        behind.wait()
    behind.stop()
    assert made == [0, 1, 2]


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
    """A quota stands where the service manager put it, seldom at the root."""
    write(tmp_path / "proc/self/cgroup", "0::/unit.slice/job.service\n")
    for name, text in files.items():
        write(tmp_path / "sys/fs/cgroup" / name, text)
    assert _cgroup_quota(tmp_path) == workers


def test_affinity_bounds_the_workers() -> None:
    assert 1 <= available_workers() <= len(os.sched_getaffinity(0))
