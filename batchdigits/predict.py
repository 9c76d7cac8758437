"""The command `python -m batchdigits.predict`: score files with a bundle."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from contextlib import nullcontext

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
    keywords_of,
    make_parser,
    whole_number,
)
from batchdigits.cli.terminal import Progress, print_summary
from batchdigits.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

    from batchdigits.report.metrics import MetricsFile
    from batchdigits.scoring.run import RunSummary

EXAMPLES = (
    "{program} forms.parquet",
    "{program} incoming/ --output scored/ --bundle digits@production",
    "{program} lake/ --output scored/ --format parquet --shard 3/16",
    "{program} uci.csv --no-header --max-rejects 0.1%",
    "{program} incoming/ --output scored/ --check",
    "zcat forms.csv.gz | {program} - --output scored.parquet",
)


def parser() -> Parser:
    """Make the parser of `predict`."""
    result = make_parser(
        "predict",
        "Score CSV or Parquet files of 64-pixel rows and write the predictions and confidences "
        "next to them. Every row is predicted, or rejected with a reason. An output file is "
        "published whole or not at all. Inputs that are done and unchanged are skipped.",
        EXAMPLES,
    )
    result.add_argument(
        "inputs",
        nargs="+",
        metavar="INPUT",
        help="a file, a folder or a glob; - reads CSV from standard input; outputs that a receipt "
        "names are left out",
    )
    _add_bundle_options(result)
    _add_input_options(result)
    _add_output_options(result)
    _add_machine_options(result)
    result.add_argument(
        "--check",
        action="store_true",
        help="check inputs, columns, bundle, outputs, locks and disk space; score and write "
        "nothing, and end with the exit code that is known by then",
    )
    add_json_option(result)
    add_common_options(result)
    return result


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return run_command(parser(), _predict, argv)


def _add_bundle_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("bundle")
    add_bundle_options(group)
    group.add_argument(
        "--engine",
        default="onnx",
        help="onnx (default), or keras: the slow reference, which needs the train extra",
    )


def _add_input_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("input")
    add_row_options(group)
    group.add_argument(
        "--keep",
        type=column_names,
        metavar="COL,…",
        help="the other columns to keep, in this order (default: all; '' for none)",
    )
    add_recursive_option(group)
    group.add_argument(
        "--shard",
        metavar="I/N",
        help="score only the inputs whose path, relative to the folder or glob, hashes to I of N "
        "shares, I from 0; a share without inputs is fine",
    )
    _add_empty_option(group)


def _add_empty_option(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--allow-empty",
        action="store_true",
        help="end with 0 if the folders and globs have no input; without this flag it is 66",
    )


def _add_output_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("output")
    group.add_argument(
        "--output",
        metavar="PATH",
        help="a file whose ending gives the format (.parquet .csv .csv.gz .csv.zst), or a folder "
        "(default: NAME.predictions.EXT next to each input)",
    )
    group.add_argument(
        "--format",
        metavar="FORMAT",
        help="csv or parquet: the format of outputs in a folder (default: that of each input)",
    )
    group.add_argument(
        "--probabilities", action="store_true", help="write a proba_CLASS column for each class"
    )
    group.add_argument(
        "--review-below",
        metavar="P",
        help="write decision and cause, and send rows with a confidence below P, such as 0.95 or "
        "95%%, to review (default: the bundle's threshold, if it has one)",
    )
    group.add_argument(
        "--strangeness",
        action="store_true",
        help="write how far each row is from usual digits, in pixels, and send strange rows "
        "(letters, noise, crossed-out cells) to review; needs more time",
    )
    group.add_argument(
        "--keep-pixels",
        action="store_true",
        help="write the pixels too, as the network saw them, for a review: a column of lists in "
        "Parquet, pixel_0 … pixel_63 in CSV",
    )
    group.add_argument(
        "--row-number",
        action="store_true",
        help="write the number of each row in the input, from 1, as rejects have it; without other "
        "columns it is always written",
    )
    group.add_argument(
        "--max-rejects",
        default="0",
        metavar="N|P%",
        help="the most rejects of an input, a count or a share of its rows (default: 0); with more "
        "the exit code is 3, and the outputs are published anyway",
    )
    group.add_argument(
        "--max-drift",
        metavar="X",
        help="the most drift of an input from the training data, 0..1 (default: any); with more "
        "the exit code is 4, and the outputs are published anyway",
    )
    group.add_argument(
        "--ok",
        type=column_names,
        default=(),
        metavar="CAUSE,…",
        help="causes with which a run that published ends with 0: rejects (instead of 3), drift "
        "(instead of 4), or both; for schedulers that know no other success",
    )
    add_report_option(group)
    group.add_argument(
        "--metrics",
        metavar="FILE.prom",
        help="also write metrics of the run, or of its failure, for the textfile collector of "
        "node_exporter; the file of the run before is replaced",
    )
    group.add_argument(
        "--overwrite",
        action="store_true",
        help="replace outputs that came from another input, bundle or options; short for "
        "--on-other replace",
    )
    group.add_argument(
        "--on-other",
        metavar="ACTION",
        help="what to do with outputs that came from another input, bundle or options: fail (73, "
        "the default), keep (leave complete outputs of the same content as they are, exit code 0) "
        "or replace",
    )
    group.add_argument(
        "--trust-etag",
        action="store_true",
        help="take objects whose ETag and version are those in the receipt for unchanged; without "
        "this flag they are read and hashed",
    )
    group.add_argument(
        "--no-lock",
        dest="lock",
        action="store_false",
        help="don't keep other runs away from the outputs, where the file system has no locks; "
        "never start two runs at once then",
    )
    group.add_argument(
        "--allow-suspect",
        action="store_true",
        help="score inputs that look scaled, inverted, turned, mirrored or blank as a whole; "
        "without this flag they are refused",
    )


def _add_machine_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("machine")
    group.add_argument(
        "--workers",
        type=whole_number,
        default=os.environ.get("BATCHDIGITS_WORKERS") or None,
        metavar="N",
        help="the number of threads that score (default: $BATCHDIGITS_WORKERS, else the CPUs that "
        "this process may use)",
    )
    group.add_argument(
        "--batch-size",
        type=int,
        default=32_768,
        metavar="ROWS",
        help="the most rows in a Parquet batch (default: 32768); fewer need less memory",
    )
    group.add_argument(
        "--scratch",
        metavar="DIR",
        help="a local folder for what is read from and written to object storage (default: the "
        "folder of temporary files)",
    )


def _predict(arguments: argparse.Namespace) -> int:
    from batchdigits.engines.open import ENGINES

    kind = ENGINES.get(arguments.engine)
    lean = kind is None or kind.lean
    if lean:
        one_blas_thread()
    from batchdigits.api import score

    keywords = keywords_of(arguments)
    metrics = _checked_metrics(keywords.pop("metrics"), check=arguments.check)
    progress = Progress()
    with (
        pandas_kept_out() if lean else nullcontext(),
        metrics.of_run() if metrics else nullcontext(),
    ):
        page = _checked_page(keywords.pop("report"), check=arguments.check)
        try:
            summary = score(**keywords, on_progress=progress)
        finally:
            progress.finish()
        if metrics is not None:
            metrics.summary = summary
        print_summary(summary.as_dict(), lambda: _text(summary), as_json=arguments.json)
        if page is not None:
            from batchdigits.report.receipts import write_run_page

            write_run_page(page, summary, arguments.store)
    return summary.exit_code


def _checked_page(path: str | None, *, check: bool) -> Path | None:
    if path is None:
        return None
    if check:
        raise UsageError("--report and --check: a dry run writes no page; leave one out")
    from batchdigits.report.page import check_page

    return check_page(path)


def _checked_metrics(name: str | None, *, check: bool) -> MetricsFile | None:
    if name is None:
        return None
    if check:
        raise UsageError("--metrics and --check: a dry run has no metrics; leave one out")
    from batchdigits.report.metrics import MetricsFile

    return MetricsFile.checked(name)


def _text(summary: RunSummary) -> str:
    from batchdigits.report.run import format_run

    return format_run(summary)


if __name__ == "__main__":
    end(main)
