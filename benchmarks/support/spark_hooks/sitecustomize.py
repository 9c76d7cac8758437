"""Hooks in the Python workers of a cluster: note each engine, flip a bit of a bundle, fail tasks.

Nothing is done in a process that does not import batchdigits.
"""

from __future__ import annotations

import importlib.abc
import importlib.util
import os
import sys
import time
from typing import Any


def _note(text: str) -> None:
    with open(os.environ["NOTES"], "a") as file:  # noqa: PTH123  # no import of pathlib
        file.write(f"{text}\n")


def _note_engines(module: Any) -> None:
    """Write the process's id for each engine that is opened."""
    inner = module.open_checked

    def noting(*args: Any) -> Any:
        _note(f"{os.getpid()}")
        return inner(*args)

    module.open_checked = noting


def _flip_a_bit(module: Any) -> None:
    """Change a byte of each bundle that another process sent."""
    inner = module._unpickled  # noqa: SLF001  # it is there to be damaged

    def flipping(path: Any, data: bytes, *others: Any) -> Any:
        middle = len(data) // 2
        changed = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
        return inner(path, changed, *others)

    flipping.__qualname__ = flipping.__name__ = "_unpickled"
    module._unpickled = flipping  # noqa: SLF001


def _fail_tasks(module: Any) -> None:
    """Fail the first attempt of some partitions in their midst, and let another sleep."""
    inner = module.Work.batches
    failing, sleeping, seconds = os.environ["FAIL_TASKS"].split(";")

    def batches(work: Any, stream: Any) -> Any:
        from pyspark import TaskContext

        task = TaskContext.get()
        first = task is not None and task.attemptNumber() == 0
        number = str(task.partitionId()) if task is not None and first else ""
        if number in sleeping.split(","):
            _note(f"{number} sleeps")
            time.sleep(float(seconds))
        for batch in inner(work, stream):
            yield batch
            if number in failing.split(","):
                _note(f"{number} fails")
                raise RuntimeError("this attempt fails on purpose")

    module.Work.batches = batches


_HOOKS = {}
if "FAIL_TASKS" in os.environ:
    _HOOKS["batchdigits.spark.rows"] = _fail_tasks
if "NOTES" in os.environ:
    _HOOKS["batchdigits.engines.open"] = _note_engines
if "FLIP_A_BIT" in os.environ:
    _HOOKS["batchdigits.archive.bundle_file"] = _flip_a_bit


class _Finder(importlib.abc.MetaPathFinder):
    """Runs a hook after a module was loaded by the usual way."""

    def find_spec(self, name: str, *_others: Any) -> Any:
        hook = _HOOKS.pop(name, None)
        if hook is None:
            return None
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            inner = spec.loader.exec_module

            def load(module: Any) -> None:
                inner(module)
                hook(module)

            spec.loader.exec_module = load  # type: ignore[method-assign]
        return spec


if _HOOKS:
    sys.meta_path.insert(0, _Finder())
