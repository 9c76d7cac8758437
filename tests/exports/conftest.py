"""MLflow lives in an environment of its own."""

from __future__ import annotations

import os

import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the MLflow tests out where there is no MLflow, whatever `-m` asks for."""
    if "MLFLOW_PYTHON" in os.environ:
        return
    left_out = [item for item in items if item.get_closest_marker("mlflow")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]
