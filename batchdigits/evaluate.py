"""`python -m batchdigits.evaluate`: measure how good a bundle is on labelled files."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

from batchdigits.cli.boundary import end, one_blas_thread, pandas_kept_out, run_command
from batchdigits.cli.flags import (
    Parser,
    add_bundle_options,
    add_common_options,
    add_json_option,
    add_recursive_option,
    add_report_option,
    add_row_options,
    column_names,
    make_parser,
)
from batchdigits.cli.terminal import Progress, print_summary
from batchdigits.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

    from batchdigits.evaluation.files import Evaluation
    from batchdigits.files.names import InputFile
    from batchdigits.scoring.options import Limit

EXAMPLES = (
    "{program} labelled.parquet",
    "{program} labelled/ --label digit --bundle digits@production",
    "{program} labelled.csv --by form_id --groups 50",
    "{program} uci.csv --no-header --label column_65",
    "{program} labelled.parquet --review-below 0.95 --output figures.json",
)

SHOWN_GROUPS = 20


def parser() -> Parser:
    """The command's flags."""
    result = make_parser(
        "evaluate",
        "Score labelled CSV or Parquet files of 64-pixel rows and measure how good the bundle is: "
        "accuracy, scores of every class, confusions, reliability of the confidence. Tables go to "
        "standard error, one line of JSON to standard output.",
        EXAMPLES,
    )
    result.add_argument(
        "inputs", nargs="+", metavar="LABELLED", help="files, folders or globs, measured together"
    )
    add_bundle_options(result.add_argument_group("bundle"))
    _add_input_options(result)
    _add_output_options(result)
    add_json_option(result)
    add_common_options(result)
    return result


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return run_command(parser(), _evaluate, argv)


def _add_input_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("input")
    group.add_argument(
        "--label",
        default="label",
        metavar="COLUMN",
        help="the column of true labels (default: label)",
    )
    group.add_argument(
        "--by",
        type=column_names,
        default=(),
        metavar="COL,…",
        help="also count by the values of this other column, or of several together",
    )
    add_row_options(group)
    add_recursive_option(group)


def _add_output_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("output")
    group.add_argument(
        "--review-below",
        metavar="P",
        help="count what is accepted if rows with less than this confidence, 0.95 or 95%%, go to "
        "review (default: the bundle's threshold, if it has one)",
    )
    group.add_argument(
        "--groups",
        type=int,
        default=SHOWN_GROUPS,
        metavar="N",
        help="groups of --by to list at most, the worst first; all are counted (default: 20)",
    )
    group.add_argument(
        "--max-rejects",
        default="0",
        metavar="N|P%",
        help="the most rejected rows of all inputs, a count or a share, that end with exit code 0 "
        "(default: 0); with more it is 3, and the figures of the other rows are still reported",
    )
    group.add_argument("--output", metavar="FILE", help="also write the JSON to this file")
    add_report_option(group)
    group.add_argument(
        "--overwrite", action="store_true", help="replace the file that --output names"
    )


def _evaluate(arguments: argparse.Namespace) -> int:
    import json

    from batchdigits.api import evaluate
    from batchdigits.files.atomic import check_output, write_output
    from batchdigits.files.inputs import expand_inputs
    from batchdigits.report.page import check_page, write_page
    from batchdigits.rows.options import ReadOptions
    from batchdigits.scoring.options import Limit
    from batchdigits.store.choice import BundleChoice

    started = time.monotonic()
    limit = Limit.parse(arguments.max_rejects)
    if arguments.groups < 0:
        raise UsageError(f"--groups {arguments.groups}: expected 0 or more groups")
    output, overwrite = arguments.output, arguments.overwrite
    if output is not None:
        output = check_output(output, overwrite=overwrite, suffix=".json")
        if output.exists():
            found = expand_inputs(arguments.inputs, recursive=arguments.recursive)
            _refuse_input(output, found.inputs)
    page = check_page(arguments.report)
    one_blas_thread()
    with pandas_kept_out():
        progress = Progress()
        try:
            evaluation = evaluate(
                arguments.inputs,
                label=arguments.label,
                by=arguments.by,
                read=ReadOptions.of_flags(arguments),
                recursive=arguments.recursive,
                bundle=BundleChoice.of_flags(arguments),
                review_below=arguments.review_below,
                on_progress=progress,
            )
        finally:
            progress.finish()
        code = _report(evaluation, arguments.groups, limit)
        facts = {
            "exit_code": code,
            "seconds": round(time.monotonic() - started, 3),
            **evaluation.as_facts(arguments.groups),
        }
    if output is not None:
        write_output(output, f"{json.dumps(facts)}\n".encode(), overwrite=overwrite)
    print_summary(facts, lambda: "", as_json=arguments.json)
    if page is not None:
        from batchdigits.report.quality import evaluation_page

        write_page(page, evaluation_page(evaluation))
    return code


def _report(evaluation: Evaluation, groups: int, limit: Limit) -> int:
    """Log the tables, and more rejects than allowed as an error; return the exit code."""
    import logging

    from batchdigits.report.evaluation import format_evaluation
    from batchdigits.scoring.options import TOO_MANY_REJECTS

    logger = logging.getLogger("batchdigits")
    logger.info("%s", format_evaluation(evaluation, groups))
    counts = evaluation.total.counts
    if limit.allows(counts.rows_rejected, counts.rows_in):
        return 0
    logger.error(
        "%d of %d rows were rejected, more than --max-rejects; the figures are for the other rows; "
        "predict lists the rejects with their reasons",
        *(counts.rows_rejected, counts.rows_in),
    )
    return TOO_MANY_REJECTS


def _refuse_input(output: Path, input_files: Sequence[InputFile]) -> None:
    for input_file in input_files:
        path = input_file.path
        if path is not None and path.exists() and output.samefile(path):
            raise UsageError(f"--output {output}: is an input; name another file")


if __name__ == "__main__":
    end(main)
