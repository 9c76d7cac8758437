"""Outputs appear together with a receipt of their digests, and are found again by it."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hostile_files import HOSTILE

from batchdigits.errors import InternalError, InterruptedRunError, IOFailedError, OutputError
from batchdigits.files.atomic import temporary_name
from batchdigits.files.commit import (
    WrittenFile,
    check_commit,
    discard,
    named_outputs,
    outputs_match,
    publish,
    read_receipt,
    recover,
)
from batchdigits.files.streams import open_output
from batchdigits.files.targets import Targets


@pytest.fixture
def targets(tmp_path: Path) -> Targets:
    return Targets(
        predictions=tmp_path / "forms.predictions.csv",
        rejects=tmp_path / "forms.rejects.csv",
        receipt=tmp_path / "forms.receipt.json",
        kind="csv",
    )


def write(path: Path, content: bytes) -> WrittenFile:
    stream = open_output(temporary_name(path), None)
    stream.write(content)
    stream.close()
    return WrittenFile(path, stream.digest(), stream.bytes_written, stream.inode)


def run(targets: Targets, predictions: bytes, rejects: bytes | None = None, **more: Any) -> None:
    publish(targets, written_by(targets, predictions, rejects), {"format": 1, **more})


def written_by(targets: Targets, predictions: bytes, rejects: bytes | None) -> list[WrittenFile]:
    written = [write(targets.predictions, predictions)]
    if rejects is not None:
        written.append(write(targets.rejects, rejects))
    return written


def matches(targets: Targets, receipt: Any) -> bool:
    outputs = named_outputs(targets.folder, receipt)
    return outputs is not None and outputs_match(targets, outputs)


def sha256(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def contents(targets: Targets) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in targets.folder.iterdir()}


def test_publishing_leaves_the_outputs_and_a_receipt_that_matches(targets: Targets) -> None:
    run(targets, b"1\n2\n", b"bad\n", input="fórms.csv")
    assert set(contents(targets)) == {path.name for path in targets.finals}
    receipt = read_receipt(targets.receipt)
    assert receipt == {
        "format": 1,
        "input": "fórms.csv",
        "outputs": {
            "predictions": {
                "path": "forms.predictions.csv",
                "sha256": sha256(b"1\n2\n"),
                "bytes": 4,
            },
            "rejects": {
                "path": "forms.rejects.csv",
                "sha256": sha256(b"bad\n"),
                "bytes": 4,
            },
        },
    }
    assert matches(targets, receipt)


def test_a_receipt_is_json_for_people_in_the_order_given(targets: Targets) -> None:
    run(targets, b"", zebra=1, ant="ü")
    text = targets.receipt.read_text(encoding="utf-8")
    assert text.startswith('{\n  "format": 1,\n  "zebra": 1,\n  "ant": "ü",\n  "outputs": {')
    assert text.endswith("}\n")
    assert json.loads(text)["outputs"]["rejects"] is None


def test_outputs_keep_the_place_that_the_receipt_gives_them(targets: Targets) -> None:
    run(targets, b"", outputs=None, after=1)
    assert list(read_receipt(targets.receipt) or {}) == ["format", "outputs", "after"]


def test_a_file_name_that_is_no_utf8_survives_the_receipt(targets: Targets) -> None:
    name = os.fsdecode(b"forms-\xff.csv")
    run(targets, b"", input=name)
    assert (read_receipt(targets.receipt) or {})["input"] == name
    targets.receipt.read_bytes().decode("utf-8")


def test_rejects_of_an_earlier_run_do_not_outlive_it(targets: Targets) -> None:
    run(targets, b"old", b"rejected")
    run(targets, b"new")
    assert set(contents(targets)) == {"forms.predictions.csv", "forms.receipt.json"}
    receipt = read_receipt(targets.receipt)
    assert receipt is not None
    assert matches(targets, receipt)


@pytest.mark.parametrize("spoil", ["change", "remove", "resize", "extra rejects", "other name"])
def test_a_receipt_does_not_match_what_is_not_there_or_not_named(
    targets: Targets, spoil: str
) -> None:
    run(targets, b"whole")
    receipt = read_receipt(targets.receipt)
    assert receipt is not None
    if spoil == "change":
        targets.predictions.write_bytes(b"whale")
    elif spoil == "remove":
        targets.predictions.unlink()
    elif spoil == "resize":
        targets.predictions.write_bytes(b"whole\n")
    elif spoil == "extra rejects":
        targets.rejects.write_bytes(b"")
    else:
        receipt["outputs"]["predictions"]["path"] = "other.csv"
    assert not matches(targets, receipt)


def test_rejects_that_are_named_must_be_there(targets: Targets) -> None:
    run(targets, b"whole", b"rejected")
    receipt = read_receipt(targets.receipt)
    assert receipt is not None
    targets.rejects.unlink()
    assert not matches(targets, receipt)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"outputs": []}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_what_is_no_receipt_of_ours_reads_as_none(targets: Targets, content: bytes) -> None:
    targets.receipt.write_bytes(content)
    assert read_receipt(targets.receipt) is None


def test_an_absent_receipt_reads_as_none_and_an_unreadable_one_is_told(targets: Targets) -> None:
    assert read_receipt(targets.receipt) is None
    targets.receipt.mkdir()
    with pytest.raises(IOFailedError, match=r"forms\.receipt\.json: can't be read"):
        read_receipt(targets.receipt)


@pytest.mark.parametrize(
    "outputs",
    [
        {},
        {"predictions": None},
        {"predictions": {"path": "../evil", "sha256": "sha256:0", "bytes": 3}},
        {"predictions": {"path": "forms.predictions.csv", "sha256": 0, "bytes": 3}},
        {"predictions": {"path": "forms.predictions.csv", "sha256": "sha256:0"}},
        *(
            {"predictions": {"path": name, "sha256": "sha256:0", "bytes": 3}, "rejects": None}
            for name in ("", ".", "..", "a/b", "/a", "a\0", "a" * 256, "\ud800")
        ),
    ],
)
def test_a_commit_that_makes_no_sense_is_discarded(targets: Targets, outputs: Any) -> None:
    commit = {"receipt": {"outputs": outputs}, "replaced": []}
    targets.commit.write_text(json.dumps(commit))
    assert not matches(targets, {"outputs": outputs})
    recover(targets)
    assert contents(targets) == {}


def test_recovering_removes_our_leftovers_and_nothing_else(targets: Targets) -> None:
    run(targets, b"old", b"rejected")
    old = contents(targets)
    others = {".forms.predictions.parquet.tmp": b"1", "forms.csv": b"2", ".other.tmp": b"3"}
    for name, content in others.items():
        (targets.folder / name).write_bytes(content)
    for path in targets.leftovers:
        path.write_bytes(b"half")
    recover(targets)
    assert contents(targets) == old | others


def begin_commit(targets: Targets, monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit that failed right after its `.commit` was written."""

    def fail(*_arguments: object) -> None:
        raise OutputError("stop")

    with monkeypatch.context() as patch:
        patch.setattr("batchdigits.files.commit._finish", fail)
        with pytest.raises(OutputError, match="stop"):
            run(targets, b"new", b"new rejects")
    assert targets.commit.exists()


