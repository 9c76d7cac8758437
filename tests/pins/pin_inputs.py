"""The inputs of the cases: rows of the sample in many shapes, and rows with every fault."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from pin_runs import packaged_bundle

HERE = Path(__file__).parent
SAMPLE = HERE.parents[1] / "sample_data"
OLD_BUNDLE = HERE.parent / "data" / "digits-format-1.bundle"
SECOND_BUNDLE = HERE.parent / "data" / "digits-2.bundle"
# Three classes from random weights, with NaN for rows whose last pixel has ink: what `sound_bundle`
# and `overflowing_model` of tests/faults/support/fault_bundles.py gave, kept as a file.
NAN_BUNDLE = HERE / "data" / "nan.bundle"

PIXELS = [f"pixel_{i}" for i in range(64)]
OTHERS = ["form_id", "field", "position", "label"]
HEADER = [*OTHERS, *PIXELS]
FEW = 12

Cells = list[str]


def sample_rows() -> list[Cells]:
    with (SAMPLE / "digits.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))[1:]


def csv_bytes(rows: Iterable[Sequence[str]], *, between: str = ",", end: str = "\n") -> bytes:
    """Cells as they are: whoever wants quotes writes them."""
    return "".join(between.join(row) + end for row in rows).encode()


def make_inputs(folder: Path) -> None:
    """Write every input into the folder."""
    folder.mkdir()
    rows = sample_rows()
    for name in ("digits.parquet", "digits.csv", "digits-uci.csv", "bad.csv"):
        (folder / name).write_bytes((SAMPLE / name).read_bytes())
    for name, data in {**_csv_files(rows[:FEW]), **_long_files(rows)}.items():
        (folder / name).write_bytes(data)
    _write_parquet_files(folder, rows[:FEW])
    _write_bundles(folder)


def _csv_files(few: list[Cells]) -> dict[str, bytes]:
    plain = csv_bytes([HEADER, *few])
    scaled = [[*row[:4], *(str(15 * int(cell)) for cell in row[4:])] for row in few]
    return {
        "few.csv": plain,
        "few.csv.gz": gzip.compress(plain, mtime=0),
        "few.csv.zst": _zstd(plain),
        "few.tsv": csv_bytes([HEADER, *few], between="\t"),
        "semicolons.csv": csv_bytes([HEADER, *few], between=";"),
        "crlf.csv": b"\xef\xbb\xbf" + csv_bytes([HEADER, *few], end="\r\n"),
        "cr.csv": csv_bytes([HEADER, *few], end="\r").rstrip(b"\r"),
        "few-uci.csv": csv_bytes([*row[4:], row[3]] for row in few),
        "scaled.csv": csv_bytes([HEADER, *scaled]),
        "header.csv": csv_bytes([HEADER]),
        "foreign.csv": csv_bytes([[*OTHERS, *(f"ink{i}" for i in range(1, 65))], *few]),
        "blocks.csv": csv_bytes([[*OTHERS, *(f"Block {i}" for i in range(1, 65))], *few]),
        "square.csv": csv_bytes(
            [[*OTHERS, *(f"pixel_{i}_{k}" for i in range(8) for k in range(8))], *few]
        ),
        "numbers.csv": csv_bytes([map(str, range(64)), *(row[4:] for row in few)]),
        "reasons.csv": _reasons(few),
        "cells.csv": _cells(few[0]),
        "ink.csv": csv_bytes([HEADER, *few, ["x", "y", "1", "3", *few[3][4:67], "9"]]),
        "words.csv": _words(few),
        "none-good.csv": csv_bytes([HEADER, [*few[0][:67], "x"], [*few[1][:67], "17"]]),
        "short.csv": csv_bytes([HEADER[:60], *(row[:60] for row in few)]),
        "doubled.csv": csv_bytes([[*HEADER[:67], "pixel_62"], *few]),
        "reserved.csv": csv_bytes([["prediction", *HEADER[1:]], *few]),
        "empty.csv": b"",
        "utf16.csv": plain.decode().encode("utf-16"),
        "zip.csv": b"PK\x03\x04" + bytes(100),
        "cut.csv.gz": gzip.compress(plain, mtime=0)[:-20],
        "not-gzip.csv.gz": plain,
        "blank-first.csv": b"\n" + plain,
    }


def _zstd(data: bytes) -> bytes:
    import pyarrow as pa

    codec = pa.Codec("zstd")
    compressed: bytes = codec.compress(data, asbytes=True)
    return compressed


def _reasons(few: list[Cells]) -> bytes:
    """A row for every reason that a line of a CSV can have, each between two good ones."""
    good = [",".join(row).encode() for row in few]
    cells = good[0].split(b",")

    def with_cell(cell: bytes, place: int = 20) -> bytes:
        return b",".join([*cells[:place], cell, *cells[place + 1 :]])

    bad = [
        b"x" * (1 << 20) + b"," + good[1],
        with_cell(b"\xff", 1),
        with_cell(b"a\0b", 1),
        b"",
        b" \t ",
        with_cell(b'"open', 1),
        with_cell(b'"shut"tail', 1),
        ",".join(HEADER).encode(),
        b",".join(cells[:-3]),
        good[2] + b",1",
        with_cell(b""),
        with_cell(b"n/a"),
        with_cell(b"-NaN"),
        with_cell(b"Infinity"),
        with_cell(b"1e1"),
        with_cell(b'"6,5"'),
        with_cell(b"16.5"),
        with_cell(b"-0"),
        with_cell(b"oops", 40).replace(b",oops", b",oops", 1),
    ]
    lines = [",".join(HEADER).encode()]
    for place, line in enumerate(bad):
        lines += [good[place % FEW], line]
    lines += [with_cell(b'"a ""note"",\nin lines"', 1), good[5], b"", b""]
    return b"\n".join(lines)


def _cells(row: Cells) -> bytes:
    """One row for each way to write a pixel, good or bad."""
    ways = [
        *("5", "005", "5.0", "5.25", " 5 ", '"5"', '" 5 "', ' "5"', "16.0", "16.0000001", "17"),
        *("-1", "-0", "+5", "5.", ".5", "1e1", "1e400", "0x10", "1_6", '"6,5"', "５", "O", ""),
        *("NA", "N/A", "#N/A", "<NA>", "NULL", "none", "\\N", "?", "nan", "inf", "\t7"),
    ]
    return csv_bytes([HEADER, *([*row[:24], way, *row[25:]] for way in ways)])


def _words(few: list[Cells]) -> bytes:
    """Labels as words, and text that a CSV has to quote."""
    names = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    notes = ("plain", '"a, b"', '"say ""no"""', '"two\nlines"', "", "ünï", " spaced ")
    header = ["note", "word", "", *PIXELS]
    return csv_bytes(
        [header]
        + [
            [notes[place % len(notes)], names[int(row[3])], f"00{place}", *row[4:]]
            for place, row in enumerate(few)
        ]
    )


