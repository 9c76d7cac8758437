"""A file name gives stem, format and compression, and the other way round."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from paths import SAMPLE_DATA

from batchdigits.errors import UsageError
from batchdigits.files.names import (
    FORMATS,
    InputFile,
    Shard,
    data_suffix,
    partitions_of,
    refuse_url,
    split_name,
    visible,
)
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


def test_another_address_is_refused_wherever_one_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Such a name once became the local folder `s3:`, and the run ended with 0."""
    monkeypatch.chdir(tmp_path)
    sample, url = str(SAMPLE_DATA / "digits.parquet"), "hdfs://bucket/x"
    for arguments in (
        [f"{url}.parquet"],
        [sample, "--output", f"{url}/"],
        [sample, "--output", f"{url}.parquet"],
        [sample, "--output", url],
        [sample, "--output", "out/", "--bundle", f"{url}.bundle"],
        [sample, "--output", "out/", "--bundle", "digits", "--store", url],
    ):
        assert main(arguments) == 2
        assert "hdfs:// is not supported" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def input_file(relative: str) -> InputFile:
    subfolder = relative.rpartition("/")[0]
    return InputFile(Path("/mnt/anywhere", relative), "csv", None, subfolder)


def shard_of(relative: str, count: int) -> int:
    (taken,) = [i for i in range(count) if Shard(i, count).takes(input_file(relative))]
    return taken


@pytest.mark.parametrize(
    ("relative", "of_2", "of_16", "of_1000"),
    [
        ("forms.csv", 0, 14, 238),
        ("day=2026-11-27/part-00000.snappy.parquet", 0, 2, 898),
        ("straße/großer tag.csv", 0, 8, 200),
        ("a/b/c.parquet", 0, 10, 738),
        (os.fsdecode(b"k=\xff/a.csv"), 1, 1, 545),
    ],
)
def test_the_shard_of_a_path_is_a_promise(
    relative: str, of_2: int, of_16: int, of_1000: int
) -> None:
    """Another value would score files twice, or never, where old and new machines share a night."""
    assert shard_of(relative, 1) == 0
    assert [shard_of(relative, n) for n in (2, 16, 1000)] == [of_2, of_16, of_1000]


def test_shards_are_disjoint_and_their_union_is_all() -> None:
    """`shard_of` finds exactly one shard for each of 2,000 names of any characters."""
    drawn = random.Random(16)  # noqa: S311  # names, not secrets
    names = [
        "/".join(
            "".join(chr(drawn.choice([*range(48, 123), 0xE9, 0x4E2D, 0xDCFF])) for _ in range(8))
            for _ in range(drawn.randint(1, 4))
        )
        for _ in range(2000)
    ]
    counts = [0] * 16
    for name in names:
        counts[shard_of(name, 16)] += 1
    assert sum(counts) == len(names)
    assert min(counts) > len(names) / 16 * 0.6  # no shard is left without work


def test_a_file_that_was_named_by_itself_is_shared_out_by_its_name() -> None:
    files = [InputFile(Path(folder, "forms.csv"), "csv") for folder in ("/a", "/mnt/b", "c")]
    assert [Shard(14, 16).takes(each) for each in files] == [True, True, True]


@pytest.mark.parametrize("text", ["16/16", "0/0", "1", "1/", "-1/2", "1/2/3", "a/b", "0.5/2", ""])
def test_a_shard_that_can_not_be_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="expected I/N with I from 0 to N-1, such as 0/16"):
        Shard.parse(text)


@pytest.mark.parametrize(
    ("folders", "partitions"),
    [
        (["day=2026-11-27", "hour=03"], (("day", "2026-11-27"), ("hour", "03"))),
        (["forms", "day=1"], (("day", "1"),)),
        (["day=__HIVE_DEFAULT_PARTITION__"], (("day", None),)),
        (["a%3Ab=x%2Fy%20%3D", "c=d=e"], (("a:b", "x/y ="), ("c", "d=e"))),
        (["city=Z%C3%BCrich", "town=Köln"], (("city", "Zürich"), ("town", "Köln"))),
        (["=x", "day=", ""], (("day", ""),)),
        (["share=100%"], (("share", "100%"),)),
    ],
)
def test_folders_named_key_value_are_columns_as_hive_and_arrow_write_them(
    folders: list[str], partitions: tuple[tuple[str, str | None], ...]
) -> None:
    assert partitions_of(folders) == partitions


def test_hidden_names_and_folders_are_not_visible(tmp_path: Path) -> None:
    folder = tmp_path / ".scored"  # which was named
    for name in ("b.x", "a.x", ".c.x", "c.x.tmp", "d/e.x", "d/.e.x", ".d/e.x", "d/.d/e.x"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    assert visible(folder, "*.x") == [folder / "a.x", folder / "b.x"]
    assert visible(folder, "**/*.x") == [folder / "a.x", folder / "b.x", folder / "d/e.x"]
