"""Compare the whole run with thirty lines by an expert, who checks nothing.

    python benchmarks/expert.py [--rows 2000000] [--pairs 7] [--small REF]

Whole processes run in turn on the same rows. The expert's script is scripts/peer_expert.py: Arrow
batches of a Parquet file, two threads, ONNX Runtime with one thread a call, and blocks of 1,024
rows. It runs the tutorial's network, 500 units in one layer, as Keras exports it, and also the
model.onnx of the product's bundle. The tutorial's network is trained on first use; the
product scores with it too, so that only the programs differ. `--small` names a bundle
with a smaller network for the product. Labels are compared where both have the same network.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from support.agreement import agreement
from support.measure import (
    PACKAGED_BUNDLE,
    SCRIPTS,
    Spread,
    Usage,
    finish,
    in_turn,
    make_data,
    make_parser,
    make_ready,
    ratios,
    run,
    score,
    show,
    spread,
    table,
    target,
    unpack_bundle,
)

PRODUCT, SMALL = "batchdigits", "batchdigits, small network"
SAME_NETWORK = "batchdigits, the tutorial's network"
EXPERT, WITH_BUNDLE = "expert, the tutorial's network", "expert, the bundle's model.onnx"
TARGETS = {PRODUCT: 1.5, SMALL: 2.0}
EQUAL = {SAME_NETWORK: EXPERT, PRODUCT: WITH_BUNDLE}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = make_parser(__doc__, rows=2_000_000, pairs=7)
    parser.add_argument("--small", help="a bundle with a smaller network, for the product alone")
    arguments = parser.parse_args(argv)
    folder: Path = arguments.data_folder
    source = make_data(folder, arguments.rows, "parquet")
    tutorial, plain = _tutorial(folder)
    own = unpack_bundle(PACKAGED_BUNDLE, folder) / "model.onnx"
    before = make_ready(arguments.wait)
    outputs: dict[str, Path] = {}

    def product(name: str, *flags: str) -> Callable[[], Usage]:
        output = outputs[name] = folder / f"expert-{len(outputs)}.parquet"
        return lambda: score(source, output, *flags)

    def expert(name: str, model: Path) -> Callable[[], Usage]:
        output = outputs[name] = folder / f"expert-{len(outputs)}.parquet"
        return lambda: run([sys.executable, SCRIPTS / "peer_expert.py", source, output, model])

    sides = {PRODUCT: product(PRODUCT)}
    if arguments.small:
        sides[SMALL] = product(SMALL, "--bundle", arguments.small)
    sides[SAME_NETWORK] = product(SAME_NETWORK, "--bundle", str(tutorial))
    sides[EXPERT] = expert(EXPERT, plain)
    sides[WITH_BUNDLE] = expert(WITH_BUNDLE, own)
    runs = in_turn(arguments.pairs, sides)
    equal = {
        f"{ours} and {theirs}": agreement(outputs[ours], outputs[theirs])
        for ours, theirs in EQUAL.items()
    }
    figures = {"rows": arguments.rows, "pairs": arguments.pairs, **_print(runs, arguments.rows)}
    print("\n" + "\n".join(f"{names}: {text}" for names, text in equal.items()))
    finish("expert", {**figures, "equal": equal}, save=arguments.save, load_before=before)
    return 0


def _tutorial(folder: Path) -> tuple[Path, Path]:
    """Return a bundle of the tutorial's network and its plain ONNX export, made on first use."""
    bundle, plain = folder / "tutorial.bundle", folder / "tutorial.onnx"
    if not bundle.exists():
        show("training the tutorial's network")
        made = folder / "making-tutorial.bundle"
        flags = ("--recipe", "article", "--output", str(made), "--overwrite")
        run([sys.executable, "-m", "batchdigits.train", *flags])
        made.rename(bundle)
    if not plain.exists():
        unpacked = unpack_bundle(bundle, folder / "tutorial")
        run([sys.executable, SCRIPTS / "export_plain.py", unpacked, plain])
    return bundle, plain


def _print(runs: dict[str, list[Usage]], rows: int) -> dict[str, object]:
    """Print the table, and return the figures for the JSON line."""
    seconds = {name: [usage.seconds for usage in usages] for name, usages in runs.items()}
    faster: dict[str, dict[str, Spread]] = {
        name: {theirs: ratios(seconds[theirs], times) for theirs in (EXPERT, WITH_BUNDLE)}
        for name, times in seconds.items()
        if name.startswith("batchdigits")
    }
    lines = [
        [
            name,
            spread(times).text(),
            spread(rows / value / 1e6 for value in times).text(3),
            spread(usage.peak_mb for usage in runs[name]).text(0),
            *(ratio.text() for ratio in faster.get(name, {}).values()),
        ]
        for name, times in seconds.items()
    ]
    over = [f"times as fast as {name}" for name in (EXPERT, WITH_BUNDLE)]
    header = ["", "seconds", "million rows/s", "peak MB", *over]
    print(table(header, [line + [""] * (len(header) - len(line)) for line in lines]))
    return {
        "faster": {
            name: {
                "ratio": ratio[EXPERT],
                "over_own_model": ratio[WITH_BUNDLE],
                **(target(ratio[EXPERT].median, TARGETS[name]) if name in TARGETS else {}),
            }
            for name, ratio in faster.items()
        },
        "seconds": {name: spread(times) for name, times in seconds.items()},
        "peak_mb": {name: spread(u.peak_mb for u in usages) for name, usages in runs.items()},
    }


if __name__ == "__main__":
    sys.exit(main())
