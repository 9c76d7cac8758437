"""Objects as the place of outputs: runs that stall, lose and are killed, in the memory's store."""

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from paths import SAMPLE_DATA

from batchdigits.api import open_bundle, plan_run
from batchdigits.cli.flags import keywords_of
from batchdigits.files.objects import client
from batchdigits.files.places import objects
from batchdigits.files.written import WrittenFile
from batchdigits.predict import main, parser
from batchdigits.scoring.run import gather
from batchdigits.spark.files import score_file

pytestmark = pytest.mark.cloud

GOOD = (SAMPLE_DATA / "digits.csv").read_bytes()
BAD = (SAMPLE_DATA / "bad.csv").read_bytes()
RUN = ("s3://b/a.csv", "--output", "s3://b/", "--max-rejects", "100%")
PREDICTIONS, REJECTS, RECEIPT = "a.predictions.csv", "a.rejects.csv", "a.receipt.json"


class Killed(BaseException):
    """What stands for a kill: nothing is done after it."""


class Memory:
    """A bucket in memory, in which something happens at the next PUT of a name."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from obstore.store import MemoryStore

        self.store = MemoryStore()
        self.before: dict[str, Callable[[], Any]] = {}
        self.after: dict[str, Callable[[], Any]] = {}
        put = client.put
        monkeypatch.setattr(client, "open_store", lambda *_: self.store)

        def at_put(address: Any, *others: Any) -> Any:
            self.before.pop(address.key, int)()
            done = put(address, *others)
            self.after.pop(address.key, int)()
            return done

        monkeypatch.setattr(client, "put", at_put)

    def put(self, name: str, data: bytes) -> None:
        self.store.put(name, data)

    def get(self, name: str) -> bytes:
        return bytes(self.store.get(name).bytes())

    def names(self) -> list[str]:
        return sorted(each["path"] for each in self.store.list().collect())

    def receipt(self) -> Any:
        return json.loads(self.get(RECEIPT))


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Memory:
    monkeypatch.chdir(tmp_path)
    memory = Memory(monkeypatch)
    memory.put("a.csv", BAD)
    return memory


def killed() -> None:
    raise Killed


def mended(bucket: Memory, *flags: str) -> None:
    """Another run whose input has no bad rows, from beginning to end."""
    bucket.put("a.csv", GOOD)
    assert main([*RUN, *flags]) == 0


@pytest.mark.parametrize(
    ("flags", "left"),
    [((), PREDICTIONS), (("--format", "parquet"), "a.predictions.parquet")],
)
def test_a_run_that_lost_removes_what_no_receipt_names(
    flags: tuple[str, ...], left: str, bucket: Memory, capsys: pytest.CaptureFixture[str]
) -> None:
    bucket.before[REJECTS] = lambda: mended(bucket, *flags)
    assert main([*RUN]) == 75
    assert "another run is publishing it" in capsys.readouterr().err
    assert bucket.names() == ["a.csv", left, RECEIPT]
    assert main([*RUN, *flags]) == 0
    assert bucket.receipt()["rows_rejected"] == 0


def test_a_run_that_lost_and_was_killed_leaves_what_the_next_run_names(
    bucket: Memory, capsys: pytest.CaptureFixture[str]
) -> None:
    bucket.before[REJECTS] = lambda: mended(bucket)
    bucket.after[REJECTS] = killed
    with suppress(Killed):
        main([*RUN])
    assert REJECTS in bucket.names()
    capsys.readouterr()
    assert main([*RUN]) == 73
    assert f"its receipt names no rejects, but {REJECTS} is there" in capsys.readouterr().err
    assert main([*RUN, "--overwrite"]) == 0
    assert bucket.names() == ["a.csv", PREDICTIONS, RECEIPT]


def test_a_run_that_lost_removes_nothing_of_the_winner(bucket: Memory) -> None:
    # Before the loser's PUT the winner needs the rejects, too; after it they are the loser's.
    bucket.before[PREDICTIONS] = lambda: main([*RUN, "--probabilities"])
    assert main([*RUN]) == 75
    assert bucket.names() == ["a.csv", PREDICTIONS, RECEIPT, REJECTS]
    assert bucket.receipt()["options"]["probabilities"]
    assert main([*RUN, "--probabilities"]) == 0


def test_a_run_that_stalls_before_it_removes_old_rejects_removes_none_of_another(
    bucket: Memory,
) -> None:
    assert main([*RUN]) == 0
    bucket.put("a.csv", GOOD)

    def other() -> None:
        bucket.put("a.csv", BAD)
        assert main([*RUN, "--overwrite"]) == 0

    bucket.after[PREDICTIONS] = other
    assert main([*RUN, "--overwrite"]) == 75
    assert bucket.receipt()["rows_rejected"] > 0
    assert REJECTS in bucket.names()


def test_a_run_whose_twin_has_published_meanwhile_ends_as_busy(
    bucket: Memory, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    verify, twin = objects.verify_written, [lambda: main([*RUN])]

    def at_verify(output: WrittenFile) -> None:
        if twin:
            twin.pop()()
        verify(output)

    monkeypatch.setattr(objects, "verify_written", at_verify)
    assert main([*RUN]) == 75
    assert "another run is publishing it" in capsys.readouterr().err
    assert main([*RUN]) == 0


def test_an_object_that_appears_is_kept_and_so_is_the_reservation_of_another(
    bucket: Memory, capsys: pytest.CaptureFixture[str]
) -> None:
    bucket.before[REJECTS] = lambda: bucket.put(PREDICTIONS, b"mine")
    for line in ("appeared while the run was scoring", "exists already"):
        assert main([*RUN]) == 73
        assert f"s3://b/{PREDICTIONS}: {line}" in capsys.readouterr().err
        assert bucket.get(PREDICTIONS) == b"mine"
    bucket.store.delete(PREDICTIONS)  # as the message says
    assert main([*RUN]) == 0
    assert bucket.receipt()["outputs"]["rejects"]["path"] == REJECTS


@pytest.mark.parametrize("at", [PREDICTIONS, REJECTS, RECEIPT])
def test_after_two_kills_the_next_run_removes_what_both_left(at: str, bucket: Memory) -> None:
    for flags in ((), ("--probabilities",)):
        bucket.after[at] = killed
        with suppress(Killed):
            main([*RUN, *flags])
    mended(bucket)
    assert bucket.names() == ["a.csv", PREDICTIONS, RECEIPT]


def test_what_appears_after_a_kill_is_not_replaced(bucket: Memory) -> None:
    bucket.after[RECEIPT] = killed
    with suppress(Killed):
        main([*RUN])
    bucket.put(PREDICTIONS, b"mine")
    assert main([*RUN]) == 73
    assert bucket.get(PREDICTIONS) == b"mine"
    assert main([*RUN, "--overwrite"]) == 0


def test_kept_rejects_are_replaced_but_not_those_of_another_run(
    bucket: Memory, capsys: pytest.CaptureFixture[str]
) -> None:
    head, *_ = GOOD.splitlines()
    hopeless = head + b"\n" + b",".join([b"x"] * (head.count(b",") + 1)) + b"\n"
    for data in (hopeless, hopeless + hopeless.splitlines()[1] + b"\n"):
        bucket.put("a.csv", data)
        assert main([*RUN]) == 65
        assert "nothing was published but" in capsys.readouterr().err
        assert bucket.names() == ["a.csv", REJECTS]
    assert bucket.get(REJECTS).count(b"\n") > 2
    bucket.put("a.csv", BAD)
    # While this run scores, after it has seen the kept rejects, another publishes its own.
    bucket.before[RECEIPT] = lambda: main([*RUN, "--probabilities"])
    assert main([*RUN]) == 75
    assert bucket.receipt()["options"]["probabilities"]
    assert main([*RUN, "--probabilities"]) == 0


def test_outputs_of_tasks_on_spark_are_judged_together_like_those_of_one_run(
    bucket: Memory,
) -> None:
    """Each sees three rows alone, which prove nothing."""
    header, *rows = GOOD.splitlines()
    names = [name for name in header.split(b",") if name.startswith(b"pixel_")]
    pixels = [header.split(b",").index(name) for name in names]
    for number in range(5):
        cells = [row.split(b",") for row in rows[3 * number : 3 * number + 3]]
        inverted = [b",".join(b"%d" % (16 - int(row[at])) for at in pixels) for row in cells]
        bucket.put(f"in/{number}.csv", b"\n".join([b",".join(names), *inverted]))
    arguments = parser().parse_args(["s3://b/in/", "--output", "s3://b/out/"])
    planned, options = plan_run(keywords_of(arguments))
    bundle = open_bundle().file
    results = [score_file(each, bundle, options, again=False) for each in planned]
    assert {result.exit_code for result, _ in results} == {0}
    assert gather(results, options, bundle, 1.0).suspect_inputs == tuple(
        f"s3://b/in/{number}.csv" for number in range(5)
    )
    assert main(["s3://b/in/", "--output", "s3://b/out/"]) == 65
