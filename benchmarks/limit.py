"""How close to the limit of the hardware does scoring Parquet come?

    python benchmarks/limit.py [--rows 2000000] [--pairs 7]

In each round: the product in steady state (the time of a large file less that of one with a tenth
of its rows, in a process that has imported everything), and right after it the bare parts alone,
one thread each: pyarrow reading the columns, ONNX Runtime on arrays that are ready, pyarrow
writing the predictions. Their CPU times a row, added up and divided over the cores, are the bound:
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

TARGET = 0.85


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = make_parser(__doc__, rows=2_000_000, pairs=7)
    parser.add_argument("--bundle", type=Path, default=PACKAGED_BUNDLE)
    parser.add_argument("--workers", type=int, default=cores())
    parser.add_argument("--lists", action="store_true", help="pixels as one list column")
    arguments = parser.parse_args(argv)
    before = make_ready()
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
