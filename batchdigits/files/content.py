"""The format and compression of a file by its first bytes, and the refusal of all others."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

from batchdigits.errors import NoInputError, UnusableInputError
from batchdigits.files.names import (
    COMPRESSIONS,
    FORMATS,
    PLAIN_TEXT,
    Compression,
    InputFile,
    data_suffix,
)
from batchdigits.files.objects.path import ObjectPath

HEAD_BYTES = 8

GZIP_MAGIC = b"\x1f\x8b"
_COMPRESSION_MAGICS: dict[bytes, Compression] = {
    GZIP_MAGIC: "gz",
    b"\x28\xb5\x2f\xfd": "zst",
    b"\x50\x2a\x4d\x18": "zst",  # a skippable frame, as pzstd begins its files
}
# UTF-32 before UTF-16: its little-endian mark begins with UTF-16's.
_WIDE_TEXT = {
    b"\xff\xfe\x00\x00": "UTF-32",
    b"\x00\x00\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}
_CONVERT = f"make it {' or '.join(facts.title for facts in FORMATS.values())}"
_PICTURE = "make rows of pictures of digits with batchdigits forms cells, of pages with forms read"
# Looked up only where no format of the table has these bytes.
_FOREIGN = {
    b"\x89PNG": ("a PNG picture", _PICTURE),
    b"\xff\xd8\xff": ("a JPEG picture", _PICTURE),
    b"II*\0": ("a TIFF picture", _PICTURE),
    b"MM\0*": ("a TIFF picture", _PICTURE),
    b"%PDF-": ("a PDF", "make rows of its pages with batchdigits forms read"),
    b"GIF8": ("a GIF picture", "save it as PNG"),
    b"\x93NUMPY": (
        "a NumPy array",
        "save it as Parquet, or make rows with batchdigits forms cells",
    ),
    b"ORC": ("an ORC file", _CONVERT),
    b"\x1f\x9d": ("compress data (.Z)", "decompress it with uncompress, or gzip -d"),
    b"\x1f\xa0": ("pack data (.z)", "decompress it with gzip -d"),
    b"\x04\x22\x4d\x18": ("LZ4 data", "decompress it with lz4 -d"),
    b"\xff\x06\0\0sNaP": ("Snappy data", _CONVERT),
    b"7z\xbc\xaf": ("a 7z archive", "unpack it"),
    b"Rar!": ("a RAR archive", "unpack it"),
    b"\xd0\xcf\x11\xe0": ("an old Excel workbook", _CONVERT),
    b"SQLite f": ("an SQLite database", _CONVERT),
    b"MATLAB 5": ("a MATLAB file", _CONVERT),
    b"RDX": ("an R data file", _CONVERT),
    b"$FL2": ("an SPSS file", _CONVERT),
    b"<stata_d": ("a Stata file", _CONVERT),
    b"HEADER R": ("a SAS transport file", _CONVERT),
    b"CDF\x01": ("a NetCDF file", _CONVERT),
    b"\x80\x04\x95": ("a Python pickle", _CONVERT),
    b"\x80\x03": ("a Python pickle", _CONVERT),
    b"<?xml": ("an XML file", _CONVERT),
    b"<!DOCTYP": ("a web page", "fetch the data themselves"),
    b"<!doctyp": ("a web page", "fetch the data themselves"),
    b"<html": ("a web page", "fetch the data themselves"),
    b"version ": ("a pointer of Git LFS", "fetch the file with git lfs pull"),
    b"PARE": ("an encrypted Parquet file", "write it without encryption"),
    b"PK\x03\x04": ("a ZIP archive or an Excel workbook", f"{_CONVERT}, or {_PICTURE}"),
    b"BZh": ("bzip2 data", _CONVERT),
    b"\xfd7zXZ\x00": ("xz data", _CONVERT),
    b"ARROW1": ("an Arrow IPC (Feather) file", _CONVERT),
    b"\x89HDF": ("an HDF5 file", _CONVERT),
    b"Obj\x01": ("an Avro file", _CONVERT),
}
_JSON = (b'{"', b"[{", b"[[", b'["')


def read_head(path: Path) -> bytes:
    """Return the first bytes of a file. Raises NoInputError when it can't be read."""
    if isinstance(path, ObjectPath):
        from batchdigits.files.objects.download import read_beginning

        return read_beginning(path, HEAD_BYTES)
    try:
        with path.open("rb", buffering=0) as raw:
            return raw.read(HEAD_BYTES)
    except OSError as error:
        raise NoInputError(f"{path}: can't be read: {error.strerror or error}") from error


