"""Compare the engine's networks with one dense layer of 500 units, the tutorial's network.

    python benchmarks/engine.py [--pairs 15] [--small REF]

Each graph scores the same 65,536 digits in turn in ONNX Runtime, with one thread, in blocks of its
best size: once as predict takes those of Parquet and CSV files, 64 columns of uint8, and once as
rows of float32, as with `--scale`. `--small` names a second bundle, with a smaller network. It
needs the train extra.
"""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from data import PIXEL_NAMES, batches
from numpy.typing import NDArray
from support.measure import (
    PACKAGED_BUNDLE,
    finish,
    in_turn,
    make_parser,
    make_ready,
    ratios,
    spread,
    table,
    target,
)
from support.networks import cpu_seconds, network, open_session, takes_columns

ROWS = 65_536
BLOCKS = (512, 1024, 2048)
TRIALS = 3
DENSE, DEFAULT, SMALL = "one dense layer of 500", "the default network", "the small network"
TARGETS = {DEFAULT: 1.4, SMALL: 6.0}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = make_parser(__doc__, pairs=15)
    parser.add_argument("--bundle", type=Path, default=PACKAGED_BUNDLE)
    parser.add_argument("--small", type=Path, help="a bundle file with a smaller network")
    arguments = parser.parse_args(argv)
    before = make_ready(arguments.wait)
    models = {DENSE: network([(0, 64, 500)]), DEFAULT: _model(arguments.bundle)}
    if arguments.small:
        models[SMALL] = _model(arguments.small)
    columns = _pixels()
    turned = {name: takes_columns(model) for name, model in models.items()}
    figures: dict[str, Any] = {"pairs": arguments.pairs}
    figures |= _compare("columns of uint8", turned, columns, arguments.pairs)
    in_rows = _compare("rows of float32", models, _in_rows(columns), arguments.pairs)
    figures |= {f"{name}_in_rows": value for name, value in in_rows.items()}
    finish("engine", figures, save=arguments.save, load_before=before)
    return 0


def _compare(
    layout: str, models: dict[str, Any], pixels: NDArray[Any], pairs: int
) -> dict[str, Any]:
    """Print how many times as fast as the dense layer each model is; return blocks and ratios."""
    sides, blocks = {}, {}
    for name, model in models.items():
        session = open_session(model.SerializeToString())
        blocks[name] = _best_block(session, pixels)
        sides[name] = partial(cpu_seconds, session, pixels, blocks[name])
    times = in_turn(pairs, sides)
    faster: dict[str, Any] = {}
    lines = []
    for name, seconds in times.items():
        ratio = ratios(times[DENSE], seconds)
        rate = spread(1e9 * value / ROWS for value in seconds)
        lines.append([name, str(blocks[name]), rate.text(0), ratio.text()])
        if name in TARGETS:
            faster[name] = {"ratio": ratio, **target(ratio.median, TARGETS[name])}
    print(table([layout, "block", "CPU ns a row", "times as fast"], lines))
    return {"blocks": blocks, "faster": faster}


def _model(bundle: Path) -> Any:
    import onnx

    with zipfile.ZipFile(bundle) as archive:
        return onnx.load_from_string(archive.read("model.onnx"))


def _pixels() -> NDArray[np.uint8]:
    (batch,) = batches(ROWS)
    return np.stack([batch.column(name).to_numpy().astype(np.uint8) for name in PIXEL_NAMES])


def _in_rows(columns: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.ascontiguousarray(columns.T, np.float32)


def _best_block(session: Any, pixels: NDArray[Any]) -> int:
    """Return the block with the shortest of a few trials."""
    times = {
        block: min(cpu_seconds(session, pixels, block) for _ in range(TRIALS)) for block in BLOCKS
    }
    return min(times, key=times.__getitem__)


if __name__ == "__main__":
    sys.exit(main())
