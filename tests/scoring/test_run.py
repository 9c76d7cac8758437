"""A run over several inputs: what is left out, refused alone, kept, or not there at all."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from paths import FORMAT_1_BUNDLE, SAMPLE_DATA

import batchdigits
from batchdigits.errors import InterruptedRunError, IOFailedError, NoInputError
from batchdigits.files import commit
from batchdigits.files.places import local
from batchdigits.files.targets import Targets
from batchdigits.predict import main
from batchdigits.rows.options import SMALL_INPUT_BYTES, Machine
from batchdigits.scoring import one_input
from batchdigits.scoring.receipt import Receipt

Run = Callable[..., tuple[int, dict[str, Any], str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `predict` in an empty folder; gives the exit code, the summary and standard error."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, dict[str, Any], str]:
        workers = [] if "--workers" in arguments else ["--workers", "1"]
        code = main([*arguments, *workers])
        captured = capsys.readouterr()
        return code, json.loads(captured.out or "{}"), captured.err

    return run


def deliver(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        suffix = ".parquet" if name.endswith(".parquet") else ".csv"
        shutil.copy(SAMPLE_DATA / f"digits{suffix}", name)


def statuses(summary: dict[str, Any]) -> dict[str, str]:
    return {entry["input"]: entry["status"] for entry in summary["inputs"]}


def names() -> list[str]:
    """What the shell makes of `*`."""
    return sorted(path.name for path in Path().iterdir() if not path.name.startswith("."))


@pytest.mark.parametrize(
    "arguments", [(), ("--output", "scored.csv"), ("--output", "day.v2.csv.gz")]
)
def test_the_same_star_twice_scores_nothing_anew(arguments: tuple[str, ...], run: Run) -> None:
    """The shell's `*` finds the outputs, the rejects and the receipts of the first run."""
    shutil.copy(SAMPLE_DATA / "bad.csv", "day.csv")
    assert run("day.csv", *arguments, "--max-rejects", "100%")[0] == 0
    found = [name for name in names() if not name.endswith(".json")]
    assert len(found) == 3
    code, summary, err = run(*found, "--output", "out/", "--max-rejects", "100%")
    assert (code, statuses(summary), err) == (0, {"day.csv": "scored"}, "")
    code, summary, err = run(".", "--output", "out/", "--max-rejects", "100%")
    assert (code, statuses(summary), err) == (0, {"day.csv": "unchanged"}, "")


