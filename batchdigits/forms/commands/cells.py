"""`forms cells`: crops of single characters to rows."""

from __future__ import annotations

import argparse
import glob
import logging
import os
from typing import Any

from batchdigits.cli.boundary import pandas_kept_out
from batchdigits.cli.flags import (
    add_common_options,
    add_json_option,
    whole_number,
)
from batchdigits.cli.terminal import Progress, print_summary
from batchdigits.errors import UsageError
from batchdigits.text import count_of, listing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from batchdigits.forms.crop_source import CropSource

logger = logging.getLogger("batchdigits.forms")

INKS = {"auto": None, "dark": False, "light": True}
"""The values of `--ink`: whether the ink is lighter than its ground, None for each crop's own."""


def add_cells(commands: Any) -> None:
    """Add the subcommand."""
    command = commands.add_parser(
        "cells",
        help="make rows of crops, pictures of one character each",
        description="Make rows for predict of crops, pictures of one character each (PNG, JPEG, "
        "TIFF, BMP), or of rows of square pictures of another size than 8x8 (CSV, Parquet, npy). A "
        "crop that can't be used is a reject with the reason. Where all crops are in subfolders, "
        "the name of the subfolder becomes the column label.",
        allow_abbrev=False,
    )
    command.set_defaults(body=_cells)
    command.add_argument(
        "inputs",
        nargs="+",
        metavar="CROPS",
        help="pictures, folders, ZIPs and globs, or one file of rows",
    )
    command.add_argument(
        "--ink",
        choices=INKS,
        default="auto",
        help="whether the ink is dark or light; auto (the default) decides it for each crop",
    )
    _add_row_options(command)
    add_output_options(command)
    add_json_option(command)
    add_common_options(command)


def add_output_options(command: argparse.ArgumentParser) -> None:
    """Add the flags of every subcommand that writes rows."""
    command.add_argument(
        "--output", required=True, metavar="FILE", help="the file of rows, NAME.parquet"
    )
    command.add_argument(
        "--max-rejects",
        default="0",
        metavar="N|P%",
        help="the most rejects, a count or a share (default: 0); with more the exit code is 3, and "
        "the rows are published anyway",
    )
    command.add_argument(
        "--overwrite", action="store_true", help="replace rows of other inputs or options"
    )
    command.add_argument(
        "--workers",
        type=whole_number,
        default=os.environ.get("BATCHDIGITS_WORKERS") or None,
        metavar="N",
        help="the number of processes (default: $BATCHDIGITS_WORKERS, else the CPUs that this "
        "process may use)",
    )


def _add_row_options(command: argparse.ArgumentParser) -> None:
    group = command.add_argument_group("a file of rows")
    group.add_argument(
        "--pixels",
        metavar="SPEC",
        help="the pixel columns, if they have other names: 'PREFIX{0..783}', or one list column",
    )
    group.add_argument(
        "--no-header",
        dest="header",
        action="store_false",
        help="the CSV has no header line; all its columns are pixels, or all but "
        "the first, or the last ten",
    )
    group.add_argument(
        "--delimiter",
        type=lambda text: "\t" if text == "\\t" else text,
        default=",",
        metavar="CHAR",
        help="the CSV's delimiter (default: ,), or whitespace: any run of spaces and tabs",
    )
    group.add_argument(
        "--scale",
        type=float,
        metavar="MAX",
        help="the largest value that a pixel can have (default: 255)",
    )


@pandas_kept_out()
def _cells(arguments: argparse.Namespace) -> int:
    # Every worker would start threads of NumPy's own, for matrices far too small for them.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from batchdigits.cpus import available_workers
    from batchdigits.scoring.options import Limit

    limit = Limit.parse(arguments.max_rejects)
    from batchdigits.forms.cells import CellsPolicy, make_cells
    from batchdigits.forms.pictures import pillow
    from batchdigits.forms.publish import Work, plan_rows

    pillow()
    found = (match for name in arguments.inputs for match in glob.iglob(name))
    place = plan_rows(arguments.output, [*arguments.inputs, *found])
    source = _source(arguments)
    work = Work("cells", arguments.inputs, source.files, source.options)
    policy = CellsPolicy(limit, arguments.overwrite, arguments.workers or available_workers())
    progress = Progress()
    try:
        result = make_cells(source, place, work, policy, progress)
    finally:
        progress.finish()
    if result.exit_code:
        counts = result.counts
        reasons = listing(f"{count} {reason}" for reason, count in counts.reasons.items())
        logger.error(
            "%d of %d crops were rejected (%s), more than --max-rejects; the others are published; "
            "see %s",
            *(counts.rejected, counts.crops_in, reasons, place.targets.rejects),
        )
    print_summary(result.facts(), result.text, as_json=arguments.json)
    return result.exit_code


def _source(arguments: argparse.Namespace) -> CropSource:
    from batchdigits.forms.crop_source import CropFiles
    from batchdigits.forms.squares.block import SquareOptions
    from batchdigits.forms.squares.source import SquareFile, is_of_squares

    light_ink = INKS[arguments.ink]
    files = [name for name in arguments.inputs if is_of_squares(name)]
    if not files:
        return CropFiles(arguments.inputs, light_ink)
    if len(arguments.inputs) > 1:
        raise UsageError(
            f"{files[0]}: is a file of rows, and {count_of(len(arguments.inputs), 'input')} are "
            "named; name it alone, each file of rows with an --output of its own"
        )
    read = [arguments.pixels, arguments.header, arguments.delimiter, arguments.scale]
    return SquareFile(files[0], SquareOptions(*read).checked(), light_ink)
