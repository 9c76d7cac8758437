"""Compare the whole run with the script that people write by hand.

    python benchmarks/end_to_end.py [--rows 2000000] [--pairs 5] [--small REF]

Whole processes run in turn on the same rows and the same model: the product, the script with
batches of 8,192, and the same script with Keras' own batches of 32 (which takes minutes;
--no-default leaves it out). The script is scripts/keras_script.py: pandas, joblib, Keras. `--small`
names a second bundle for the product, to compare a smaller network with the script's.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from support.measure import (
    PACKAGED_BUNDLE,
    SCRIPTS,
    Usage,
    finish,
    in_turn,
    make_data,
    make_parser,
    make_ready,
    ratios,
    run,
    score,
    spread,
    table,
    target,
    unpack_bundle,
)

PRODUCT, SMALL = "batchdigits", "batchdigits, small network"
TUNED, DEFAULT = "script, batch 8192", "script, Keras' batch"
TARGETS = {(PRODUCT, TUNED): 8.0, (PRODUCT, DEFAULT): 30.0, (SMALL, TUNED): 11.0}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = make_parser(__doc__, rows=2_000_000)
    parser.add_argument("--kind", choices=("parquet", "csv"), default="parquet")
    parser.add_argument("--bundle", type=Path, default=PACKAGED_BUNDLE, help="of all sides")
    parser.add_argument("--small", help="a bundle with a smaller network, for the product alone")
    parser.add_argument("--no-default", action="store_true", help="leave Keras' own batch out")
    arguments = parser.parse_args(argv)
    before = make_ready(arguments.wait)
    folder: Path = arguments.data_folder
    source = make_data(folder, arguments.rows, arguments.kind)
    model = unpack_bundle(arguments.bundle, folder)
    output = folder / f"end-to-end.{arguments.kind}"

    def script(*flags: str) -> Callable[[], Usage]:
        command = [sys.executable, *map(str, (SCRIPTS / "keras_script.py", source, output, model))]
        return lambda: run([*command, *flags])

    sides: dict[str, Callable[[], Usage]] = {
        PRODUCT: lambda: score(source, output, "--bundle", str(arguments.bundle))
    }
    if arguments.small:
        sides[SMALL] = lambda: score(source, output, "--bundle", arguments.small)
    sides[TUNED] = script("--batch", "8192")
    if not arguments.no_default:
        sides[DEFAULT] = script()
    runs = in_turn(arguments.pairs, sides)
    figures = _print(runs, arguments.rows)
    name = "end_to_end" if arguments.kind == "parquet" else "end_to_end_csv"
    finish(name, {"rows": arguments.rows, **figures}, save=arguments.save, load_before=before)
    return 0


def _print(runs: dict[str, list[Usage]], rows: int) -> dict[str, object]:
    """Print the table and the ratios, and return the figures for the JSON line."""
    lines = [
        [
            name,
            spread(usage.seconds for usage in usages).text(),
            spread(rows / usage.seconds / 1e6 for usage in usages).text(3),
            spread(usage.cpu_seconds for usage in usages).text(),
            spread(usage.peak_mb for usage in usages).text(0),
        ]
        for name, usages in runs.items()
    ]
    print(table(["", "seconds", "million rows/s", "CPU seconds", "peak MB"], lines) + "\n")
    compared = {}
    for (ours, theirs), wanted in TARGETS.items():
        if ours not in runs or theirs not in runs:
            print(f"{ours} over {theirs}: not measured")
            continue
        times = ratios(*([usage.seconds for usage in runs[side]] for side in (theirs, ours)))
        print(f"{ours} over {theirs}: {times.text(1)} times as fast, wanted >= {wanted:g}")
        compared[f"{ours} over {theirs}"] = {"ratio": times, **target(times.median, wanted)}
    return {
        "pairs": len(runs[PRODUCT]),
        "compared": compared,
        "seconds": {side: spread(usage.seconds for usage in runs[side]) for side in runs},
        "rows_per_second": {
            side: spread(rows / usage.seconds for usage in runs[side]) for side in runs
        },
        "cpu_seconds": {side: spread(usage.cpu_seconds for usage in runs[side]) for side in runs},
        "peak_mb": {side: spread(usage.peak_mb for usage in runs[side]) for side in runs},
    }


if __name__ == "__main__":
    sys.exit(main())