def _long_files(rows: list[Cells]) -> dict[str, bytes]:
    """Inputs that are judged as a whole: 600 rows and more."""

    def changed(change: Callable[[list[int]], list[int]]) -> bytes:
        return csv_bytes(
            [
                HEADER,
                *([*row[:4], *map(str, change(list(map(int, row[4:]))))] for row in rows[:600]),
            ]
        )

    threes = [row for row in rows if row[3] in "38"] * 2
    return {
        "inverted.csv": changed(lambda one: [16 - value for value in one]),
        "transposed.csv": changed(lambda one: [one[8 * (i % 8) + i // 8] for i in range(64)]),
        "mirrored.csv": changed(lambda one: [one[8 * (i // 8) + 7 - i % 8] for i in range(64)]),
        "blank.csv": changed(lambda one: [0] * 64),
        "faint.csv": changed(lambda one: [value // 8 for value in one]),
        "bright.csv": changed(lambda one: [15 * value for value in one]),
        "threes.csv": csv_bytes([HEADER, *threes[:600]]),
    }


def _write_parquet_files(folder: Path, few: list[Cells]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    values = [[int(cell) for cell in row[4:]] for row in few]
    ids = {"id": [f"{place:03}" for place in range(FEW)], "label": [int(row[3]) for row in few]}
    columns = {name: [row[i] for row in values] for i, name in enumerate(PIXELS)}
    narrow = {name: pa.array(column, pa.uint8()) for name, column in columns.items()}
    tables: dict[str, Any] = {
        "few.parquet": {**ids, **narrow},
        "floats.parquet": {
            **ids,
            **{name: pa.array(one, pa.float64()) for name, one in columns.items()},
        },
        "mixed.parquet": {**ids, **narrow, **_mixed(columns)},
        "holes.parquet": {**ids, **_holes(columns)},
        "list.parquet": {
            **ids,
            "pixels": pa.array(values, pa.list_(pa.uint8(), 64)),
            "box": [{"x": place, "tags": ["a", None]} for place in range(FEW)],
        },
        "lists.parquet": {**ids, "ink": pa.array(_odd_lists(values), pa.list_(pa.float32()))},
        "text.parquet": {**ids, **{name: list(map(str, one)) for name, one in columns.items()}},
        "list60.parquet": {
            **ids,
            "pixels": pa.array([v[:60] for v in values], pa.list_(pa.int8(), 60)),
        },
    }
    for name, table in tables.items():
        pq.write_table(pa.table(table), folder / name)
    pq.write_table(pa.table(tables["few.parquet"]).slice(0, 0), folder / "no-rows.parquet")
    whole = (folder / "few.parquet").read_bytes()
    (folder / "cut.parquet").write_bytes(whole[: len(whole) // 2])
    (folder / "parquet-as.csv").write_bytes(whole)
    (folder / "csv-as.parquet").write_bytes((folder / "few.csv").read_bytes())


def _mixed(columns: dict[str, list[int]]) -> dict[str, Any]:
    """Pixels of several types in one table."""
    import pyarrow as pa

    decimals = [Decimal(value) / 2 for value in columns["pixel_2"]]
    return {
        "pixel_2": pa.array(decimals, pa.decimal128(6, 2)),
        "pixel_3": pa.array(columns["pixel_3"], pa.int64()),
        "pixel_4": pa.array(columns["pixel_4"], pa.float32()),
        "pixel_5": pa.array(columns["pixel_5"], pa.int8()).dictionary_encode(),
    }


def _holes(columns: dict[str, list[int]]) -> dict[str, Any]:
    """A null, a NaN, both infinities and both sides of the range, and a negative zero."""
    import pyarrow as pa

    found: dict[str, list[float | None]] = {name: [*one] for name, one in columns.items()}
    faults = (None, float("nan"), float("inf"), float("-inf"), -1.0, 16.5, -0.0)
    for row, fault in enumerate(faults):
        found["pixel_9"][row] = fault
    return {name: pa.array(one, pa.float32()) for name, one in found.items()}


def _odd_lists(values: list[list[int]]) -> list[list[float | None] | None]:
    odd: list[list[float | None] | None] = [[*row] for row in values]
    odd[1], odd[2], odd[3] = None, [1.0, 2.0], []
    for row, fault in ((4, None), (5, float("nan")), (6, 17.0), (7, -2.0)):
        odd[row] = [*values[row][:30], fault, *values[row][31:]]
    return odd


Members = dict[str, bytes]


def _write_bundles(folder: Path) -> None:
    """Bundles that are sound, and bundles with one thing wrong each."""
    packaged = packaged_bundle().read_bytes()
    (folder / "old.bundle").write_bytes(OLD_BUNDLE.read_bytes())
    (folder / "second.bundle").write_bytes(SECOND_BUNDLE.read_bytes())
    (folder / "nan.bundle").write_bytes(NAN_BUNDLE.read_bytes())
    (folder / "packaged.bundle").write_bytes(packaged)
    members = unpack(packaged)
    manifest = json.loads(members["manifest.json"])
    thresholds = {**manifest["thresholds"], "review_below": 0.9996}
    old = unpack(OLD_BUNDLE.read_bytes())
    variants: dict[str, Members] = {
        "strict.bundle": with_manifest(members, thresholds=thresholds),
        "newer.bundle": with_manifest(members, format=2, reader="batchdigits 9"),
        "extra.bundle": with_manifest({**members, "more.txt": b"more"}),
        "lacking.bundle": with_manifest({k: v for k, v in members.items() if k != "card.md"}),
        "other-golden.bundle": with_manifest({**members, "golden.parquet": old["golden.parquet"]}),
        "other-card.bundle": {**members, "card.md": b"changed"},
    }
    for name, kept in variants.items():
        (folder / name).write_bytes(pack(kept))
    (folder / "flipped.bundle").write_bytes(packaged[:5000] + b"!" + packaged[5001:])
    (folder / "cut.bundle").write_bytes(packaged[:9000])


def unpack(data: bytes) -> Members:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def pack(members: Members) -> bytes:
    """A bundle's bytes, as docs/bundle-format.md describes them."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in sorted(members):
            entry = zipfile.ZipInfo(name)
            entry.create_system, entry.external_attr = 3, 0o100644 << 16
            archive.writestr(entry, members[name])
    return out.getvalue()


def with_manifest(members: Members, **facts: Any) -> Members:
    """The members with these facts in their manifest, and their digests put right in it."""
    others = {name: data for name, data in members.items() if name != "manifest.json"}
    sums = {
        name: {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
        for name, data in others.items()
    }
    manifest = {**json.loads(members["manifest.json"]), "members": sums, **facts}
    text = json.dumps(manifest, indent=2, sort_keys=True) + "\n"
    return {**others, "manifest.json": text.encode()}
