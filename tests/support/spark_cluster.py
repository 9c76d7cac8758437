"""The cluster of the benchmark, for the tests."""

import sys

from paths import ROOT

sys.path.append(str(ROOT / "benchmarks"))

from support.spark_cluster import Cluster, make_session

__all__ = ["Cluster", "make_session"]
