"""A file name gives stem, format and compression, and the other way round."""

from __future__ import annotations

from pathlib import Path

import pytest
from paths import SAMPLE_DATA

from batchdigits.errors import UsageError
from batchdigits.files.names import FORMATS, data_suffix, refuse_url, split_name
from batchdigits.predict import main


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


@pytest.mark.parametrize(
    "name", ["s3://bucket/x.csv", "gs://b/", "az://c/x", "https://host/x.csv", "file:///tmp/x.csv"]
)
def test_an_address_is_no_path(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    scheme = name.partition(":")[0]
    for given in (name, Path(name)):
        with pytest.raises(
            UsageError, match=f"--output {scheme}:/.*: {scheme}:// is not supported"
        ):
            refuse_url(given, "--output")
    Path(f"{scheme}:").mkdir()
    refuse_url(Path(name), "--output")  # a folder of that name


@pytest.mark.parametrize("name", ["x.csv", "./s3://b", "/srv/a:/b", "c:/x", "a b://c", "", "://x"])
def test_other_names_are_paths(name: str) -> None:
    refuse_url(name, "--output")


def test_an_address_is_refused_wherever_one_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Such a name once became the local folder `s3:`, and the run ended with 0."""
    monkeypatch.chdir(tmp_path)
    sample, url = str(SAMPLE_DATA / "digits.parquet"), "s3://bucket/x"
    for arguments in (
        [f"{url}.parquet"],
        [sample, "--output", f"{url}/"],
        [sample, "--output", f"{url}.parquet"],
        [sample, "--output", url],
        [sample, "--output", "out/", "--bundle", f"{url}.bundle"],
        [sample, "--output", "out/", "--bundle", "digits", "--store", url],
    ):
        assert main(arguments) == 2
        assert "s3:// is not supported" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
