"""Score files on Spark: one task an input file, with the flags and exit codes of `predict`.

    spark-submit jobs/spark/score_files.py INPUT... [--output FOLDER] [FLAGS OF PREDICT]

It refuses the flags --report, --metrics and --check. Inputs, outputs and receipts are files or
objects that the driver and all executors see.
"""

from __future__ import annotations

import argparse
import sys

from batchdigits.cli.boundary import end, run_command
from batchdigits.cli.flags import keywords_of
from batchdigits.cli.terminal import print_summary
from batchdigits.errors import UsageError
from batchdigits.predict import parser


def main() -> int:
    """Run the job and return its exit code."""
    return run_command(parser(), _score, sys.argv[1:])


def _score(arguments: argparse.Namespace) -> int:
    keywords = keywords_of(arguments)
    for flag in ("report", "metrics", "check"):
        if keywords.pop(flag):
            raise UsageError(f"--{flag}: not on Spark; give it to predict, without Spark")
    from pyspark import SparkContext

    from batchdigits.report.run import format_run
    from batchdigits.spark.files import score_files

    summary = score_files(SparkContext.getOrCreate, keywords)
    print_summary(summary.as_dict(), lambda: format_run(summary), as_json=arguments.json)
    return summary.exit_code


if __name__ == "__main__":
    end(main)
