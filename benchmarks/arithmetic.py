"""Look for cheaper arithmetic in ONNX Runtime that changes no label.

    python benchmarks/arithmetic.py [--pairs 15]

The default network is trained on the tutorial's training part. Its graph, as packed and as each
optimisation of ONNX Runtime changes it, scores the same 16,384 rows in turn, with one thread and in
blocks of 1,024. The table has the ratio of CPU times, the largest change of a probability of the
540 held-out rows, how many of their labels change, and how long a session takes to open. The
benchmark needs the train extra.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from support.measure import finish, in_turn, make_parser, make_ready, ratios, show, spread, table

from batchdigits.engines.onnx.session import import_runtime

PACKED = "float32, as packed"
ROWS = 16_384
BLOCK_ROWS = 1024
OPENED = 7

Pixels = NDArray[np.float32]
onnxruntime = import_runtime()
Level = onnxruntime.GraphOptimizationLevel


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = make_parser(__doc__, pairs=15)
    parser.add_argument("--arch", default="mlp")
    arguments = parser.parse_args(argv)
    before = make_ready(arguments.wait)
    model, known, unseen = _trained(arguments.arch)
    many = known[np.random.default_rng(0).integers(0, len(known), ROWS)]
    with tempfile.TemporaryDirectory() as folder:
        openers = _openers(model, known, Path(folder))
        sessions = {name: opener() for name, opener in openers.items()}
        expected = _run(sessions[PACKED], unseen)
        times = in_turn(
            arguments.pairs,
            {name: partial(_seconds, session, many) for name, session in sessions.items()},
        )
        opening = {name: spread(_opened(opener)) for name, opener in openers.items()}
    candidates: dict[str, dict[str, Any]] = {
        name: {
            "ratio": ratios(seconds, times[PACKED]),
            "worst_probability": float(np.abs(_run(sessions[name], unseen) - expected).max()),
            "labels_changed": _changed(_run(sessions[name], unseen), expected),
            "opening_ms": opening[name],
        }
        for name, seconds in times.items()
    }
    lines = [
        [
            name,
            spread(1e9 * value / ROWS for value in times[name]).text(0),
            facts["ratio"].text(),
            f"{facts['worst_probability']:.1e}",
            f"{facts['labels_changed']} of {len(unseen)}",
            facts["opening_ms"].text(1),
        ]
        for name, facts in candidates.items()
    ]
    header = ["", "CPU ns a row", "over as packed", "moves up to", "labels changed", "opens in ms"]
    print(table(header, lines))
    figures = {"arch": arguments.arch, "pairs": arguments.pairs, "found": candidates}
    finish("arithmetic", figures, save=arguments.save, load_before=before)
    return 0


def _trained(arch: str) -> tuple[bytes, Pixels, Pixels]:
    """Return the default recipe's graph, the rows it was fitted on, and the held-out ones."""
    show("training")
    from batchdigits.packing.onnx.export import export_onnx
    from batchdigits.training.data import load_tutorial_digits
    from batchdigits.training.fit import fit
    from batchdigits.training.settings import make_settings
    from batchdigits.training.split import split_rows

    data = load_tutorial_digits()
    split = split_rows(data, 0.3, 0)
    pixels = data.pixels.astype(np.float32)
    known, unseen = pixels[split.train], pixels[split.held]
    settings = make_settings(arch=arch)
    fitted = fit(data.pixels[split.train], data.targets[split.train], data.classes, settings)
    return export_onnx(fitted), known, unseen


def _openers(model: bytes, known: Pixels, folder: Path) -> dict[str, Callable[[], Any]]:
    """Return a function that opens each candidate, the packed graph first."""
    optimised = folder / "optimised.onnx"
    _session(model, optimized_model_filepath=str(optimised))
    return {
        PACKED: partial(_session, model),
        "no graph optimisation": partial(
            _session, model, graph_optimization_level=Level.ORT_DISABLE_ALL
        ),
        "basic graph optimisation": partial(
            _session, model, graph_optimization_level=Level.ORT_ENABLE_BASIC
        ),
        "saved as optimised": partial(
            _session, optimised.read_bytes(), graph_optimization_level=Level.ORT_DISABLE_ALL
        ),
        "int8, static, both layers": partial(_session, _static(model, known, folder)),
        "int8, static, one scale a column": partial(
            _session, _static(model, known, folder, per_channel=True)
        ),
        "int8, dynamic": partial(_session, _dynamic(model, folder)),
    }


def _session(model: bytes, **settings: Any) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    for name, value in settings.items():
        setattr(options, name, value)
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _static(model: bytes, known: Pixels, folder: Path, *, per_channel: bool = False) -> bytes:
    """Return the graph with 8-bit products, whose ranges come from the rows it was fitted on."""
    from onnxruntime.quantization import CalibrationDataReader, quantize_static

    class Rows(CalibrationDataReader):  # type: ignore[misc]  # it has no hints
        def __init__(self) -> None:
            self._left = iter([{"pixels": known}])

        def get_next(self) -> dict[str, Pixels] | None:
            return next(self._left, None)

    source, target = folder / "float32.onnx", folder / "static.onnx"
    source.write_bytes(model)
    quantize_static(source, target, Rows(), per_channel=per_channel)
    return target.read_bytes()


def _dynamic(model: bytes, folder: Path) -> bytes:
    from onnxruntime.quantization import quantize_dynamic

    source, target = folder / "float32.onnx", folder / "dynamic.onnx"
    source.write_bytes(model)
    quantize_dynamic(source, target)
    return target.read_bytes()


def _run(session: Any, pixels: Pixels) -> NDArray[np.float32]:
    result: NDArray[np.float32] = session.run(["probabilities"], {"pixels": pixels})[0]
    return result


def _changed(probabilities: NDArray[np.float32], expected: NDArray[np.float32]) -> int:
    return int((probabilities.argmax(axis=1) != expected.argmax(axis=1)).sum())


def _seconds(session: Any, pixels: Pixels) -> float:
    started = time.thread_time()
    for at in range(0, len(pixels), BLOCK_ROWS):
        session.run(["best", "confidence"], {"pixels": pixels[at : at + BLOCK_ROWS]})
    return time.thread_time() - started


def _opened(opener: Callable[[], Any]) -> list[float]:
    times = []
    for _ in range(OPENED):
        started = time.perf_counter()
        opener()
        times.append(1000 * (time.perf_counter() - started))
    return times


if __name__ == "__main__":
    sys.exit(main())
