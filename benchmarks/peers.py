"""Compare the product with other tools for the same job, on the same rows.

    python benchmarks/peers.py [--rows 2000000] [--pairs 5] [--only ray spark …]

Whole processes run in turn, the product and every peer in each round, Parquet to Parquet on all
cores. scikit-learn runs a pipeline with the same weights; all others run the bundle's own
model.onnx in ONNX Runtime: MLflow's pyfunc (ONNX flavour), Ray Data's map_batches, Spark's
mapInArrow, polars and DuckDB with a call for each batch, and KServe's and Triton's servers, which
are started and asked on this machine. Every peer's predictions are compared with the product's.
Start-up is measured with 1,797 rows. Each peer has an environment of its own, made on first use;
the table says so if one can't be installed or run.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from support.agreement import agreement
from support.environments import add_folder_option, python_of
from support.measure import (
    PACKAGED_BUNDLE,
    ROOT,
    SCRIPTS,
    Usage,
    cores,
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

PRODUCT = "batchdigits"
START_ROUNDS = 3
PEERS = {
    "mlflow": "MLflow pyfunc",
    "ray": "Ray Data map_batches",
    "spark": "Spark mapInArrow",
    "sklearn": "scikit-learn pipeline",
    "polars": "polars, an ONNX call a batch",
    "duckdb": "DuckDB, an ONNX call a batch",
    "kserve": "KServe model server",
    "triton": "Triton Inference Server",
}
BEST = "the fastest of them"
WANTED = 4.5


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = make_parser(__doc__, rows=2_000_000)
    parser.add_argument("--only", nargs="+", choices=list(PEERS), default=list(PEERS))
    add_folder_option(parser)
    arguments = parser.parse_args(argv)
    folder: Path = arguments.data_folder
    source = make_data(folder, arguments.rows, "parquet")
    trial = make_data(folder, 1797, "parquet")
    model = unpack_bundle(PACKAGED_BUNDLE, folder)
    output = folder / "peers.parquet"
    sides: dict[str, Callable[[], Usage]] = {PRODUCT: lambda: score(source, output)}
    starts: dict[str, Callable[[], Usage]] = {
        PRODUCT: lambda: score(trial, folder / "trial.parquet")
    }
    missing: dict[str, str] = {}
    for key in arguments.only:
        python = _python(key, arguments.peers_folder)
        if python is None:
            missing[PEERS[key]] = "won't install here"
            continue
        command = _command(key, python, model)
        problem = _trial(command, trial, folder / f"trial-{key}.parquet")
        if problem:
            missing[PEERS[key]] = problem
        else:
            sides[PEERS[key]] = _side(command, source, folder / f"peer-{key}.parquet")
            starts[PEERS[key]] = _side(command, trial, folder / f"trial-{key}.parquet")
    before = make_ready(arguments.wait)
    runs = in_turn(arguments.pairs, sides)
    started = in_turn(min(arguments.pairs, START_ROUNDS), starts)
    equal = {
        PEERS[key]: agreement(output, folder / f"peer-{key}.parquet")
        for key in arguments.only
        if PEERS[key] in sides
    }
    figures = _print(runs, started, missing, equal, arguments.rows)
    result = {"rows": arguments.rows, "pairs": arguments.pairs, **figures}
    finish("peers", result, save=arguments.save, load_before=before)
    return 0


def _python(key: str, folder: Path) -> Path | None:
    # scikit-learn is in the train extra already.
    return Path(sys.executable) if key == "sklearn" else python_of(key, folder)


def _command(key: str, python: Path, model: Path) -> Callable[[Path, Path], list[str]]:
    script = SCRIPTS / f"peer_{key}.py"
    return lambda source, output: [
        *(str(python), str(script), str(source), str(output), str(model), str(cores()))
    ]


def _side(
    command: Callable[[Path, Path], list[str]], source: Path, output: Path
) -> Callable[[], Usage]:
    return lambda: run(command(source, output))


def _trial(command: Callable[[Path, Path], list[str]], source: Path, output: Path) -> str | None:
    """Run once on few rows, which also builds a peer's model; return the problem, if any."""
    show(f"trial: {output.stem}")
    tried = subprocess.run(
        command(source, output), check=False, cwd=ROOT, capture_output=True, text=True
    )
    if tried.returncode == 0:
        return None
    show(tried.stderr[-2000:])
    errors = [line for line in tried.stderr.splitlines() if "Error" in line] or ["no message"]
    return f"won't run here: {errors[-1][:70]}"


def _print(
    runs: dict[str, list[Usage]],
    started: dict[str, list[Usage]],
    missing: dict[str, str],
    agreement: dict[str, str],
    rows: int,
) -> dict[str, Any]:
    """Print the table, and return the figures for the JSON line."""
    own = [usage.seconds for usage in runs[PRODUCT]]
    lines: list[list[str]] = []
    faster: dict[str, Any] = {}
    for name, usages in runs.items():
        seconds = [usage.seconds for usage in usages]
        times = ratios(seconds, own)
        if name != PRODUCT:
            faster[name] = {"ratio": times, **target(times.median, WANTED)}
        lines.append(
            [
                name,
                spread(seconds).text(),
                spread(rows / value / 1e6 for value in seconds).text(3),
                "" if name == PRODUCT else times.text(1),
                spread(usage.seconds for usage in started[name]).text(1),
                agreement.get(name, ""),
            ]
        )
    if faster:
        faster[BEST] = min(faster.values(), key=lambda peer: peer["ratio"].median)
    lines += [[name, why, "", "", "", ""] for name, why in missing.items()]
    faster_header = "batchdigits is so many times as fast"
    header = ["", "seconds", "million rows/s", faster_header, "1,797 rows, seconds", "results"]
    print(table(header, lines))
    return {
        "faster": faster,
        "missing": missing,
        "agreement": agreement,
        "seconds": {name: spread(u.seconds for u in usages) for name, usages in runs.items()},
        "rows_per_second": {
            name: spread(rows / u.seconds for u in usages) for name, usages in runs.items()
        },
        "start_seconds": {
            name: spread(u.seconds for u in usages) for name, usages in started.items()
        },
        "cpu_seconds": {
            name: spread(u.cpu_seconds for u in usages) for name, usages in runs.items()
        },
    }


if __name__ == "__main__":
    sys.exit(main())
