"""Rules for every test: no settings from outside, no deadline, TensorFlow in one process alone."""

import os
import signal
from typing import Any

import pytest
from hypothesis import settings

from batchdigits.cpus import available_workers

# Tests that import ONNX Runtime themselves report nothing to its vendor either.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

# A busy machine can miss any deadline. The examples are the same each time: one that is found by
# chance must not fail somebody else's change. `--hypothesis-profile search` looks for others.
settings.register_profile("batchdigits", deadline=None, derandomize=True)
settings.register_profile("search", deadline=None, max_examples=2000)
settings.load_profile("batchdigits")

# A shell ignores SIGINT in what it starts with `&`, and children inherit that: the tests that
# interrupt a command would wait for nothing.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("BATCHDIGITS_") and not name.startswith("BATCHDIGITS_AIRFLOW"):
            monkeypatch.delenv(name)


def process_of(test: str) -> str:
    """Tests for which this is equal run in one process, where pytest-xdist has several."""
    if test.startswith("tests/pins"):
        return "what the commands do now is recorded once"
    frameworks = (
        "tests/training",
        "tests/packing",
        "tests/test_train",
        "tests/bundles/test_import",
    )
    if test.startswith((*frameworks, "tests/docs/test_import")) or "keras" in test:
        return "TensorFlow takes seconds to import"
    if test.startswith("tests/files/test_commit_crashes.py"):
        return "a fork is slow in a process as large as TensorFlow makes it"
    return test


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Schedule by `process_of`: --dist=loadgroup groups nothing with pytest 9.2."""
    from xdist.scheduler import LoadScopeScheduling

    class ByProcess(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return process_of(nodeid)

    return ByProcess(config, log)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Return the workers for `-n auto`: the CPUs that we may use, hyper-threads included."""
    return available_workers()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests whose browser or server no stage of .ci names, even if `-m` asks."""
    absent = {"browser": "CHROMIUM", "cloud": "SEAWEEDFS"}
    marks = [mark for mark, variable in absent.items() if variable not in os.environ]
    left_out = [item for item in items if any(map(item.get_closest_marker, marks))]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]
