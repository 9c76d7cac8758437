"""A file name gives stem, format and compression, and the other way round."""

from __future__ import annotations

import pytest

from batchdigits.files.names import FORMATS, data_suffix, split_name


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("forms.csv", ("forms", "csv", None)),
        ("FORMS.TSV.GZ", ("FORMS", "csv", "gz")),
        ("night.v2.parquet", ("night.v2", "parquet", None)),
        ("forms.parquet.gz", ("forms.parquet", None, "gz")),
        ("forms.pqt", ("forms.pqt", None, None)),
        (".csv", (".csv", None, None)),
        (".gz", (".gz", None, None)),
    ],
)
def test_a_name_is_a_stem_and_the_suffixes_of_one_format(
    name: str, parts: tuple[str, str | None, str | None]
) -> None:
    """Parquet compresses its own pages: a compressed Parquet file is not read."""
    assert split_name(name) == parts


@pytest.mark.parametrize("kind", FORMATS)
def test_the_suffix_that_is_written_is_read_as_the_same_format(kind: str) -> None:
    for compression in (None, *FORMATS[kind].compressions):
        name = f"forms{data_suffix(kind, compression)}"
        assert split_name(name) == ("forms", kind, compression)