def test_the_same_star_completes_a_run_that_was_killed_while_it_published(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then no receipt names the outputs yet, but the `.commit` does."""
    shutil.copy(SAMPLE_DATA / "bad.csv", "day.csv")
    with monkeypatch.context() as patch:
        patch.setattr("batchdigits.files.commit.create_under_lock", failing)
        patch.setattr("batchdigits.files.places.local.discard", lambda _targets: None)
        assert run("day.csv", "--max-rejects", "100%")[0] == 74
    assert names() == ["day.csv", "day.predictions.csv", "day.rejects.csv"]
    code, summary, err = run(*names(), "--max-rejects", "100%")
    assert (code, statuses(summary), err) == (0, {"day.csv": "unchanged"}, "")


def failing(*_arguments: object) -> None:
    raise IOFailedError("the power went")


def test_what_a_receipt_of_another_kind_names_is_an_input(run: Run) -> None:
    """`forms` writes rows for predict, and says so in a receipt of its own kind."""
    deliver("day.csv", "cells.csv")
    assert run("day.csv")[0] == 0
    receipt = json.loads(Path("day.receipt.json").read_text())
    receipt["outputs"]["predictions"]["path"] = "cells.csv"
    Path("cells.receipt.json").write_text(json.dumps({**receipt, "kind": "forms"}))
    code, summary, _ = run("cells.csv", "--output", "out/")
    assert (code, statuses(summary)) == (0, {"cells.csv": "scored"})


@pytest.mark.parametrize("damage", ["{", "[]", None])
def test_a_bad_receipt_stops_no_other_input(damage: str | None, run: Run) -> None:
    deliver("a.csv", "b.csv", "c.parquet")
    receipt = Path("a.receipt.json")
    receipt.mkdir() if damage is None else receipt.write_text(damage)
    code, summary, _ = run(".")
    assert code in (73, 74)
    assert sorted(statuses(summary).values()) == ["refused", "scored", "scored"]


def test_with_nothing_but_outputs_there_is_no_input(run: Run) -> None:
    deliver("day.csv")
    assert run("day.csv")[0] == 0
    code, _, err = run("day.predictions.csv")
    assert (code, "is an output that day.receipt.json names" in err) == (66, True)
    assert run("day.predictions.csv", "--allow-empty")[0] == 0


@pytest.mark.parametrize(
    "colliding",
    [
        ("day.csv", "day.parquet"),
        ("a/day.csv", "b/day.csv", "c/day.parquet"),
        ("day.csv", "./day.csv"),
    ],
)
def test_inputs_that_would_write_one_name_are_refused_alone(
    colliding: tuple[str, ...], run: Run
) -> None:
    deliver(*colliding, "ok.csv")
    code, summary, err = run(*colliding, "ok.csv", "--output", "out/")
    refused = [entry for entry in summary["inputs"] if entry["status"] == "refused"]
    assert (code, len(refused), len(err.splitlines())) == (2, len(colliding), len(colliding))
    assert all("write out/day." in entry["error"] for entry in refused)
    assert statuses(summary)["ok.csv"] == "scored"
    assert not list(Path("out").glob("day.*"))


def test_a_worse_fault_than_a_collision_decides_the_exit_code(run: Run) -> None:
    deliver("day.csv", "day.parquet", "old.csv", "ok.csv")
    Path("old.predictions.csv").write_text("somebody's own")
    Path("empty.csv").touch()
    assert run("day.csv", "day.parquet", "ok.csv", "empty.csv")[0] == 2
    assert run("day.csv", "day.parquet", "ok.csv", "empty.csv", "old.csv")[0] == 73


@pytest.fixture
def scored(run: Run) -> Run:
    """Two inputs that were scored before another bundle was promoted."""
    deliver("in/a.csv", "in/b.parquet")
    assert run("in", "--output", "out")[0] == 0
    return run


PROMOTED = ("--bundle", str(FORMAT_1_BUNDLE))


@pytest.mark.parametrize("changed", [PROMOTED, ("--probabilities",), ("--keep", "form_id")])
def test_what_another_bundle_or_other_options_finished_can_be_kept(
    changed: tuple[str, ...], scored: Run
) -> None:
    before = {path.name: path.read_bytes() for path in Path("out").iterdir()}
    deliver("in/new.csv")
    code, summary, _ = scored("in", "--output", "out", *changed)
    assert (code, sorted(statuses(summary).values())) == (73, ["refused", "refused", "scored"])
    for check in (("--check",), ()):
        code, summary, err = scored("in", "--output", "out", *changed, "--on-other", "keep", *check)
        assert (code, err) == (0, "")
        assert sorted(statuses(summary).values()) == ["kept", "kept", "unchanged"]
    assert summary["inputs"][0]["rows_in"] == 1797
    assert before.items() <= {p.name: p.read_bytes() for p in Path("out").iterdir()}.items()
    code, summary, _ = scored("in", "--output", "out", *changed, "--on-other", "replace")
    assert sorted(statuses(summary).values()) == ["scored", "scored", "unchanged"]


def test_limits_of_this_run_are_not_for_what_is_kept(run: Run) -> None:
    shutil.copy(SAMPLE_DATA / "bad.csv", "day.csv")
    assert run("day.csv", "--max-rejects", "100%")[0] == 0
    assert run("day.csv")[0] == 3
    code, summary, err = run("day.csv", "--on-other", "keep", "--probabilities")
    assert (code, statuses(summary), err) == (0, {"day.csv": "kept"}, "")


@pytest.mark.parametrize("spoil", ["input", "output", "receipt"])
def test_only_complete_outputs_of_the_same_content_are_kept(spoil: str, scored: Run) -> None:
    """Else new rows of a file that was delivered again would be left out in silence."""
    if spoil == "input":
        lines = Path("in/a.csv").read_text().splitlines(keepends=True)
        Path("in/a.csv").write_text("".join(lines[:-1]))
    elif spoil == "output":
        Path("out/a.predictions.csv").write_text("cut")
    else:
        Path("out/a.receipt.json").unlink()
    code, summary, err = scored("in", "--output", "out", *PROMOTED, "--on-other", "keep")
    assert (code, statuses(summary)) == (73, {"in/a.csv": "refused", "in/b.parquet": "kept"})
    assert "only what is complete and of the same content is kept" in err


@pytest.mark.parametrize("argument", ["in", "in/*.csv", "in/"])
def test_a_day_without_deliveries_can_be_a_good_day(argument: str, run: Run) -> None:
    Path("in").mkdir()
    assert run(argument, "--output", "out")[0] == 66
    code, summary, err = run(argument, "--output", "out", "--allow-empty")
    assert (code, summary["inputs"], summary["rows_in"], err) == (0, [], 0, "")
    assert batchdigits.score(argument, allow_empty=True).exit_code == 0
    with pytest.raises(NoInputError):
        batchdigits.score(argument)


@pytest.mark.parametrize("argument", ["gone.csv", "gone", "gone/"])
def test_a_name_that_is_missing_is_no_empty_day(argument: str, run: Run) -> None:
    assert run(argument, "--allow-empty")[0] == 66


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL])
def test_a_file_system_without_locks_is_named_and_can_be_used_by_one_run_at_a_time(
    number: int, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(_descriptor: int, _operation: int) -> None:
        raise OSError(number, "no locks")

    monkeypatch.setattr(fcntl, "flock", flock)
    deliver("day.csv", "day2.csv")
    for check in ((), ("--check",)):
        Path(".day.receipt.json.lock").touch()  # as a killed run leaves it
        code, _, err = run("day.csv", "day2.csv", *check)
        assert (code, "has no locks (flock)" in err, "--no-lock" in err) == (73, True, True)
        Path(".day.receipt.json.lock").unlink(missing_ok=True)
    code, _, err = run("day.csv", "day2.csv", "--no-lock")
    assert (code, err) == (0, "")
    assert batchdigits.score("day.csv", lock=False).inputs[0].status == "unchanged"
    assert not list(Path().glob(".*"))


@pytest.mark.parametrize("workers", ["2", "4"])
def test_a_thread_that_can_not_be_started_is_for_another_time(
    workers: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    deliver("a.csv", "b.parquet")
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        code, summary, err = run("a.csv", "b.parquet", "--workers", workers)
        assert (code, statuses(summary)) == (75, {"a.csv": "refused", "b.parquet": "refused"})
        assert "a.csv: no thread or process could be started" in err
        assert not list(Path().glob("*.predictions.*"))
        assert run("a.csv", "b.parquet")[0] == 0, "one worker needs no other thread"


@pytest.mark.parametrize(
    ("ok", "codes"),
    [
        ((), {"rejects": 3, "drift": 4, "both": 3, "fine": 0, "gone": 66}),
        ("rejects", {"rejects": 0, "drift": 4, "both": 4, "fine": 0, "gone": 66}),
        (["drift"], {"rejects": 3, "drift": 0, "both": 3, "fine": 0, "gone": 66}),
        ("rejects,drift", {"rejects": 0, "drift": 0, "both": 0, "fine": 0, "gone": 66}),
    ],
)
def test_ok_makes_success_of_its_causes_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, ok: Any, codes: dict[str, int]
) -> None:
    """What an input exceeds besides, still counts; the receipt keeps the code, the log the line."""
    lines = (SAMPLE_DATA / "digits.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    fives_up = [line for line in lines[1:] if line.split(",")[3] > "4"]
    drifting = "".join([lines[0], *fives_up])
    (tmp_path / "drift.csv").write_text(drifting, encoding="utf-8")
    (tmp_path / "both.csv").write_text(f"{drifting}\n,\n,\n", encoding="utf-8")
    shutil.copy(SAMPLE_DATA / "bad.csv", tmp_path / "rejects.csv")
    (tmp_path / "fine.csv").write_text("".join(lines[:9]))
    for name, code in codes.items():
        summary = batchdigits.score(tmp_path / f"{name}.csv", max_drift=0, ok=ok)
        assert summary.exit_code == code, name
    receipts = {
        name: Receipt.read(tmp_path / f"{name}.receipt.json").exit_code
        for name in codes
        if name != "gone"
    }
    assert receipts == {"rejects": 3, "drift": 4, "both": 3, "fine": 0}
    levels = {record.levelname for record in caplog.records if "published" in record.message}
    assert ("ERROR" in levels, "WARNING" in levels) == (len(ok) != 13, bool(ok))
    together = batchdigits.score(
        [tmp_path / "fine.csv", tmp_path / "drift.csv"], max_drift=0, ok=ok
    )
    assert together.exit_code == codes["drift"]


def test_a_file_that_can_not_be_published_is_told_before_the_next_ones_messages(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each file is published while the next is scored; messages and results keep the order."""
    deliver("a.parquet", "c.parquet")
    shutil.copy(SAMPLE_DATA / "bad.csv", "b.csv")
    whole = commit.publish

    def publish(targets: Targets, *arguments: Any, **keywords: Any) -> None:
        time.sleep(0.1)  # the next file would be done by now
        if targets.predictions.name.startswith("a."):
            raise IOFailedError("a.parquet: the disk is full")
        whole(targets, *arguments, **keywords)

    monkeypatch.setattr(local, "publish", publish)
    code, summary, err = run("a.parquet", "b.csv", "c.parquet", "--workers", "2")
    assert code == 74
    assert list(statuses(summary).values()) == ["refused", "scored", "scored"]
    first, second = err.splitlines()
    assert "a.parquet: the disk is full" in first
    assert "b.csv: 16 of 36 rows were rejected" in second
    assert names() == [
        "a.parquet",
        "b.csv",
        "b.predictions.csv",
        "b.receipt.json",
        "b.rejects.csv",
        "c.parquet",
        "c.predictions.parquet",
        "c.receipt.json",
    ]
    assert not list(Path().glob(".*"))


def test_a_signal_while_a_file_is_scored_completes_the_one_before_it(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver("a.parquet", "b.parquet")
    whole = commit.publish
    scoring = threading.Event()

    def publish(*arguments: Any, **keywords: Any) -> None:
        assert scoring.wait(10)
        whole(*arguments, **keywords)

    stream = one_input._stream

    def interrupted(source: Any, outputs: Any, watch: Any, work: Any, name: str) -> None:
        if name == "b.parquet":
            scoring.set()
            raise InterruptedRunError(signal.SIGTERM)
        stream(source, outputs, watch, work, name)

    monkeypatch.setattr(local, "publish", publish)
    monkeypatch.setattr(one_input, "_stream", interrupted)
    code, _, err = run("a.parquet", "b.parquet", "--workers", "2")
    assert (code, len(err.splitlines())) == (143, 1)
    assert names() == ["a.parquet", "a.predictions.parquet", "a.receipt.json", "b.parquet"]
    assert not list(Path().glob(".*"))


@pytest.mark.parametrize("inputs", [["a.parquet"], ["a.parquet", "b.parquet"]])
def test_a_signal_between_scoring_and_publishing_leaves_nothing(
    run: Run, monkeypatch: pytest.MonkeyPatch, inputs: list[str]
) -> None:
    """The process ends without Python's shutdown: what nobody lets go of would stay."""
    deliver(*inputs)

    def interrupted(*_: object) -> None:
        raise InterruptedRunError(signal.SIGTERM)

    monkeypatch.setattr(one_input.ScoredInput, "result", interrupted)
    code, _, _ = run(*inputs, "--workers", "1")
    assert code == 143
    assert names() == inputs
    assert not list(Path().glob(".*"))


def test_an_error_that_a_lost_signal_led_to_is_not_the_one_that_is_told(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Arrow asks whether a file is closed, and takes any exception for a yes."""
    deliver("a.parquet", "b.parquet")

    class Asked:
        def __del__(self) -> None:
            os.kill(os.getpid(), signal.SIGTERM)

    def written(*_: object) -> None:
        Asked()
        raise ValueError("I/O operation on closed file")

    monkeypatch.setattr(one_input, "_stream", written)
    code, _, err = run("a.parquet", "b.parquet")
    assert (code, len(err.splitlines())) == (143, 1)
    assert "interrupted by signal 15" in err
    assert not list(Path().glob(".*"))
    assert batchdigits.score("c.parquet").exit_code == 66  # the signal is not that of a later run


def test_warnings_of_a_kept_file_wait_for_the_messages_of_the_file_before_it(run: Run) -> None:
    deliver("b.csv")
    run("b.csv")
    reviewed = {
        "predictions": {"sha256": "of others"},
        "outputs": {"predictions": {"path": "b.reviewed.csv"}},
    }
    Path("b.reviewed.receipt.json").write_text(json.dumps(reviewed))
    shutil.copy(SAMPLE_DATA / "bad.csv", "a.csv")
    flags = ("--on-other", "keep", "--strangeness", "--workers", "2")
    code, summary, err = run("a.csv", "b.csv", *flags)
    assert (code, list(statuses(summary).values())) == (3, ["scored", "kept"])
    first, second = err.splitlines()
    assert "a.csv: 16 of 36 rows were rejected" in first
    assert "b.csv: b.reviewed.csv was reviewed on predictions" in second


def test_a_small_input_takes_one_thread_unless_workers_are_asked_for() -> None:
    small, large = SMALL_INPUT_BYTES, SMALL_INPUT_BYTES + 1
    assert Machine().for_bytes(small).threads == 1
    assert Machine().for_bytes(large) == Machine()
    assert Machine(workers=4).for_bytes(small).threads == 4


def test_a_command_allocates_by_jemalloc_and_a_program_as_it_chose(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "jemalloc" not in pa.supported_memory_backends():
        pytest.skip("this pyarrow is built without jemalloc")
    monkeypatch.delenv("ARROW_DEFAULT_MEMORY_POOL", raising=False)
    deliver("day.parquet")
    before = pa.default_memory_pool()
    try:
        pa.set_memory_pool(pa.system_memory_pool())
        assert batchdigits.score("day.parquet").exit_code == 0
        assert pa.default_memory_pool().backend_name == "system"
        assert run("day.parquet", "--output", "again.parquet")[0] == 0
        assert pa.default_memory_pool().backend_name == "jemalloc"
    finally:
        pa.set_memory_pool(before)
