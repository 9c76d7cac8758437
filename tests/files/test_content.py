"""The first bytes of an input decide what it is, not its name."""

from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow as pa
import pytest

from batchdigits.errors import UnusableInputError
from batchdigits.files.content import format_of
from batchdigits.files.inputs import check_content, expand_inputs
from batchdigits.files.names import InputFile

CSV = b"pixel_0,pixel_1\n1,2\n"
PARQUET = b"PAR1" + bytes(20) + b"PAR1"


def gz(data: bytes) -> bytes:
    """Without a date, so that a test's name is the same in every process."""
    return gzip.compress(data, mtime=0)


def zst(data: bytes) -> bytes:
    return pa.compress(data, codec="zstd", asbytes=True)


def judged(folder: Path, name: str, content: bytes) -> None:
    (folder / name).write_bytes(content)
    (input_file,) = expand_inputs([str(folder / name)]).inputs
    check_content(input_file)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", CSV),
        ("a.csv", b"\xef\xbb\xbf" + CSV),
        ("a.csv", b"\xff,\xfe\n"),
        ("a.csv", b"1"),
        ("a.csv", b"PAR,1\n"),
        ("a.csv", b"\0x\n"),
        ("a.tsv", CSV),
        ("a", CSV),
        ("a", PARQUET),
        ("a.csv.gz", gz(CSV)),
        ("a.tra.gz", gz(CSV)),
        ("a.csv.zst", zst(CSV)),
        ("a.parquet", PARQUET),
    ],
)
def test_content_that_fits_its_name_passes(tmp_path: Path, name: str, content: bytes) -> None:
    judged(tmp_path, name, content)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"", r"a\.csv: is empty"),
        ("a.parquet", b"", r"a\.parquet: is empty"),
        ("a.csv.gz", b"", r"a\.csv\.gz: is empty"),
        ("a.csv.gz", gz(b""), r"a\.csv\.gz: is empty"),
        ("a.csv.zst", zst(b""), r"a\.csv\.zst: is empty"),
        ("a.csv", PARQUET, r"is Parquet by its content, not plain text; rename it to a\.parquet"),
        ("a.parquet", CSV, r"is plain text by its content, not Parquet; rename it to a\.csv"),
        ("a.parquet", gz(CSV), r"is gzip data .* rename it to a\.csv\.gz"),
        ("a.csv", gz(CSV), r"is gzip data .*, not plain text; rename it to a\.csv\.gz"),
        ("a.csv", zst(CSV), r"is Zstandard data .*; rename it to a\.csv\.zst"),
        ("a.csv.gz", CSV, r"is plain text by its content, not gzip data; rename it to a\.csv"),
        ("a.csv.gz", zst(CSV), r"not gzip data; rename it to a\.csv\.zst"),
        ("a.csv.zst", gz(CSV), r"not Zstandard data; rename it to a\.csv\.gz"),
        ("a.csv.gz", PARQUET, r"is Parquet by its content, not gzip"),
        ("a.csv.gz", gz(PARQUET), "holds Parquet inside its compression; decompress"),
        ("a.csv.gz", gz(gz(CSV)), "holds gzip data inside its compression"),
        ("a.csv.zst", zst(CSV.decode().encode("utf-16")), "is UTF-16 text; save it as UTF-8"),
        ("a.csv", CSV.decode().encode("utf-16"), "is UTF-16 text; save it as UTF-8"),
        ("a.csv", b"\xfe\xff" + CSV.decode().encode("utf-16-be"), "is UTF-16 text"),
        ("a.csv", CSV.decode().encode("utf-32"), "is UTF-32 text"),
        ("a.csv", b"\0\0\xfe\xff" + CSV.decode().encode("utf-32-be"), "is UTF-32 text"),
        ("a.csv", CSV.decode().encode("utf-16-le"), "looks like UTF-16 text"),
        ("a.csv", CSV.decode().encode("utf-16-be"), "looks like UTF-16 text"),
        ("a.parquet", b"PARE" + bytes(20), "is an encrypted Parquet file"),
        (
            "a.csv",
            b"PK\x03\x04....",
            "is a ZIP archive or an Excel workbook; make it CSV or Parquet, or make rows of ",
        ),
        (
            "a.csv",
            b"\x89PNG\r\n\x1a\n",
            "is a PNG picture; make rows of pictures of digits with batchdigits forms cells, of p",
        ),
        (
            "a.parquet",
            b"\xff\xd8\xff\xe0....",
            "is a JPEG picture; make rows of pictures of digits with batchd",
        ),
        ("a.csv", b"II*\0\x08\0\0\0", "is a TIFF picture; make rows"),
        ("a.csv", b"BM6\x10\x0e\0\0\0", "is a BMP picture; make rows"),
        (
            "a.csv",
            b"\x93NUMPY\1\0",
            "is a NumPy array; save it as Parquet, or make rows with batchd",
        ),
        ("a.csv", b"%PDF-1.7\n", "is a PDF; make rows of its pages with batchdigits forms read"),
        ("a.parquet", b"ARROW1\0\0", "is an Arrow IPC"),
        ("a.json", b'{"id": 0, "pixels": [', "is JSON, or lines of JSON; make it CSV or Parquet"),
        ("a.csv", b'\xef\xbb\xbf[\n {"id"', "is JSON"),
        ("a.txt", b"[[0, 5, 13]]", "is JSON"),
        ("a.csv.gz", gz(b'{"id": 0}\n'), "is JSON"),
        ("a.orc", b"ORC\x0a\x03....", "is an ORC file; make it CSV or Parquet"),
        ("a.csv.Z", b"\x1f\x9d\x90....", "is compress data .*uncompress"),
        ("a.csv", b"<!DOCTYPE html>", "is a web page; fetch the data themselves"),
        ("a.csv", b"<?xml version", "is an XML file"),
        ("a.pkl", b"\x80\x04\x95\x10\0\0\0", "is a Python pickle"),
        ("a.xls", b"\xd0\xcf\x11\xe0\xa1\xb1", "is an old Excel workbook"),
        ("a.csv", b"version https://git-lfs", "is a pointer of Git LFS; fetch the file with"),
        ("a.csv", b"7z\xbc\xaf\x27\x1c", "is a 7z archive; unpack it"),
        ("a.csv.gz", gz(CSV)[:12], r"a\.csv\.gz: its gz data can't be decompressed"),
        ("a.csv.zst", zst(CSV)[:6], r"a\.csv\.zst: its zst data can't be decompressed"),
    ],
)
def test_content_that_belies_its_name_is_refused_with_the_fix(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    with pytest.raises(UnusableInputError, match=message):
        judged(tmp_path, name, content)


def test_a_header_may_begin_as_a_bitmap_does(tmp_path: Path) -> None:
    judged(tmp_path, "a.csv", b"BM,pixel_0,pixel_1\n")


def test_standard_input_is_judged_only_when_it_is_opened() -> None:
    check_content(InputFile(None, "csv"))


def test_the_frames_of_parallel_zstd_are_known() -> None:
    assert format_of(b"\x50\x2a\x4d\x18\x04\0\0\0") == ("csv", "zst")
