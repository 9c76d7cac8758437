"""How the rows of input files are read: the flags that every command shares."""

from __future__ import annotations

from dataclasses import dataclass

from batchdigits.images import DARKEST

BATCH_ROWS = 32_768


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How the rows of an input are to be read: the flags that every command shares.

    pixels     names of the pixel columns: 'PREFIX{0..63}', 64 names joined by commas, or one
               list column; None finds them by the known spellings
    header     False for a CSV that begins with data (`--no-header`)
    delimiter  one character (CSV)
    scale      None: pixels are 0..16. MAX: pixels are 0..MAX and become x * 16 / MAX in float32
    keep       pass-through columns to keep, in this order; None keeps all in the input's order
    batch_rows rows of a block, about (CSV blocks are cut by bytes)
    reserved   output column names that a pass-through column must not have
    read_ahead whether a thread besides the caller's may read
    """

    pixels: str | None = None
    header: bool = True
    delimiter: str = ","
    scale: float | None = None
    keep: tuple[str, ...] | None = None
    batch_rows: int = BATCH_ROWS
    reserved: frozenset[str] = frozenset()
    read_ahead: bool = False

    @property
    def darkest(self) -> float:
        """The largest value a pixel may have on the input."""
        return float(DARKEST) if self.scale is None else self.scale
