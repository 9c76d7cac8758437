"""`python -m batchdigits.fields`: whole fields from the predictions of their cells."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from batchdigits.cli.boundary import end, pandas_kept_out, run_command
from batchdigits.cli.flags import (
    Parser,
    add_common_options,
    add_json_option,
    column_names,
    make_parser,
    whole_number,
)
from batchdigits.cli.terminal import Progress, print_summary

EXAMPLES = (
    "{program} cells.predictions.parquet --group form_id --output ids.parquet",
    "{program} ids.reviewed.csv --group form_id --check luhn --output ids.csv",
    "{program} a.csv --group page,field --template form.json --output b.csv",
    "{program} a.csv --group page --values known.txt --output b.csv",
)


def parser() -> Parser:
    """The command's flags."""
    result = make_parser(
        "fields",
        "Put the predictions of neighbouring cells together as fields, such as account numbers. "
        "One row a field: its text, its probability, its weakest digit, and whether a person "
        "should look at it.",
        EXAMPLES,
    )
    result.add_argument(
        "predictions",
        nargs="+",
        metavar="PREDICTIONS",
        help="files that predict or `review apply` wrote, with their receipts beside them",
    )
    group = result.add_argument_group("fields")
    group.add_argument(
        "--group",
        type=column_names,
        required=True,
        metavar="COL,…",
        help="the columns whose values are the same for all cells of a field",
    )
    group.add_argument(
        "--position",
        default="position",
        metavar="COL",
        help="the column with a cell's place in its field, from 1 or from 0 (default: position)",
    )
    group.add_argument(
        "--length", type=whole_number, metavar="N", help="the number of cells of every field"
    )
    group.add_argument(
        "--template",
        action="append",
        metavar="PATH",
        help="the forms' template, NAME.json, or a folder of templates; give it once for each: the "
        "number of cells by the column `field`, and of several by the column `template`",
    )
    _add_tests(result.add_argument_group("which texts are allowed"))
    group = result.add_argument_group("output")
    group.add_argument(
        "--review-below",
        metavar="P",
        help="send fields with less than this probability, 0.95 or 95%%, to review, and accept "
        "corrected ones that have it (default: cells decide, and corrected fields go to review)",
    )
    group.add_argument(
        "--output",
        required=True,
        metavar="FILE",
        help="the file of fields, CSV or Parquet by its suffix; NAME.fields.receipt.json beside it",
    )
    group.add_argument(
        "--overwrite",
        action="store_true",
        help="replace fields of other predictions or options",
    )
    add_json_option(result)
    add_common_options(result)
    return result


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    return run_command(parser(), _fields, argv)


def _add_tests(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--check",
        metavar="ALGORITHM",
        help="the check digit: luhn, verhoeff, damm, iso7064, or another module of python-stdnum; "
        "a wrong one sends the field to review",
    )
    group.add_argument(
        "--pattern",
        metavar="RE",
        help="the regular expression that the whole text matches; a text that does not becomes "
        "the most probable one that does",
    )
    group.add_argument(
        "--values",
        metavar="FILE",
        help="the allowed texts, one a line; another text becomes the most probable of these",
    )


def _fields(arguments: argparse.Namespace) -> int:
    from pathlib import Path

    from batchdigits.fields.job import assemble_fields
    from batchdigits.fields.options import FieldOptions

    options = FieldOptions.of(vars(arguments))
    progress = Progress()
    with pandas_kept_out():
        try:
            result = assemble_fields(
                [Path(path) for path in arguments.predictions],
                Path(arguments.output),
                options,
                overwrite=arguments.overwrite,
                on_progress=progress,
            )
        finally:
            progress.finish()
    print_summary(result.as_dict(), result.as_text, as_json=arguments.json)
    return 0


if __name__ == "__main__":
    end(main)
