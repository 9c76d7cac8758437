"""Hooks in the Python workers of a cluster: note each engine, flip a bit of a bundle on its way.

Nothing is done in a process that does not import batchdigits.
"""

from __future__ import annotations

import importlib.abc
import importlib.util
import os
import sys
from typing import Any


def _note_engines(module: Any) -> None:
    """Write the process's id for each engine that is opened."""
    inner = module.open_checked

    def noting(*args: Any) -> Any:
        with open(os.environ["ENGINES_OPENED"], "a") as file:  # noqa: PTH123  # no import of pathlib
            file.write(f"{os.getpid()}\n")
        return inner(*args)

    module.open_checked = noting


def _flip_a_bit(module: Any) -> None:
    """Change a byte of each bundle that another process sent."""
    inner = module._unpickled

    def flipping(path: Any, data: bytes, *others: Any) -> Any:
        middle = len(data) // 2
        changed = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
        return inner(path, changed, *others)

    flipping.__qualname__ = flipping.__name__ = "_unpickled"
    module._unpickled = flipping


_HOOKS = {}
if "ENGINES_OPENED" in os.environ:
    _HOOKS["batchdigits.engines.open"] = _note_engines
if "FLIP_A_BIT" in os.environ:
    _HOOKS["batchdigits.archive.bundle_file"] = _flip_a_bit


class _Finder(importlib.abc.MetaPathFinder):
    """Runs a hook after a module was loaded by the usual way."""

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
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
