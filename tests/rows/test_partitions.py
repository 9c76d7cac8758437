"""Columns that folders stand for come with the rows, whatever reads the file."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batchdigits.errors import UnusableInputError
from batchdigits.evaluation.options import LabelledOptions
from batchdigits.files.inputs import expand_inputs
from batchdigits.files.names import Partitions
from batchdigits.rows.formats import open_source
from batchdigits.rows.options import ReadOptions

FOLDERS: Partitions = (("day", "2026-11-27"), ("hour", None))


def written(path: Path, kind: str) -> Path:
    """Two rows that can be scored and one that can't; the file `own` has a column day."""
    table = pa.table(
        {
            "id": ["a", "b", "c"],
            "label": ["1", "2", "3"],
            **{f"pixel_{i}": [0.0, 1.0, 99.0] for i in range(64)},
        }
    )
    if path.stem == "own":
        table = table.append_column("day", pa.array(["1", "2", "3"]))
    if kind == "parquet":
        pq.write_table(table, path.with_suffix(".parquet"))
        return path.with_suffix(".parquet")
    lines = [
        ",".join(table.column_names),
        *(",".join(map(str, row.values())) for row in table.to_pylist()),
    ]
    path.with_suffix(".csv").write_text("\n".join(lines))
    return path.with_suffix(".csv")


def read(
    path: Path, options: ReadOptions
) -> tuple[pa.Schema, list[dict[str, object]], list[dict[str, object]]]:
    """The pass-through columns of a file in these folders: schema, scorable rows, rejects."""
    (input_file,) = expand_inputs([str(path)]).inputs
    with closing(open_source(replace(input_file, partitions=FOLDERS), options)) as source:
        checked = [source.check(block) for block in source.blocks()]
        source.verify(sum(rows.rows for rows in checked), sum(rows.lines for rows in checked))
    for rows in checked:
        assert rows.passthrough.schema == rows.rejected.schema == source.schema
    good = [row for rows in checked for row in rows.passthrough.to_pylist()]
    return source.schema, good, [row for rows in checked for row in rows.rejected.to_pylist()]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_they_come_after_the_files_own_as_text_in_rows_and_rejects(
    tmp_path: Path, kind: str
) -> None:
    schema, good, bad = read(written(tmp_path / "a", kind), ReadOptions())
    assert schema.names == ["id", "label", "day", "hour"]
    assert schema.field("day").type == schema.field("hour").type == pa.string()
    more = {"day": "2026-11-27", "hour": None}
    assert good == [{"id": "a", "label": "1", **more}, {"id": "b", "label": "2", **more}]
    assert bad == [{"id": "c", "label": "3", **more}]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_column_that_the_file_has_stays_as_it_is(tmp_path: Path, kind: str) -> None:
    schema, good, _ = read(written(tmp_path / "own", kind), ReadOptions())
    assert schema.names == ["id", "label", "day", "hour"]
    assert [row["day"] for row in good] == ["1", "2"]
    _, good, _ = read(written(tmp_path / "own", kind), ReadOptions(keep=("id",)))
    assert good == [{"id": "a"}, {"id": "b"}]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize(
    "keep", [("day", "id"), ("id", "hour", "label"), ("hour",), ("label", "id"), ()]
)
def test_keep_chooses_among_them_too(tmp_path: Path, kind: str, keep: tuple[str, ...]) -> None:
    schema, good, bad = read(written(tmp_path / "a", kind), ReadOptions(keep=keep))
    assert tuple(schema.names) == keep
    assert [tuple(row) for row in (good[0], bad[0])] == [keep, keep]
    values = {"id": "a", "label": "1", "day": "2026-11-27", "hour": None}
    assert good[0] == {name: values[name] for name in keep}


def test_an_unknown_column_is_refused_with_all_that_are_known(tmp_path: Path) -> None:
    known = "the columns besides the pixels are: id, label, day, hour"
    with pytest.raises(UnusableInputError, match=f"unknown column 'week'; {known}"):
        read(written(tmp_path / "a", "csv"), ReadOptions(keep=("week",)))


def test_labels_and_groups_may_be_names_of_folders(tmp_path: Path) -> None:
    path = written(tmp_path / "a", "csv")
    schema, good, _ = read(path, LabelledOptions(keep=("day",)))
    assert schema.names == ["label", "day"]
    assert good[0] == {"label": "1", "day": "2026-11-27"}
    schema, good, _ = read(path, LabelledOptions(keep=(), label="day"))
    assert schema.names == ["day"]


def test_advice_for_a_file_that_can_not_be_read_is_given_as_ever(tmp_path: Path) -> None:
    path = written(tmp_path / "a", "csv")
    path.write_text(path.read_text().replace(",", ";"))
    with pytest.raises(UnusableInputError, match="--delimiter"):
        read(path, ReadOptions())
