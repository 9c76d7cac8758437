"""Measure how close scoring Parquet comes to the hardware's limit.

    python benchmarks/limit.py [--rows 2000000] [--pairs 7]

Each round measures the product in steady state (the time for a large file minus that for one with a
tenth of its rows, in a process that has imported everything), and then the bare parts alone, with
one thread each: pyarrow reads the columns, ONNX Runtime scores arrays that are ready, pyarrow
writes the predictions. Their CPU times a row, added up and divided by the cores, are the bound:
nothing that reads, computes and writes with these libraries can be faster.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from support.measure import (
    PACKAGED_BUNDLE,
    cores,
    finish,
    make_data,
    make_parser,
    make_ready,
)

TARGET = 0.9


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = make_parser(__doc__, rows=2_000_000, pairs=7)
    parser.add_argument("--bundle", type=Path, default=PACKAGED_BUNDLE)
    parser.add_argument("--workers", type=int, default=cores())
    parser.add_argument("--lists", action="store_true", help="pixels as one list column")
    arguments = parser.parse_args(argv)
    before = make_ready(arguments.wait)
    flags = ("--lists",) if arguments.lists else ()
    folder: Path = arguments.data_folder
    large = make_data(folder, arguments.rows, "parquet", *flags)
    small = make_data(folder, arguments.rows // 10, "parquet", *flags)

    # Imported late, so that --help answers at once.
    from support.against import against_bound
    from support.bare import parquet_reading, parquet_writing

    reading = parquet_reading(large)
    output = folder / "limit.parquet"
    figures = against_bound(
        arguments, (large, small), reading, parquet_writing, output=output, wanted=TARGET
    )
    name = "limit_lists" if arguments.lists else "limit"
    finish(name, figures, save=arguments.save, load_before=before)
    return 0


if __name__ == "__main__":
    sys.exit(main())