def test_discarding_removes_temporaries_and_is_content_with_none(targets: Targets) -> None:
    run(targets, b"old")
    old = contents(targets)
    write(targets.predictions, b"half")
    write(targets.rejects, b"half")
    for _ in range(2):
        discard(targets)
        assert contents(targets) == old


def test_discarding_in_the_middle_of_a_commit_completes_it(
    targets: Targets, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(targets, b"old")
    begin_commit(targets, monkeypatch)
    discard(targets)
    assert targets.predictions.read_bytes() == b"new"
    assert set(contents(targets)) == {path.name for path in targets.finals}


def test_discarding_leaves_to_the_next_run_what_it_cannot_do(
    targets: Targets, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin_commit(targets, monkeypatch)
    targets.predictions.mkdir()  # the rename onto it fails
    discard(targets)
    assert temporary_name(targets.predictions).exists()
    assert targets.commit.exists()


def test_a_commit_whose_files_are_damaged_is_discarded(
    targets: Targets, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(targets, b"old")
    old = contents(targets)
    begin_commit(targets, monkeypatch)
    temporary_name(targets.predictions).write_bytes(b"net")
    recover(targets)
    assert contents(targets) == old


def test_a_complete_final_file_wins_over_a_temporary(
    targets: Targets, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin_commit(targets, monkeypatch)
    temporary_name(targets.predictions).replace(targets.predictions)
    temporary_name(targets.predictions).write_bytes(b"half")
    recover(targets)
    assert targets.predictions.read_bytes() == b"new"
    assert set(contents(targets)) == {path.name for path in targets.finals}


def test_a_temporary_of_another_length_is_not_published(targets: Targets) -> None:
    written = write(targets.predictions, b"whole")
    for content in (b"who", None):
        temporary = temporary_name(targets.predictions)
        temporary.write_bytes(content) if content else temporary.unlink()
        with pytest.raises(IOFailedError, match=r"5 bytes were written"):
            publish(targets, [written], {})
    discard(targets)
    assert contents(targets) == {}


def test_only_the_targets_can_be_published(targets: Targets) -> None:
    rejects = write(targets.rejects, b"x")
    other = write(targets.folder / "other", b"x")
    predictions = write(targets.predictions, b"x")
    for written in ([rejects], [predictions, other]):
        with pytest.raises(InternalError, match="published with"):
            publish(targets, written, {})
    assert not targets.predictions.exists()


def test_a_failed_rename_is_told_and_the_next_run_completes_it(targets: Targets) -> None:
    run(targets, b"old")
    written = [write(targets.predictions, b"new"), write(targets.rejects, b"rejected")]
    targets.rejects.mkdir()
    with pytest.raises(OutputError, match=r"forms\.rejects\.csv: can't be written"):
        publish(targets, written, {})
    assert targets.predictions.read_bytes() == b"old"
    targets.rejects.rmdir()
    recover(targets)
    assert targets.predictions.read_bytes() == b"new"
    assert targets.rejects.read_bytes() == b"rejected"


def other_format(targets: Targets) -> Targets:
    """The targets of a run that shares nothing but the receipt."""
    return Targets(
        predictions=targets.folder / "forms.predictions.parquet",
        rejects=targets.folder / "forms.rejects.parquet",
        receipt=targets.receipt,
        kind="parquet",
    )


def test_a_commit_is_ended_by_any_run_on_its_receipt(
    targets: Targets, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So it can't come back later and take the receipt from what was published since."""
    other = other_format(targets)
    begin_commit(targets, monkeypatch)
    recover(other)
    assert set(contents(targets)) == {path.name for path in targets.finals}
    run(other, b"theirs")
    recover(targets)
    assert matches(other, read_receipt(other.receipt))


def test_a_damaged_commit_of_other_outputs_is_discarded_with_its_temporaries(
    targets: Targets, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin_commit(targets, monkeypatch)
    temporary_name(targets.rejects).write_bytes(b"half")
    recover(other_format(targets))
    assert contents(targets) == {}


def test_outputs_of_the_receipt_that_is_replaced_go_with_it(targets: Targets) -> None:
    run(other_format(targets), b"old", b"old rejects")
    run(targets, b"new")
    assert set(contents(targets)) == {"forms.predictions.csv", "forms.receipt.json"}
    assert matches(targets, read_receipt(targets.receipt))


def test_what_an_old_receipt_names_stays_if_it_was_changed_or_is_an_input(
    targets: Targets,
) -> None:
    other = other_format(targets)
    run(other, b"old", b"old rejects")
    other.rejects.write_bytes(b"corrected!!")
    status = other.predictions.stat()
    run(replace(targets, inputs=frozenset({(status.st_dev, status.st_ino)})), b"new")
    assert other.predictions.read_bytes() == b"old"
    assert other.rejects.read_bytes() == b"corrected!!"


def test_a_receipt_that_names_files_of_another_stem_removes_none(targets: Targets) -> None:
    payroll = targets.folder / "payroll.csv"
    payroll.write_bytes(b"1")
    entry = {"path": payroll.name, "sha256": sha256(b"1"), "bytes": 1}
    targets.receipt.write_text(json.dumps({"outputs": {"predictions": entry, "rejects": None}}))
    run(targets, b"new")
    assert payroll.exists()


def test_a_signal_while_discarding_is_told_after_all_is_gone(
    targets: Targets, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(targets.predictions, b"half")
    signals = [InterruptedRunError(15)]

    def interrupted(_targets: Targets) -> None:
        if signals:
            raise signals.pop()
        recover(targets)

    monkeypatch.setattr("batchdigits.files.commit.recover", interrupted)
    with pytest.raises(InterruptedRunError):
        discard(targets)
    assert contents(targets) == {}


@pytest.mark.parametrize("role", ["predictions", "rejects", "receipt"])
def test_a_file_that_appeared_during_the_run_is_not_replaced(targets: Targets, role: str) -> None:
    written = written_by(targets, b"new", b"new rejects")
    theirs = getattr(targets, role)
    theirs.write_bytes(b"theirs")
    with pytest.raises(OutputError, match=f"{theirs.name}: appeared while the run was scoring"):
        publish(targets, written, {}, overwrite=False)
    discard(targets)
    assert contents(targets) == {theirs.name: b"theirs"}
    publish(targets, written_by(targets, b"new", b"new rejects"), {}, overwrite=True)
    assert targets.predictions.read_bytes() == b"new"


@pytest.mark.parametrize("links", [True, False], ids=["links", "no links"])
@pytest.mark.parametrize("role", ["predictions", "rejects", "receipt"])
def test_a_file_that_appears_in_the_middle_of_the_commit_is_not_replaced(
    targets: Targets, role: str, links: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names that the commit took before are given back."""
    theirs = getattr(targets, role)
    really = os.link

    def link(source: Path, target: Path, **options: Any) -> None:
        if target == theirs:
            theirs.write_bytes(b"theirs")
        if not links:
            raise OSError(errno.EPERM, "no links on this file system")
        really(source, target, **options)

    monkeypatch.setattr(os, "link", link)
    with pytest.raises(OutputError, match=f"{theirs.name}: appeared while"):
        publish(targets, written_by(targets, b"new", b"rejects"), {}, overwrite=False)
    discard(targets)
    assert contents(targets) == {theirs.name: b"theirs"}


def test_without_links_a_commit_to_new_names_renames(
    targets: Targets, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(*_names: object, **_options: object) -> None:
        raise OSError(errno.EOPNOTSUPP, "no links on this file system")

    monkeypatch.setattr(os, "link", link)
    publish(targets, written_by(targets, b"new", b"rejects"), {}, overwrite=False)
    assert set(contents(targets)) == {path.name for path in targets.finals}


def spoil_bytes(temporary: Path) -> None:
    temporary.write_bytes(b"other"[: temporary.stat().st_size].ljust(temporary.stat().st_size))


def spoil_length(temporary: Path) -> None:
    os.truncate(temporary, 1)


def spoil_file(temporary: Path) -> None:
    copy = temporary.read_bytes()
    temporary.rename(temporary.with_name("kept"))
    temporary.write_bytes(copy)


SPOILED = [Path.unlink, spoil_bytes, spoil_length, spoil_file]


@pytest.mark.parametrize("overwrite", [True, False])
@pytest.mark.parametrize("role", ["predictions", "rejects"])
@pytest.mark.parametrize("spoil", SPOILED)
def test_a_temporary_that_is_not_the_file_that_was_written_is_an_error(
    targets: Targets, spoil: Callable[[Path], None], role: str, overwrite: bool
) -> None:
    """Gone, changed, cut or replaced by somebody's copy: nothing is published."""
    written = written_by(targets, b"new predictions", b"new rejects")
    spoil(temporary_name(getattr(targets, role)))
    with pytest.raises(IOFailedError, match=r"bytes were written, but .*nothing was published"):
        publish(targets, written, {}, overwrite=overwrite)
    discard(targets)
    assert set(contents(targets)) <= {"kept"}


def planted(targets: Targets, *names: str, replaced: Sequence[str] = ()) -> None:
    """A `.commit` that would give, and remove, files of these names."""

    def entry(name: str) -> dict[str, Any]:
        data = (targets.folder / name).read_bytes() if (targets.folder / name).exists() else b"new"
        return {"path": name, "sha256": sha256(data), "bytes": len(data)}

    for name in names:
        temporary_name(targets.folder / name).write_bytes(b"new")
    predictions, *rejects = [{"path": n, "sha256": sha256(b"new"), "bytes": 3} for n in names]
    receipt = {"outputs": {"predictions": predictions, "rejects": rejects[0] if rejects else None}}
    commit = {"receipt": receipt, "replaced": [entry(name) for name in replaced]}
    targets.commit.write_text(json.dumps(commit))


@pytest.mark.parametrize(
    ("names", "replaced"),
    [
        (("payroll.csv",), ()),
        (("forms.predictions.csv", "payroll.csv"), ()),
        (("forms.predictions.csv",), ("payroll.csv",)),
        (("forms.predictions.csv",), ("formsx.predictions.csv",)),
    ],
)
def test_a_planted_commit_reaches_no_file_of_another_stem(
    targets: Targets, names: tuple[str, ...], replaced: tuple[str, ...]
) -> None:
    for name in ("payroll.csv", "formsx.predictions.csv"):
        (targets.folder / name).write_bytes(b"somebody's own")
    planted(targets, *names, replaced=replaced)
    before = contents(targets)
    for step in (recover, check_commit):
        with pytest.raises(OutputError, match=r"\.commit: names .*which no run of it writes"):
            step(targets)
    discard(targets)
    assert contents(targets) == before


@pytest.mark.parametrize("content", [None, b"not JSON", b"{}"])
def test_the_commit_of_another_user_is_left_alone(
    targets: Targets, content: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted(targets, "forms.predictions.csv")
    if content is not None:
        targets.commit.write_bytes(content)
    before = contents(targets)
    monkeypatch.setattr(os, "geteuid", lambda: targets.commit.stat().st_uid + 1)
    with pytest.raises(OutputError, match=r"\.commit: belongs to user \d+, this is \d+"):
        recover(targets)
    discard(targets)
    assert contents(targets) == before


@pytest.mark.parametrize("plant", HOSTILE)
def test_whatever_lies_in_the_place_of_a_receipt_or_a_commit_is_no_receipt(
    targets: Targets, plant: Callable[[Path], None]
) -> None:
    plant(targets.receipt)
    plant(targets.commit)
    assert read_receipt(targets.receipt) is None
    with suppress(OutputError):  # a link, a pipe, too large: it stays, and is said
        recover(targets)


def test_in_a_sticky_folder_the_file_of_another_user_is_refused_before_the_commit(
    targets: Targets, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the commit would wait there, and the other user's next run would complete it."""
    targets.predictions.write_bytes(b"theirs")
    targets.folder.chmod(0o1777)
    written = written_by(targets, b"new", None)
    monkeypatch.setattr(os, "geteuid", lambda: targets.folder.stat().st_uid + 1)
    with pytest.raises(OutputError, match="only its owner may replace it"):
        publish(targets, written, {})
    discard(targets)
    assert contents(targets) == {"forms.predictions.csv": b"theirs"}


def test_a_receipt_that_nobody_could_read_again_is_not_published(targets: Targets) -> None:
    with pytest.raises(OutputError, match="would have more than the 4194304 bytes that are read"):
        run(targets, b"new", keep=["x" * 2**12] * 2**10)
    discard(targets)
    assert contents(targets) == {}
    run(targets, b"new", keep=["x" * 2**12] * (2**10 - 10))
    assert matches(targets, read_receipt(targets.receipt))
