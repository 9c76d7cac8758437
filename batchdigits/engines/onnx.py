"""The default engine: ONNX Runtime, one thread a call, in blocks that fit the cache."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchdigits.engines.engine import Measured, MostProbable, most_probable
from batchdigits.engines.onnx_columns import COLUMNS_TO_ROWS
from batchdigits.engines.onnx_graph import check_onnx_graph
from batchdigits.errors import BundleError
from batchdigits.rows.batch import PIXELS

BLOCK_ROWS = 1024

_PROBABILITIES = ["probabilities"]
_BEST = ["best", "confidence"]
_STRANGENESS = ["strangeness"]
_WANTED = "with_strangeness"

_MEASURED = ", strangeness tensor(float) N"

_FATAL = 4


class OnnxEngine:
    """Runs `model.onnx` of a bundle, given as bytes.

    The model has one input, `pixels` (float32, N x 64, values 0..16), and the output
    `probabilities` (float32, N x k). It may have two more: `best` (int64, N), the place of the
    most probable class, and `confidence` (float32, N), its probability; and behind them
    `strangeness` (float32, N), the distance to the nearest usual row, which is computed where the
    input `with_strangeness` (bool, false if it is not given) is true. Raises BundleError for a
    model that is not so.
    """

    name = "onnx"

    def __init__(self, model: bytes, classes: int) -> None:
        self.classes = classes
        check_onnx_graph(model)
        self._errors = _runtime_errors()
        self._session = _open_session(model, self._errors)
        self._finds_best, self.measures = _check_ports(self._session, classes)

    def probabilities(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        """Probabilities, float32 (n, k), for pixels, uint8 or float32 (n, 64) in 0..16.

        Fastest for rows, and for uint8 in Fortran order, which is as the columns of a file come.
        Safe to call from several threads at once: a call has its own buffers.
        """
        result = np.empty((len(pixels), self.classes), np.float32)
        for rows, block in self._blocks(pixels):
            (result[rows],) = self._run(block, _PROBABILITIES)
        return result

    def most_probable(self, pixels: NDArray[Any]) -> MostProbable:
        """The most probable class of each row of pixels, and its probability."""
        if not self._finds_best:
            return most_probable(self.probabilities(pixels))
        best, confidence = np.empty(len(pixels), np.int64), np.empty(len(pixels), np.float32)
        for rows, block in self._blocks(pixels):
            best[rows], confidence[rows] = self._run(block, _BEST)
        return self._checked(best, confidence)

    def measure(self, pixels: NDArray[Any]) -> Measured:
        """What `most_probable` gives, and the strangeness of each row, float32 (n,), in pixels.

        Only for a model that `measures` it.
        """
        best, confidence = np.empty(len(pixels), np.int64), np.empty(len(pixels), np.float32)
        strangeness = np.empty(len(pixels), np.float32)
        for rows, block in self._blocks(pixels):
            if self._finds_best:
                found = self._run(block, [*_BEST, *_STRANGENESS])
                best[rows], confidence[rows], strangeness[rows] = found
            else:
                probabilities, strangeness[rows] = self._run(
                    block, [*_PROBABILITIES, *_STRANGENESS]
                )
                best[rows], confidence[rows] = most_probable(probabilities)
        return (*self._checked(best, confidence), strangeness)

    def _checked(self, best: NDArray[np.int64], confidence: NDArray[np.float32]) -> MostProbable:
        """Both, if they can be: a model may give anything."""
        if len(best) and not 0 <= best.min() <= best.max() < self.classes:
            raise BundleError(
                f"model.onnx gave a class of {best.min()} to {best.max()}, expected 0 to "
                f"{self.classes - 1}: rebuild the bundle with train"
            )
        # A softmax with a NaN in it is NaN throughout; runtimes differ in what is largest then.
        confidence[~(confidence > 0)] = np.nan
        return best, confidence

    def _blocks(self, pixels: NDArray[Any]) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """The rows in blocks that fit the cache, as the model takes them; and which they are."""
        turns = pixels.dtype == np.uint8 and pixels.flags.fnc
        buffer = np.empty((min(len(pixels), BLOCK_ROWS), PIXELS), np.float32)
        for begin in range(0, len(pixels), BLOCK_ROWS):
            block = pixels[begin : begin + BLOCK_ROWS]
            if turns:
                (block,) = self._turner.run(["rows"], {"columns": block.T})
            elif block.dtype != np.float32:
                np.copyto(buffer[: len(block)], block)
                block = buffer[: len(block)]
            yield slice(begin, begin + len(block)), block

    @cached_property
    def _turner(self) -> Any:
        # Made for the first columns: CSV files and lists of pixels come as rows.
        return _open_session(COLUMNS_TO_ROWS, self._errors)

    def _run(self, block: NDArray[np.float32], names: list[str]) -> list[NDArray[Any]]:
        given: dict[str, NDArray[Any]] = {"pixels": block}
        if _STRANGENESS[0] in names:
            given[_WANTED] = np.array(True)
        try:
            outputs: list[NDArray[Any]] = self._session.run(names, given)
        except self._errors as error:
            raise BundleError(
                f"model.onnx failed ({_one_line(error)}): rebuild the bundle with train"
            ) from error
        for name, output in zip(names, outputs, strict=True):
            expected = (len(block), self.classes) if name == "probabilities" else (len(block),)
            if output.shape != expected:
                raise BundleError(
                    f"model.onnx gave {name} of shape {output.shape}, expected {expected}: rebuild "
                    "the bundle with train"
                )
        return outputs


def _open_session(model: bytes, errors: tuple[type[Exception], ...]) -> Any:
    import onnxruntime

    onnxruntime.set_default_logger_severity(_FATAL)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = _FATAL
    # Otherwise bytes that look like ONNX Runtime's own format would be read as that.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except errors as error:
        raise BundleError(
            f"model.onnx can't be loaded ({_one_line(error)}): rebuild the bundle with train"
        ) from error


def _runtime_errors() -> tuple[type[Exception], ...]:
    """What ONNX Runtime raises: a dozen classes that share no base but Exception."""
    from onnxruntime.capi import onnxruntime_pybind11_state

    kinds = vars(onnxruntime_pybind11_state).values()
    own = (kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Exception))
    return (RuntimeError, ValueError, *own)


def _check_ports(session: Any, classes: int) -> tuple[bool, bool]:
    """Whether the model finds the most probable class itself, and whether it measures strangeness.

    Raises BundleError unless it takes `pixels` and gives `probabilities`.
    """
    inputs, outputs = _describe(session.get_inputs()), _describe(session.get_outputs())
    if inputs != f"pixels tensor(float) N x {PIXELS}":
        raise BundleError(f"model.onnx takes {inputs}, expected pixels tensor(float) N x {PIXELS}")
    expected = f"probabilities tensor(float) N x {classes}"
    switch = _describe(session.get_overridable_initializers())
    measures = switch == f"{_WANTED} tensor(bool) " and outputs.endswith(_MEASURED)
    if measures:
        outputs = outputs.removesuffix(_MEASURED)
    elif switch:
        raise BundleError(f"model.onnx takes {switch} besides pixels, expected nothing else")
    more = f"{expected}, best tensor(int64) N, confidence tensor(float) N"
    if outputs not in (expected, more):
        raise BundleError(f"model.onnx gives {outputs}, expected {expected}")
    return outputs == more, measures


def _describe(ports: Sequence[Any]) -> str:
    """Name, type and shape of each port; N stands for a first dimension that is left open."""
    return ", ".join(f"{port.name} {port.type} {_shape(port.shape)}" for port in ports)


def _shape(shape: Sequence[int | str | None]) -> str:
    free = ["N" if not isinstance(size, int) and at == 0 else size for at, size in enumerate(shape)]
    return " x ".join(map(str, free))


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
