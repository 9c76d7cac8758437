"""Arguments become inputs: files, folders, globs and standard input."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from batchdigits.errors import NoInputError, UnusableInputError, UsageError
from batchdigits.files.inputs import check_content, expand_inputs
from batchdigits.files.names import InputFile
from batchdigits.files.targets import plan_targets


def write(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).write_bytes(b"pixel_0\n1\n")


def found(*arguments: str | Path) -> list[str]:
    inputs = expand_inputs([str(argument) for argument in arguments]).inputs
    return [input_file.path.name for input_file in inputs if input_file.path]


@pytest.fixture
def unprivileged_folder() -> Iterator[Path]:
    """A folder of a user for whom permissions count, which for root they don't."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o777)
    root = os.geteuid() == 0
    if root:
        os.setresuid(65534, 65534, 0)
    try:
        yield folder
    finally:
        if root:
            os.setresuid(0, 0, 0)
        shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("name", "kind", "compression", "stem"),
    [
        ("forms.csv", "csv", None, "forms"),
        ("FORMS.CSV", "csv", None, "FORMS"),
        ("forms.csv.gz", "csv", "gz", "forms"),
        ("forms.csv.zst", "csv", "zst", "forms"),
        ("forms.tsv", "csv", None, "forms"),
        ("night.v2.parquet", "parquet", None, "night.v2"),
        ("optdigits.data", "csv", None, "optdigits"),
        (".csv", "csv", None, ".csv"),
    ],
)
def test_a_known_suffix_names_the_format(
    tmp_path: Path, name: str, kind: str, compression: str | None, stem: str
) -> None:
    write(tmp_path, name)
    (input_file,) = expand_inputs([str(tmp_path / name)]).inputs
    assert (input_file.kind, input_file.compression, input_file.stem) == (kind, compression, stem)


@pytest.mark.parametrize(
    ("name", "content", "kind", "compression", "stem"),
    [
        ("optdigits.tra", b"0,1\n", "csv", None, "optdigits.tra"),
        ("optdigits.tra.gz", gzip.compress(b"0,1\n", mtime=0), "csv", "gz", "optdigits.tra"),
        ("forms", b"\x28\xb5\x2f\xfd0", "csv", "zst", "forms"),
        ("forms.pqt", b"PAR1....PAR1", "parquet", None, "forms.pqt"),
    ],
)
def test_an_unknown_suffix_leaves_the_format_to_the_content(
    tmp_path: Path, *, name: str, content: bytes, kind: str, compression: str | None, stem: str
) -> None:
    (tmp_path / name).write_bytes(content)
    (input_file,) = expand_inputs([str(tmp_path / name)]).inputs
    assert (input_file.kind, input_file.compression, input_file.stem) == (kind, compression, stem)


def test_a_folder_gives_its_data_files_in_order_without_ours_and_hidden_ones(
    tmp_path: Path,
) -> None:
    write(tmp_path, "b.csv", "a.parquet", "c.CSV.GZ", "B.csv.zst")
    write(tmp_path, ".hidden.csv", "_started.csv", "notes.txt", "README.md", "x.tsv")
    write(tmp_path, "b.predictions.csv", "b.rejects.csv", "b.reviewed.csv", "b.receipt.json")
    (tmp_path / "sub.csv").mkdir()
    write(tmp_path / "sub.csv", "deeper.csv")
    assert found(tmp_path) == ["B.csv.zst", "a.parquet", "b.csv", "c.CSV.GZ"]


def test_a_glob_gives_files_in_order_without_ours_hidden_ones_and_folders(tmp_path: Path) -> None:
    write(tmp_path, "b.csv", "a.csv", "_a.csv", ".a.csv", "a.predictions.csv", "z.tra")
    (tmp_path / "sub.csv").mkdir()
    assert found(tmp_path / "*.csv") == ["a.csv", "b.csv"]
    assert found(tmp_path / "*") == ["a.csv", "b.csv", "z.tra"]


def test_a_name_that_only_looks_like_a_glob_is_that_file(tmp_path: Path) -> None:
    write(tmp_path, "a[1].csv", "a1.csv")
    inputs = expand_inputs([str(tmp_path / "a[1].csv")])
    assert [input_file.name for input_file in inputs.inputs] == [str(tmp_path / "a[1].csv")]
    assert not inputs.several


def test_one_of_ours_can_be_named(tmp_path: Path) -> None:
    write(tmp_path, "a.predictions.csv", "_a.csv")
    assert found(tmp_path / "a.predictions.csv", tmp_path / "_a.csv") == [
        "a.predictions.csv",
        "_a.csv",
    ]


@pytest.mark.parametrize("name", ["with space.csv", "fórms–٣.csv", "two\nlines.csv", "-x.csv"])
def test_odd_names_are_names(tmp_path: Path, monkeypatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, name)
    assert found(name) == found(".") == [name]