def format_of(head: bytes) -> tuple[str, Compression]:
    """The format and compression that first bytes show; plain text where they show neither."""
    for kind, facts in FORMATS.items():
        if facts.magic and head.startswith(facts.magic):
            return kind, None
    compressions = (c for magic, c in _COMPRESSION_MAGICS.items() if head.startswith(magic))
    return PLAIN_TEXT, next(compressions, None)


def refuse_content(head: bytes, input_file: InputFile) -> None:
    """Raise UnusableInputError when a file's first bytes contradict its name."""
    _refuse_empty(head, input_file)
    kind, compression = format_of(head)
    if (kind, compression) == (PLAIN_TEXT, None):
        if head[:2] == b"BM" and head[6:] == b"\0\0":  # a header may begin with BM, too
            _refuse(input_file, "is a BMP picture", _PICTURE)
        _refuse_foreign(head, input_file)
    if (kind, compression) != (input_file.kind, input_file.compression):
        if input_file.path is None:
            fix = "decompress it before the pipe" if compression else "give it as a file"
        else:
            fix = f"rename it to {input_file.stem}{data_suffix(kind, compression)}"
        content = _describe(kind, compression)
        expected = _describe(input_file.kind, input_file.compression)
        _refuse(input_file, f"is {content} by its content, not {expected}", fix)
    if input_file.compression is None:
        _refuse_wide_text(head, input_file)


def _refuse_foreign(head: bytes, input_file: InputFile) -> None:
    for magic, (content, fix) in _FOREIGN.items():
        if head.startswith(magic):
            _refuse(input_file, f"is {content}", fix)
    text = b"".join(head.removeprefix(b"\xef\xbb\xbf").split())
    if text.startswith(_JSON):
        _refuse(input_file, "is JSON, or lines of JSON", f"{_CONVERT}, for example with pandas")


def refuse_decompressed(head: bytes, input_file: InputFile) -> None:
    """Raise UnusableInputError when the first decompressed bytes contradict a file's name."""
    _refuse_empty(head, input_file)
    kind, compression = format_of(head)
    if (kind, compression) != (input_file.kind, None):
        content = _describe(kind, compression)
        _refuse(input_file, f"holds {content} inside its compression", "decompress it once")
    _refuse_foreign(head, input_file)
    _refuse_wide_text(head, input_file)


def _refuse_empty(head: bytes, input_file: InputFile) -> None:
    if not head:
        _refuse(input_file, "is empty", "give it a header line, or leave it out")


def _refuse_wide_text(head: bytes, input_file: InputFile) -> None:
    if input_file.kind != PLAIN_TEXT:
        return
    for mark, encoding in _WIDE_TEXT.items():
        if head.startswith(mark):
            _refuse(input_file, f"is {encoding} text", "save it as UTF-8")
    if len(head) >= 4 and b"\0\0" in (head[0:4:2], head[1:4:2]):
        _refuse(input_file, "looks like UTF-16 text without a byte order mark", "save it as UTF-8")


def _describe(kind: str, compression: Compression) -> str:
    if compression is not None:
        return f"{COMPRESSIONS[compression]} data"
    return "plain text" if kind == PLAIN_TEXT else FORMATS[kind].title


def _refuse(input_file: InputFile, problem: str, fix: str) -> NoReturn:
    raise UnusableInputError(f"{input_file.name}: {problem}; {fix}")
