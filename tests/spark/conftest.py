"""A real standalone cluster of Spark on loopback: a master and two workers, one core each."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from spark_cluster import Cluster, make_session


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests on a cluster where there is no Spark, even if `-m` asks for them."""
    if importlib.util.find_spec("pyspark") and shutil.which("java"):
        return
    left_out = [item for item in items if item.get_closest_marker("spark")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The cluster, started once; none of its processes is left behind."""
    os.environ.pop("SPARK_REMOTE", None)
    with Cluster.started(tmp_path_factory.mktemp("cluster")) as started:
        yield started


@pytest.fixture(scope="session")
def spark(cluster: Cluster) -> Iterator[Any]:
    """A classic session on the cluster."""
    session = make_session(cluster)
    yield session
    session.stop()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that driver and workers share."""
    return tmp_path
