"""Fit the cost model of a network's bands, and compare structures with one dense layer.

    python benchmarks/bands.py [--pairs 15] [--fit]

`batchdigits/packing/onnx/bands.py` decides by a model of the cost. With --fit, 76 networks with
random bands score the same 16,384 rows in turn, with one thread and in blocks of 1,024, and the
model's constants are fitted to their times, in multiplications. The table compares networks whose
units read k bands of pixel rows with one dense layer of 500, as predict gives them the columns of a
file: left whole, in bands of rows, and in columns, as `train` compiles them. It needs the train
extra.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from support.measure import finish, in_turn, make_parser, make_ready, ratios, spread, table
from support.networks import Band, cpu_seconds, network, open_session, takes_columns

from batchdigits.packing.onnx.bands import LANES

ROWS = 16_384
BLOCK_ROWS = 1024
RANDOM_NETWORKS = 60
DENSE = "dense, 500 units"
CONSTANTS = ("OUTPUT_COST", "INPUT_COST", "SLICE_COST")
ROWS_OF_PIXELS = {
    1: [(0, 64)],
    2: [(0, 32), (32, 64)],
    3: [(0, 32), (16, 48), (32, 64)],
    5: [(0, 32), (8, 40), (16, 48), (24, 56), (32, 64)],
}
STRUCTURES = [(1, 64), (2, 24), (2, 32), (3, 16), (3, 32), (5, 16), (2, 250)]
STRUCTURES += [(3, 64), (3, 168), (5, 64), (5, 100)]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = make_parser(__doc__, pairs=15)
    parser.add_argument("--fit", action="store_true", help="fit the model's constants too")
    arguments = parser.parse_args(argv)
    before = make_ready(arguments.wait)
    figures: dict[str, Any] = {"pairs": arguments.pairs}
    if arguments.fit:
        figures["model"] = _fit(arguments.pairs)
    figures["structures"] = _compare(arguments.pairs)
    finish("bands", figures, save=arguments.save, load_before=before)
    return 0


def _compare(pairs: int) -> dict[str, Any]:
    """Print how many times as fast as one dense layer each structure is."""
    graphs = {DENSE: network([(0, 64, 500)])}
    for bands, units in STRUCTURES:
        whole = network([(*ends, units) for ends in ROWS_OF_PIXELS[bands]])
        name = f"{bands} x {units} units"
        graphs[f"{name}, in columns"] = _in_columns(whole)
        graphs[f"{name}, in bands"] = _in_bands(whole)
        graphs[f"{name}, whole"] = whole
    graphs = {name: takes_columns(graph) for name, graph in graphs.items()}
    times = _in_turn(pairs, graphs, _digits().T)
    faster = {name: ratios(times[DENSE], seconds) for name, seconds in times.items()}
    lines = [
        [name, spread(1e9 * value / ROWS for value in times[name]).text(0), ratio.text()]
        for name, ratio in faster.items()
    ]
    print(table(["", "CPU ns a row", "times as fast"], lines))
    return {name: ratio for name, ratio in faster.items() if name != DENSE}


def _fit(pairs: int) -> dict[str, Any]:
    """Print the constants of the cost model that fit random networks best."""
    networks = _random_networks()
    graphs = {str(place): _in_bands(network(bands), bands) for place, bands in enumerate(networks)}
    times = _in_turn(pairs, graphs, _digits().astype(np.float32))
    taken = np.array([spread(seconds).median / ROWS * 1e9 for seconds in times.values()])
    parts = np.array([_parts(bands) for bands in networks], float)
    # Relative errors count, as the model only compares.
    found, *_ = np.linalg.lstsq(parts / taken[:, np.newaxis], np.ones(len(taken)), rcond=None)
    errors = parts @ found / taken - 1
    multiplication = found[1]
    constants = dict(zip(CONSTANTS, (found[2:] / multiplication).round(1).tolist(), strict=True))
    print(f"one multiplication: {multiplication:.5f} ns; in its unit: {constants}")
    print(f"errors of {len(networks)} networks: {errors.min():+.1%} to {errors.max():+.1%}\n")
    return {
        "multiplication_ns": round(float(multiplication), 5),
        **constants,
        "errors": [round(float(error), 4) for error in (errors.min(), errors.max())],
    }


def _random_networks() -> list[list[Band]]:
    """One dense layer of many widths, and random bands of rows of pixels."""
    generator = np.random.default_rng(1)
    networks = [[(0, 64, units)] for units in np.geomspace(16, 1000, 16).astype(int).tolist()]
    for _ in range(RANDOM_NETWORKS):
        bands = []
        for _ in range(generator.integers(1, 9)):
            rows = generator.integers(1, 7)
            first = generator.integers(0, 9 - rows)
            units = int(np.exp(generator.uniform(np.log(10), np.log(260))))
            bands.append((int(8 * first), int(8 * (first + rows)), units))
        networks.append(bands)
    return networks


def _parts(bands: Sequence[Band]) -> list[int]:
    """What the model counts: 1 for the rest, multiplications, outputs, inputs, slices."""
    multiplications = outputs = inputs = slices = 0
    for begin, end, units in bands:
        lanes = -(-units // LANES) * LANES
        multiplications += (end - begin) * lanes + units * LANES
        outputs += lanes + LANES
        inputs += end - begin + units
        slices += end - begin < 64
    return [1, multiplications, outputs, inputs, slices]


def _in_columns(model: Any) -> Any:
    from batchdigits.packing.onnx.in_columns import turn_into_columns

    copy = _copy(model)
    turn_into_columns(copy)
    return copy


def _in_bands(model: Any, bands: Sequence[Band] | None = None) -> Any:
    """The graph in the bands that the compiler chooses, or in these."""
    from batchdigits.packing.onnx import bands as planning
    from batchdigits.packing.onnx.in_bands import divide_into_bands

    copy = _copy(model)
    ends = np.cumsum([0, *(band[2] for band in bands or [])])
    if bands is not None:
        plan = tuple(
            planning.Band(np.arange(*ends[place : place + 2]), (0,), (begin, end))
            for place, (begin, end, _) in enumerate(bands)
        )
        last = planning.Band(np.arange(10), tuple(range(len(bands))))
        divide_into_bands(copy, lambda _: [plan, (last,)])
    else:
        divide_into_bands(copy)
    return copy


def _copy(model: Any) -> Any:
    import onnx

    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy


def _digits() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 17, (ROWS, 64), np.uint8)


def _in_turn(pairs: int, graphs: dict[str, Any], pixels: NDArray[Any]) -> dict[str, list[float]]:
    sessions = {name: open_session(graph.SerializeToString()) for name, graph in graphs.items()}
    for session in sessions.values():
        cpu_seconds(session, pixels, BLOCK_ROWS)
    return in_turn(
        pairs,
        {
            name: partial(cpu_seconds, session, pixels, BLOCK_ROWS)
            for name, session in sessions.items()
        },
    )


if __name__ == "__main__":
    sys.exit(main())
