"""`bundles diff`: two bundles on the same rows, as a table or as JSON."""

from __future__ import annotations

import argparse
from typing import Any

from batchdigits.bundles.common import REFERENCE, add_command, add_data_options, open_data
from batchdigits.cli.boundary import pandas_kept_out
from batchdigits.cli.flags import add_report_option, add_trust_options
from batchdigits.cli.terminal import print_json, print_text
from batchdigits.errors import UsageError
from batchdigits.store.choice import BundleChoice

SHOWN_FLIPS = 20


def add_diff(commands: Any) -> None:
    """Add the subcommand."""
    command = add_command(
        commands, "diff", "run two bundles over the same rows and show where they differ", _diff
    )
    command.add_argument("old", metavar="OLD", help=REFERENCE)
    command.add_argument("new", metavar="NEW", help=f"likewise {REFERENCE}")
    add_data_options(command, "to run both bundles over", required=True)
    command.add_argument(
        "--flips",
        type=int,
        default=SHOWN_FLIPS,
        metavar="N",
        help="rows that flip to list at most; all are counted (default: 20)",
    )
    add_trust_options(command)
    add_report_option(command)
    command.add_argument("--json", action="store_true", help="one object of JSON")


@pandas_kept_out()
def _diff(arguments: argparse.Namespace) -> int:
    if arguments.flips < 0:
        raise UsageError(f"--flips {arguments.flips}: expected 0 or more rows")
    from batchdigits.evaluation.compare import compare_bundles
    from batchdigits.evaluation.evaluator import Evaluator
    from batchdigits.report.comparison import format_comparison
    from batchdigits.report.page import check_page, write_page

    page = check_page(arguments.report)

    old = BundleChoice.of_flags(arguments, bundle=arguments.old).load()
    new = BundleChoice.of_flags(arguments, bundle=arguments.new).load()
    evaluators = Evaluator.of(old), Evaluator.of(new)
    with open_data(arguments) as rows:
        comparison = compare_bundles(rows, *evaluators, keep_flips=arguments.flips)
    if arguments.json:
        print_json(comparison.as_facts(old.facts, new.facts))
    else:
        print_text(format_comparison(comparison, old, new))
    if page is not None:
        from batchdigits.report.quality import comparison_page

        write_page(page, comparison_page(comparison, old, new))
    return 0
