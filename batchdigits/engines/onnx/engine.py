"""The default engine: ONNX Runtime, one thread a call, in blocks that fit the cache."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchdigits.engines.contract import Measured, MostProbable, most_probable
from batchdigits.engines.onnx.loop import FLOAT, INT64, UINT8, Layout, Names, loop_over_blocks
from batchdigits.engines.onnx.session import Session
from batchdigits.errors import BundleError, unsound_bundle
from batchdigits.images import PIXELS

BLOCK_ROWS = 1024

LOOPED_BLOCKS = 4
"""From this many blocks on one call scores them all; making its graph takes half as long."""

_KINDS = {np.dtype(np.uint8): UINT8, np.dtype(np.float32): FLOAT, np.dtype(np.int64): INT64}

_PROBABILITIES = ("probabilities",)
_BEST = ("best", "confidence")
_STRANGENESS = "strangeness"
_WANTED = "with_strangeness"

_MEASURED = ", strangeness tensor(float) [N]"


class OnnxEngine:
    """Runs `model.onnx` of a bundle, given as bytes.

    The model has one input, `pixels` (float32, N x 64, values 0..16), and the output
    `probabilities` (float32, N x k). It may have two more outputs: `best` (int64, N), the index of
    the most probable class, and `confidence` (float32, N), its probability. After these it may have
    `strangeness` (float32, N), the distance to the nearest usual row, which is computed if the
    input `with_strangeness` (bool, false if it is not given) is true. Raises BundleError for a
    model with other inputs or outputs.
    """

    name = "onnx"

    def __init__(self, model: bytes, classes: int, block_rows: int = BLOCK_ROWS) -> None:
        self.classes = classes
        self._block_rows = block_rows
        self._model = model
        self._session = Session(model)
        self._finds_best, self.measures = _check_ports(self._session, classes)
        self._loops: dict[tuple[Layout, tuple[str, ...]], Session | None] = {}
        self._names = Names.unused(model)
        self._lock = threading.Lock()

    def probabilities(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        """Return probabilities, float32 (n, k), for pixels, uint8 or float32 (n, 64) in 0..16.

        Fastest for C order, and for uint8 in Fortran order, the order of a file's columns. Safe to
        call from several threads at once.
        """
        (probabilities,) = self._score(pixels, _PROBABILITIES)
        return probabilities

    def most_probable(self, pixels: NDArray[Any]) -> MostProbable:
        """Return the most probable class of each row of pixels, and its probability."""
        if not self._finds_best:
            return most_probable(self.probabilities(pixels))
        best, confidence = self._score(pixels, _BEST)
        return self._checked(best, confidence)

    def measure(self, pixels: NDArray[Any]) -> Measured:
        """Return what `most_probable` does, and each row's strangeness, float32 (n,), in pixels.

        Call it only if `measures` is true.
        """
        if self._finds_best:
            best, confidence, strangeness = self._score(pixels, (*_BEST, _STRANGENESS))
        else:
            probabilities, strangeness = self._score(pixels, (*_PROBABILITIES, _STRANGENESS))
            best, confidence = most_probable(probabilities)
        return (*self._checked(best, confidence), strangeness)

    def _checked(self, best: NDArray[np.int64], confidence: NDArray[np.float32]) -> MostProbable:
        """Return both. Raises BundleError for a class that does not exist."""
        if len(best) and not 0 <= best.min() <= best.max() < self.classes:
            given = f"model.onnx gave a class of {best.min()} to {best.max()}"
            raise unsound_bundle(f"{given}, expected 0 to {self.classes - 1}")
        # A softmax with a NaN is NaN throughout; runtimes differ in which class is largest then.
        confidence[~(confidence > 0)] = np.nan
        return best, confidence

    def _score(self, pixels: NDArray[Any], names: tuple[str, ...]) -> list[NDArray[Any]]:
        """Compute the outputs of these names in blocks that fit the cache."""
        if not len(pixels):
            return [np.empty((0, *self._shape(name)), _dtype(name)) for name in names]
        parts = self._score_loop(pixels, names)
        done = sum(len(outputs[0]) for outputs in parts)
        for begin in range(done, len(pixels), self._block_rows):
            rows = np.ascontiguousarray(pixels[begin : begin + self._block_rows], np.float32)
            given = {"pixels": rows, **{name: np.array(True) for name in _switches(names)}}
            outputs = self._session.run(names, given)
            self._check_shapes(outputs, names, (len(rows),))
            parts.append(outputs)
        if len(parts) == 1:
            return parts[0]
        return [np.concatenate(outputs) for outputs in zip(*parts, strict=True)]

    def _score_loop(self, pixels: NDArray[Any], names: tuple[str, ...]) -> list[list[NDArray[Any]]]:
        """Compute the outputs for all whole blocks in one call; return [] for too few blocks."""
        blocks = len(pixels) // self._block_rows
        dtype = np.dtype(np.uint8 if pixels.dtype == np.uint8 else np.float32)
        columns = dtype == np.uint8 and pixels.flags.fnc
        if blocks < LOOPED_BLOCKS:
            return []
        loop = self._loop(Layout(_KINDS[dtype], columns), names)
        if loop is None:
            return []
        given = np.ascontiguousarray(pixels.T if columns else pixels, dtype)
        outputs = loop.run(
            [self._names.output(name) for name in names],
            {self._names.of("pixels"): given, self._names.of("blocks"): np.array(blocks)},
        )
        self._check_shapes(outputs, names, (blocks, self._block_rows))
        return [[output.reshape(-1, *output.shape[2:]) for output in outputs]]

    def _loop(self, layout: Layout, names: tuple[str, ...]) -> Session | None:
        """Return the model in a loop over blocks of that layout; None if it can't be looped."""
        with self._lock:
            if (layout, names) not in self._loops:
                outputs = {name: (_KINDS[_dtype(name)], *self._shape(name)) for name in names}
                model = loop_over_blocks(
                    self._model,
                    self._names,
                    outputs,
                    layout,
                    rows=self._block_rows,
                    switches=_switches(names),
                )
                try:
                    self._loops[layout, names] = Session(model)
                except BundleError:  # operator sets before 11 have no such `Loop`
                    self._loops[layout, names] = None
            return self._loops[layout, names]

    def _check_shapes(
        self, outputs: list[NDArray[Any]], names: tuple[str, ...], rows: tuple[int, ...]
    ) -> None:
        for name, output in zip(names, outputs, strict=True):
            expected = (*rows, *self._shape(name))
            if output.shape != expected:
                raise unsound_bundle(
                    f"model.onnx gave {name} of shape {output.shape}, expected {expected}"
                )

    def _shape(self, name: str) -> tuple[int, ...]:
        """Return the dimensions of an output after the first, which is the row."""
        return (self.classes,) if name == "probabilities" else ()