def test_only_one_plain_file_is_not_several(tmp_path: Path) -> None:
    write(tmp_path, "a.csv", "b.parquet")
    a = str(tmp_path / "a.csv")
    assert not expand_inputs([a]).several
    assert expand_inputs([a, str(tmp_path / "b.parquet")]).several
    assert expand_inputs([str(tmp_path)]).several
    assert expand_inputs([str(tmp_path / "a*")]).several


def test_a_dash_alone_is_standard_input() -> None:
    inputs = expand_inputs(["-"])
    assert inputs.inputs == (InputFile(None, "csv"),)
    assert inputs.inputs[0].name == "-"
    assert not inputs.several


def test_a_dash_among_others_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "a.csv")
    with pytest.raises(UsageError, match="-: standard input can't be read together"):
        expand_inputs([str(tmp_path / "a.csv"), "-"])


@pytest.mark.parametrize("argument", ["absent.csv", "absent/", "a.csv/x"])
def test_what_is_missing_is_refused_in_its_turn(tmp_path: Path, monkeypatch, argument: str) -> None:
    """One missing file does not stop the others: it is an input until its content is asked for."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "a.csv")
    present, missing = expand_inputs(["a.csv", argument]).inputs
    check_content(present)
    with pytest.raises(NoInputError, match=f"{missing.path}: (no such|can't be read)"):
        check_content(missing)


@pytest.mark.parametrize("arguments", [[], [""], ["a.csv", ""]])
def test_no_argument_or_an_empty_one_is_no_input(arguments: list[str]) -> None:
    """An unset variable in a crontab must not mean the folder it runs in."""
    with pytest.raises(NoInputError, match="no input, or an empty name"):
        expand_inputs(arguments)


def test_an_empty_folder_says_what_was_looked_for(tmp_path: Path) -> None:
    write(tmp_path, "notes.txt", "a.predictions.csv")
    with pytest.raises(NoInputError, match=r"no input among its 2 files; .*\.csv\.gz"):
        expand_inputs([str(tmp_path)])


def test_a_glob_without_a_match_says_so(tmp_path: Path) -> None:
    write(tmp_path, "a.predictions.csv")
    with pytest.raises(NoInputError, match=r"\*\.csv: matches no input among 1 file;"):
        expand_inputs([str(tmp_path / "*.csv")])


@pytest.mark.parametrize("make", [os.link, os.symlink])
def test_two_names_of_one_file_are_two_inputs(tmp_path: Path, make) -> None:
    """A link `latest.csv` in a folder must not stop the night: each name has outputs of its own."""
    write(tmp_path, "a.csv")
    make(tmp_path / "a.csv", tmp_path / "latest.csv")
    assert [input_file.stem for input_file in expand_inputs([str(tmp_path)]).inputs] == [
        "a",
        "latest",
    ]


def test_one_name_twice_is_refused_for_its_outputs(tmp_path: Path) -> None:
    write(tmp_path, "a.csv")
    found = expand_inputs([str(tmp_path / "a.csv"), f"{tmp_path}/../{tmp_path.name}/a.csv"])
    with pytest.raises(UsageError, match="would both write"):
        plan_targets(found, None)


def test_a_pipe_is_refused_without_waiting_for_a_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    for argument in (tmp_path / "pipe.csv", tmp_path):
        (input_file,) = expand_inputs([str(argument)]).inputs
        with pytest.raises(NoInputError, match="is a pipe or device"):
            check_content(input_file)


def test_a_broken_link_is_no_input(tmp_path: Path) -> None:
    (tmp_path / "a.csv").symlink_to("nowhere.csv")
    (input_file,) = expand_inputs([str(tmp_path / "a.csv")]).inputs
    with pytest.raises(NoInputError, match=r"a\.csv: no such file"):
        check_content(input_file)


def test_in_a_folder_one_bad_file_does_not_stop_the_others(unprivileged_folder: Path) -> None:
    write(unprivileged_folder, "a.csv", "b.csv")
    (unprivileged_folder / "c.csv").symlink_to("nowhere")
    (unprivileged_folder / "a.csv").chmod(0)
    for argument in (unprivileged_folder, unprivileged_folder / "*.csv"):
        inputs = expand_inputs([str(argument)]).inputs
        refused = []
        for input_file in inputs:
            try:
                check_content(input_file)
            except NoInputError:
                refused.append(input_file.stem)
        assert [input_file.stem for input_file in inputs] in (["a", "b", "c"], ["a", "b"])
        assert set(refused) <= {"a", "c"}
        assert "a" in refused


def test_what_may_not_be_read_is_named(unprivileged_folder: Path) -> None:
    write(unprivileged_folder, "a.csv")
    (unprivileged_folder / "a.csv").chmod(0)
    (input_file,) = expand_inputs([str(unprivileged_folder / "a.csv")]).inputs
    with pytest.raises(NoInputError, match=r"a\.csv: can't be read: Permission denied"):
        check_content(input_file)
    closed = unprivileged_folder / "closed"
    closed.mkdir(mode=0)
    with pytest.raises(NoInputError, match="closed: can't be read: Permission denied"):
        expand_inputs([str(closed)])


def tree(top: Path, *paths: str) -> None:
    for path in paths:
        (top / path).parent.mkdir(parents=True, exist_ok=True)
        (top / path).write_bytes(b"pixel_0\n1\n")


def relative(*arguments: str | Path, recursive: bool | None = None) -> list[str]:
    inputs = expand_inputs([str(argument) for argument in arguments], recursive=recursive).inputs
    return [input_file.relative for input_file in inputs]


SPARK = (
    "day=2026-11-26/part-00000.snappy.parquet",
    "day=2026-11-27/hour=3/part-00000.snappy.parquet",
    "day=2026-11-27/hour=3/part-00001.snappy.parquet",
)


def test_a_folder_of_spark_is_read_to_any_depth_without_what_is_not_for_readers(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tree(tmp_path, *SPARK, "_SUCCESS", "day=2026-11-26/_SUCCESS")
    tree(tmp_path, "day=2026-11-26/.part-00000.snappy.parquet.crc", "_temporary/0/part-9.parquet")
    tree(tmp_path, ".staging/day=1/x.parquet", "_delta_log/00000.checkpoint.parquet")
    tree(tmp_path, "_year=2026/a.csv", "day=2026-11-26/a.predictions.csv")
    assert relative(tmp_path) == ["_year=2026/a.csv", *SPARK]
    (first, second, *_) = expand_inputs([str(tmp_path)]).inputs
    assert first.partitions == (("_year", "2026"),)
    assert second.path == tmp_path / SPARK[0]
    assert second.partitions == (("day", "2026-11-26"),)
    assert caplog.text == ""


def test_other_subfolders_are_read_with_recursive_and_named_without(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tree(
        tmp_path, "a.csv", "done/old/a.csv", "x/day=1/b.csv", "notes/README.md", "day=2/late/c.csv"
    )
    assert relative(tmp_path) == ["a.csv"]
    assert relative(tmp_path, recursive=False) == ["a.csv"]
    without_flag, record = caplog.records
    assert without_flag.getMessage().endswith(": day=2/late, done, x; name what to read")
    assert record.getMessage() == (
        f"{tmp_path}: left out the input files in subfolders: day=2/late, done, x; add "
        "--recursive, or name what to read"
    )
    caplog.clear()
    found = relative(tmp_path, recursive=True)
    assert found == ["a.csv", "day=2/late/c.csv", "done/old/a.csv", "x/day=1/b.csv"]
    assert caplog.text == ""
    (*_, last) = expand_inputs([str(tmp_path)], recursive=True).inputs
    assert last.partitions == (("day", "1"),)


def test_a_folder_of_folders_alone_says_how_they_are_read(tmp_path: Path) -> None:
    tree(tmp_path, "x/a.csv", "y/b.csv", "README.md")
    with pytest.raises(
        NoInputError,
        match="no input among its 1 file, and 2 subfolders left out: add --recursive, or name",
    ):
        expand_inputs([str(tmp_path)], recursive=False)


def test_links_to_folders_are_left_out_since_they_may_lead_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tree(tmp_path, "in/day=1/a.csv")
    (tmp_path / "in/day=1/day=2").symlink_to(tmp_path / "in")
    (tmp_path / "in/today").symlink_to("day=1")
    (tmp_path / "in/day=1/b.csv").symlink_to("a.csv")
    assert relative(tmp_path / "in", recursive=True) == ["day=1/a.csv", "day=1/b.csv"]
    assert "left out the input files in subfolders: day=1/day=2, today; " in caplog.text
    assert relative(tmp_path / "in/today") == ["a.csv", "b.csv"]  # named, it is read


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("day=2026-11-2[67]", SPARK),
        ("*", SPARK),
        ("day=*/hour=*/*.parquet", SPARK[1:]),
        ("day=2026-11-27/hour=3/*1.*", ("part-00001.snappy.parquet",)),
    ],
)
def test_paths_are_relative_to_what_comes_before_the_first_wildcard(
    tmp_path: Path, pattern: str, expected: tuple[str, ...]
) -> None:
    tree(tmp_path, *SPARK, "_temporary/part-1.parquet")
    assert relative(tmp_path / pattern) == list(expected)


def test_mount_points_and_spellings_of_the_folder_do_not_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree(tmp_path, *(f"in/{path}" for path in SPARK))
    (tmp_path / "mnt").symlink_to("in")
    monkeypatch.chdir(tmp_path / "in")
    folders = [str(tmp_path / "in"), f"{tmp_path}/in/", ".", "../mnt", str(tmp_path / "mnt/*")]
    assert [relative(folder) for folder in folders] == [list(SPARK)] * 5


def test_a_glob_that_leads_out_of_its_folder_gives_no_subfolder(tmp_path: Path) -> None:
    """Outputs must not leave the folder that --output names."""
    tree(tmp_path, "in/day=1/a.csv", "other/b.csv")
    (found,) = expand_inputs([str(tmp_path / "in/*/../../other/b.csv")]).inputs
    assert (found.subfolder, found.partitions) == ("", ())


@pytest.mark.parametrize(
    ("folder", "message"),
    [
        (b"day=1/day=2", "its folders give the column 'day' more than one value"),
        (b"day=1/d%61y=2", "its folders give the column 'day' more than one value"),
        (b"k=\xff", r"its folders hold '\\udcff', which is not text in UTF-8"),
        (b"k=a%00b", r"its folders hold 'a\\x00b', which is not text"),
        (b"k=%C3", r"its folders hold '\\udcc3', which is not text"),
    ],
)
def test_folders_that_are_no_columns_are_refused_in_their_turn(
    tmp_path: Path, folder: bytes, message: str
) -> None:
    tree(tmp_path, f"{os.fsdecode(folder)}/a.csv")
    (found,) = expand_inputs([str(tmp_path)]).inputs
    with pytest.raises(UnusableInputError, match=message):
        check_content(found)


def test_two_stars_mean_folders_of_any_depth(tmp_path: Path) -> None:
    """Each file once, though folders match too, and a link leads back."""
    tree(tmp_path, *SPARK, "a.csv", "x/y/b.csv", "_temporary/c.csv", "x/.d/e.csv", "x/notes.md")
    (tmp_path / "x" / "back").symlink_to(tmp_path)
    assert relative(tmp_path / "**" / "*.csv") == ["a.csv", "x/y/b.csv"]
    assert relative(tmp_path / "**" / "*.parquet") == list(SPARK)
    assert relative(tmp_path / "**") == ["a.csv", *SPARK, "x/notes.md", "x/y/b.csv"]
    assert relative(tmp_path / "x" / "**" / "*.csv") == ["y/b.csv"]


def test_links_that_lead_to_themselves_are_inputs_that_can_not_be_read(tmp_path: Path) -> None:
    tree(tmp_path, "a.csv")
    (tmp_path / "loop.csv").symlink_to("loop.csv")
    (tmp_path / "broken.csv").symlink_to("gone")
    assert relative(tmp_path) == ["a.csv", "broken.csv", "loop.csv"]
    for name in ("broken.csv", "loop.csv"):
        with pytest.raises(NoInputError, match=name):
            check_content(InputFile(tmp_path / name, "csv"))


def test_a_subfolder_that_can_not_be_read_is_refused_in_its_turn(unprivileged_folder: Path) -> None:
    """It costs neither the other files nor the exit code."""
    tree(unprivileged_folder, "day=1/a.csv", "day=2/b.csv", "lost+found/c.csv")
    for name in ("day=2", "lost+found"):
        (unprivileged_folder / name).chmod(0)
    try:
        inputs = expand_inputs([str(unprivileged_folder)], recursive=True).inputs
        assert [each.relative for each in inputs] == ["day=1/a.csv", "day=2"]
        with pytest.raises(NoInputError, match="day=2: is a folder that can't be read; check"):
            check_content(inputs[1])
    finally:
        for name in ("day=2", "lost+found"):
            (unprivileged_folder / name).chmod(0o700)


def test_a_tree_may_be_as_deep_as_names_can_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Deeper than functions can call each other."""
    monkeypatch.chdir(tmp_path)
    for _ in range(1200):
        os.mkdir("d")  # noqa: PTH102  # the whole path is longer than a call may take
        os.chdir("d")
    Path("a.csv").write_bytes(b"pixel_0\n1\n")
    monkeypatch.chdir(tmp_path)
    try:
        assert relative(".", recursive=True) == ["d/" * 1200 + "a.csv"]
    finally:
        subprocess.run(["rm", "-rf", "d"], check=True)  # too deep for pytest's own cleaning


def test_what_is_left_out_is_looked_through_for_a_while_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batchdigits.files.inputs.MOST_LOOKED_AT", 3)
    tree(
        tmp_path, "a.csv", "pictures/1.png", "pictures/2.png", "pictures/3.png", "pictures/x/b.csv"
    )
    tree(tmp_path, "few/1.png", "few/x/b.csv", "ours/x.predictions.csv")
    assert relative(tmp_path) == ["a.csv"]
    assert "in a subfolder: few; name" in caplog.text
