"""Every format of the table has its folder, which reads back what it writes."""

from __future__ import annotations

import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from paths import PACKAGE
from sinks import written

from batchdigits.errors import UnusableInputError
from batchdigits.files.content import format_of
from batchdigits.files.inputs import check_content, expand_inputs
from batchdigits.files.names import FORMATS, PLAIN_TEXT, split_name
from batchdigits.rows.contract import Format
from batchdigits.rows.csv import format as csv_format
from batchdigits.rows.formats import check_schema, find_format, open_source
from batchdigits.rows.options import ReadOptions


def test_every_folder_of_rows_is_a_format_of_the_table() -> None:
    folders = {path.parent.name for path in (PACKAGE / "rows").glob("*/format.py")}
    assert folders == set(FORMATS)


def test_no_two_formats_share_a_suffix_and_all_but_plain_text_have_first_bytes() -> None:
    suffixes = [suffix for facts in FORMATS.values() for suffix in facts.suffixes]
    assert len(set(suffixes)) == len(suffixes)
    assert [kind for kind, facts in FORMATS.items() if not facts.magic] == [PLAIN_TEXT]
    assert sum(facts.standard_input for facts in FORMATS.values()) == 1


@pytest.mark.parametrize("kind", FORMATS)
def test_a_format_reads_back_what_it_writes(tmp_path: Path, kind: str) -> None:
    """Its files begin as the table says, are an input file, and give back any of their columns."""
    columns = {"form": pa.array(["a", "b,c"]), "n": pa.array([1, 2])}
    columns |= {f"pixel_{i}": pa.array([0, 16], pa.uint8()) for i in range(64)}
    data = written(kind, [pa.record_batch(columns)])
    assert data.startswith(FORMATS[kind].magic)
    assert format_of(data) == (kind, None)
    path = tmp_path / f"a{FORMATS[kind].suffixes[0]}"
    path.write_bytes(data)
    assert split_name(path.name) == ("a", kind, None)
    (input_file,) = expand_inputs([str(path)]).inputs
    check_content(input_file)
    source = open_source(input_file, ReadOptions())
    (rows,) = [source.check(block) for block in source.blocks()]
    source.verify(rows.rows, rows.lines)
    source.close()
    source.verify_unchanged()
    assert source.digest().startswith("sha256:")
    assert rows.pixels.tolist() == [[0] * 64, [16] * 64]
    typed = ["1", "2"] if find_format(kind).is_text else [1, 2]
    assert rows.passthrough.to_pydict() == {"form": ["a", "b,c"], "n": typed}
    (read,) = find_format(kind).read_columns(path, ["n", "form"])
    assert read.to_pydict() == {"n": typed, "form": ["a", "b,c"]}


@pytest.mark.parametrize("kind", FORMATS)
def test_a_text_of_any_length_is_read_back(tmp_path: Path, kind: str) -> None:
    """Once, like the rows before it and behind it."""
    notes = ["x" * (1 << 20)] * 22
    notes[20] = "y" * (40 << 20)
    path = tmp_path / f"a{FORMATS[kind].suffixes[0]}"
    path.write_bytes(written(kind, [pa.record_batch({"n": list(range(22)), "note": notes})]))
    table = pa.Table.from_batches(find_format(kind).read_columns(path, ["n", "note"]))
    assert table["n"].cast(pa.int64()).to_pylist() == list(range(22))
    assert table["note"].to_pylist() == notes


@pytest.mark.parametrize("lengths", [(5, 9999, 5), (99_999, 5), (5,) * 900 + (9999, 99_999, 5)])
def test_records_longer_than_blocks_take_larger_ones(
    tmp_path: Path, lengths: tuple[int, ...]
) -> None:
    path = tmp_path / "a.csv"
    notes = [f"{n}" * length for n, length in enumerate(lengths)]
    path.write_bytes(written("csv", [pa.record_batch({"note": notes})]))
    batches = csv_format._read_columns(path, ["note"], block_bytes=1000)
    assert pa.Table.from_batches(batches)["note"].to_pylist() == notes
    assert csv_format._read_schema(path, block_bytes=1000) == pa.schema([("note", pa.string())])


@pytest.mark.parametrize("kind", FORMATS)
def test_a_format_keeps_the_contract(kind: str) -> None:
    assert isinstance(find_format(kind), Format)
    assert find_format(kind).cell_bytes > 0
    check_schema(kind, pa.schema([("id", pa.string()), ("confidence", pa.float32())]), "f")


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_no_rows_are_a_valid_file_with_its_columns(kind: str) -> None:
    data = written(kind, [pa.record_batch({"id": pa.array([], pa.string())})])
    if kind == "csv":
        assert data == b"id\n"
    else:
        assert pq.read_table(io.BytesIO(data)).schema.names == ["id"]


def test_columns_that_a_csv_cannot_hold_are_refused_with_the_fix() -> None:
    schema = pa.schema([("ok", pa.string()), ("img", pa.list_(pa.int8())), ("raw", pa.binary())])
    check_schema("parquet", schema, "f")
    with pytest.raises(UnusableInputError, match=r"'img' .*, 'raw' \(binary\); .* --keep"):
        check_schema("csv", schema, "f")


def test_an_extension_type_is_judged_by_what_it_is_stored_as() -> None:
    """A UUID is 16 bytes, which may happen to be text; JSON is text."""
    schema = pa.schema([("key", pa.uuid()), ("data", pa.json_())])
    with pytest.raises(UnusableInputError, match=r"a\.parquet: CSV can't hold .*'key'") as caught:
        check_schema("csv", schema, "a.parquet")
    assert "data" not in str(caught.value)
    check_schema("parquet", schema, "a.parquet")
