"""Rules for every test: no settings from outside, no deadline, TensorFlow in one process alone."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

from batchdigits.cpus import available_workers

HERE = Path(__file__).parent
# Rooms whose tests run TensorFlow. It takes seconds to import, so with -n they share a process.
TENSORFLOW = [HERE / room for room in ("engines/keras", "packing", "training")]
# These fork hundreds of times, which is slow in a process as large as TensorFlow makes it.
FORKS = [HERE / "files" / "test_commit_crashes.py"]

# A busy machine can miss any deadline.
settings.register_profile("batchdigits", deadline=None)
settings.load_profile("batchdigits")


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("BATCHDIGITS_") and not name.startswith("BATCHDIGITS_AIRFLOW"):
            monkeypatch.delenv(name)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests that should share a process into one group of pytest-xdist."""
    for name, paths in (("tensorflow", TENSORFLOW), ("forks", FORKS)):
        for item in items:
            if any(item.path.is_relative_to(path) for path in paths):
                item.add_marker(pytest.mark.xdist_group(name))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Return the workers for `-n auto`: the CPUs that we may use, hyper-threads included."""
    return available_workers()
