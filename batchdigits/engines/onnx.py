"""The default engine: ONNX Runtime, one thread a call, in blocks that fit the cache."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchdigits.engines.engine import Measured, MostProbable, most_probable
from batchdigits.engines.onnx_block import Block
from batchdigits.engines.onnx_graph import check_onnx_graph
from batchdigits.engines.onnx_session import Session
from batchdigits.errors import BundleError
from batchdigits.rows.batch import PIXELS

BLOCK_ROWS = 1024

_PROBABILITIES = ("probabilities",)
_BEST = ("best", "confidence")
_STRANGENESS = "strangeness"
_WANTED = "with_strangeness"

_MEASURED = ", strangeness tensor(float) N"


class _OfThisThread(threading.local):
    """A block for each choice of outputs."""

    def __init__(self) -> None:
        self.blocks: dict[tuple[str, ...], Block] = {}


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

    def __init__(self, model: bytes, classes: int, block_rows: int = BLOCK_ROWS) -> None:
        self.classes = classes
        self._block_rows = block_rows
        check_onnx_graph(model)
        self._session = Session(model)
        self._finds_best, self.measures = _check_ports(self._session, classes)
        self._here = _OfThisThread()

    def probabilities(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        """Probabilities, float32 (n, k), for pixels, uint8 or float32 (n, 64) in 0..16.

        Fastest for rows, and for uint8 in Fortran order, which is as the columns of a file come.
        Safe to call from several threads at once: each has its own buffers.
        """
        (probabilities,) = self._score(pixels, _PROBABILITIES)
        return probabilities

    def most_probable(self, pixels: NDArray[Any]) -> MostProbable:
        """The most probable class of each row of pixels, and its probability."""
        if not self._finds_best:
            return most_probable(self.probabilities(pixels))
        best, confidence = self._score(pixels, _BEST)
        return self._checked(best, confidence)

    def measure(self, pixels: NDArray[Any]) -> Measured:
        """What `most_probable` gives, and the strangeness of each row, float32 (n,), in pixels.

        Only for a model that `measures` it.
        """
        if self._finds_best:
            best, confidence, strangeness = self._score(pixels, (*_BEST, _STRANGENESS))
        else:
            probabilities, strangeness = self._score(pixels, (*_PROBABILITIES, _STRANGENESS))
            best, confidence = most_probable(probabilities)
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

    def _score(self, pixels: NDArray[Any], names: tuple[str, ...]) -> list[NDArray[Any]]:
        """The outputs of these names, computed in blocks that fit the cache."""
        results = [self._empty(name, len(pixels)) for name in names]
        for begin in range(0, len(pixels), self._block_rows):
            block = pixels[begin : begin + self._block_rows]
            whole = len(block) == self._block_rows
            outputs = self._block(names).score(block) if whole else self._run(block, names)
            for result, output in zip(results, outputs, strict=True):
                result[begin : begin + len(block)] = output
        return results

    def _block(self, names: tuple[str, ...]) -> Block:
        """The block of this thread for these outputs."""
        blocks = self._here.blocks
        if names not in blocks:
            rows = self._block_rows
            outputs = {name: self._empty(name, rows) for name in names}
            blocks[names] = Block(self._session, rows, _given(names), outputs)
        return blocks[names]

    def _run(self, block: NDArray[Any], names: tuple[str, ...]) -> list[NDArray[Any]]:
        rows = np.ascontiguousarray(block, np.float32)
        outputs = self._session.run(names, {"pixels": rows, **_given(names)})
        for name, output in zip(names, outputs, strict=True):
            expected = self._empty(name, len(block)).shape
            if output.shape != expected:
                raise BundleError(
                    f"model.onnx gave {name} of shape {output.shape}, expected {expected}: rebuild "
                    "the bundle with train"
                )
        return outputs

    def _empty(self, name: str, rows: int) -> NDArray[Any]:
        """An array for the output of that name."""
        shape = (rows, self.classes) if name == "probabilities" else (rows,)
        return np.empty(shape, np.int64 if name == "best" else np.float32)


def _given(names: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    """The inputs besides the pixels that outputs of these names need."""
    return {_WANTED: np.array(True)} if _STRANGENESS in names else {}


def _check_ports(session: Session, classes: int) -> tuple[bool, bool]:
    """Whether the model finds the most probable class itself, and whether it measures strangeness.

    Raises BundleError unless it takes `pixels` and gives `probabilities`.
    """
    inputs, outputs = _describe(session.inputs), _describe(session.outputs)
    if inputs != f"pixels tensor(float) N x {PIXELS}":
        raise BundleError(f"model.onnx takes {inputs}, expected pixels tensor(float) N x {PIXELS}")
    expected = f"probabilities tensor(float) N x {classes}"
    switch = _describe(session.optional_inputs)
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
