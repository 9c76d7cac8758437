"""Fixtures of the fault tests, and the rule that tests for root and strace always run somewhere.

An ordinary run skips those tests and reports it. `.ci/faults` sets FAULTS_FOR_REAL: they then run,
and one that can't is an error.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "support"))

from fault_csv import ScoredCsv, score_csv
from fault_runs import Job, Outcome, undisturbed

FOR_REAL = bool(os.environ.get("FAULTS_FOR_REAL"))
NEEDED = {
    "root": ("needs root", lambda: os.geteuid() == 0),
    "strace": ("needs strace", lambda: shutil.which("strace") is not None),
}


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip tests for root or strace in ordinary runs; fail if they are wanted and can't run."""
    for name, (needs, is_there) in NEEDED.items():
        if item.get_closest_marker(name) is None:
            continue
        if not FOR_REAL:
            pytest.skip(f"{needs}: .ci/faults runs it")
        if not is_there():
            pytest.fail(f"{needs}, and FAULTS_FOR_REAL is set")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail if FAULTS_FOR_REAL is set and a test was skipped."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if FOR_REAL and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture
def score(tmp_path: Path) -> Callable[..., ScoredCsv]:
    """Return a function that scores bytes as a file of that name, and checks that counts add up."""
    count = 0

    def scored(name: str, data: bytes, *flags: str) -> ScoredCsv:
        nonlocal count
        count += 1
        folder = tmp_path / str(count)
        folder.mkdir()
        return score_csv(folder, name, data, *flags)

    return scored


@pytest.fixture(scope="session")
def clean(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """Return the prediction rows of a hundred undamaged rows, by their id."""
    from fault_csv import clean_rows

    return clean_rows(tmp_path_factory.mktemp("clean"), 100)


@pytest.fixture
def after(job: Job, tmp_path: Path) -> Outcome:
    """Return the outcome of the job when nothing disturbs it."""
    return undisturbed(job, tmp_path / "undisturbed")
