"""Scoring on Spark: rows of a DataFrame, or files shared out among tasks.

>>> from batchdigits import spark
>>> scored = spark.score(df, "digits@production")  # a lazy DataFrame
>>> receipt = spark.write(scored, "/shared/scored")

Rows flow through the scoring function of `Bundle.score_batches` in the Python workers of the
executors; `write` publishes the whole result or nothing. Nothing here imports pyspark before it is
called.
"""

from __future__ import annotations

from batchdigits.spark.publish import write
from batchdigits.spark.rows import score

__all__ = ["score", "write"]
