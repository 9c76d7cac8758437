"""A CSV given as text, read by its source."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from batchdigits.errors import BatchdigitsError
from batchdigits.rows.csv.source import CsvSource
from batchdigits.rows.options import ReadOptions

PIXELS = [f"pixel_{i}" for i in range(64)]
HEADER = ",".join(["id", *PIXELS])
MIB = 1 << 20


class Stream:
    """Bytes made on the fly from pieces, so that a test can give more than it holds."""

    def __init__(self, *pieces):
        self.pieces = iter(pieces)
        self.rest = b""
        self.raw_bytes_read = 0
        self.raw_size = None

    def read(self, size, /):
        while not self.rest:
            piece = next(self.pieces, None)
            if piece is None:
                return b""
            self.rest = piece
        part, self.rest = self.rest[:size], self.rest[size:]
        self.raw_bytes_read += len(part)
        return part

    def close(self):
        self.pieces = iter(())


def line(name, value="1", delimiter=","):
    return delimiter.join([name, *[value] * 64])


def source_of(text, name="x.csv", block_bytes=MIB, **options):
    data = text if isinstance(text, bytes) else text.encode()
    return CsvSource(Stream(data), ReadOptions(**options), name, block_bytes)


def read(source):
    """All batches of a source."""
    return [source.check(block) for block in source.blocks()]


def scored(text, **options):
    """The ids and pixels of the rows, and (line, reason, column, value) of the rejects."""
    source = source_of(text, **options)
    ids, pixels, rejects, lines = [], [], [], source.first_line
    for rows in read(source):
        ids += rows.passthrough.column(0).to_pylist() if rows.passthrough.num_columns else []
        pixels += rows.pixels.tolist()
        rejects += [(lines + r.line, r.reason, r.column, r.value) for r in rows.rejects]
        lines += rows.lines
    return ids, pixels, rejects


def refusal(text, **options):
    with pytest.raises(BatchdigitsError) as caught:
        source_of(text, **options)
    message = str(caught.value)
    assert message.startswith("x.csv: ")
    assert "\n" not in message
    return caught.type, message


def run(code):
    """What a new interpreter prints that can import this file from the folder that argv names."""
    command = [sys.executable, "-c", code, str(Path(__file__).parent)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def bounds(cells):
    """Cells joined by commas, and where each starts and ends."""
    lengths = np.array([len(cell) for cell in cells], np.int32)
    ends = (np.cumsum(lengths + 1) - 1).astype(np.int32)
    return b",".join(cells) + b"\n", ends - lengths, ends
