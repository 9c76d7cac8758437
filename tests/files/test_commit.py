"""Outputs appear together with a receipt of their digests, and are found again by it."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from batchdigits.errors import InternalError, IOFailedError, OutputError
from batchdigits.files.atomic import temporary_name
from batchdigits.files.commit import (
    WrittenFile,
    discard,
    outputs_match,
    publish,
    read_receipt,
    recover,
)
from batchdigits.files.inputs import Targets
from batchdigits.files.streams import open_output


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
    return WrittenFile(path, stream.digest(), stream.bytes_written)


def run(targets: Targets, predictions: bytes, rejects: bytes | None = None, **more: Any) -> None:
    written = [write(targets.predictions, predictions)]
    if rejects is not None:
        written.append(write(targets.rejects, rejects))
    publish(targets, written, {"format": 1, **more})


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
    assert outputs_match(targets, receipt)


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
    assert outputs_match(targets, receipt)


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
    assert not outputs_match(targets, receipt)


def test_rejects_that_are_named_must_be_there(targets: Targets) -> None:
    run(targets, b"whole", b"rejected")
    receipt = read_receipt(targets.receipt)
    assert receipt is not None
    targets.rejects.unlink()
    assert not outputs_match(targets, receipt)


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
    ],
)
def test_a_commit_that_makes_no_sense_is_discarded(targets: Targets, outputs: Any) -> None:
    targets.commit.write_text(json.dumps({"outputs": outputs}))
    assert not outputs_match(targets, {"outputs": outputs})
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

    def fail(path: Path) -> bool:
        raise OutputError("stop")

    with monkeypatch.context() as patch:
        patch.setattr("batchdigits.files.commit.os.path.lexists", fail)
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


def test_discarding_never_raises(targets: Targets, monkeypatch: pytest.MonkeyPatch) -> None:
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
        with pytest.raises(InternalError, match=r"bytes, expected the 5 written"):
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