def _dtype(name: str) -> np.dtype[Any]:
    return np.dtype(np.int64 if name == "best" else np.float32)


def _switches(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the boolean inputs that must be true for outputs of these names."""
    return (_WANTED,) if _STRANGENESS in names else ()


def _check_ports(session: Session, classes: int) -> tuple[bool, bool]:
    """Return whether the model has the outputs `best` and `confidence`, and `strangeness`.

    Raises BundleError unless it takes `pixels` and gives `probabilities`.
    """
    outputs, switch = session.outputs, session.optional_inputs
    pixels = f"pixels tensor(float) [N, {PIXELS}]"
    if session.inputs != pixels:
        raise unsound_bundle(f"model.onnx takes {session.inputs}, expected {pixels}")
    expected = f"probabilities tensor(float) [N, {classes}]"
    measures = switch == f"{_WANTED} tensor(bool) []" and outputs.endswith(_MEASURED)
    if measures:
        outputs = outputs.removesuffix(_MEASURED)
    elif switch:
        raise unsound_bundle(f"model.onnx takes {switch} besides pixels, expected nothing else")
    more = f"{expected}, best tensor(int64) [N], confidence tensor(float) [N]"
    if outputs not in (expected, more):
        raise unsound_bundle(f"model.onnx gives {outputs}, expected {expected}")
    return outputs == more, measures
