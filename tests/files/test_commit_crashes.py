"""A commit that dies at any step, or loses power at any, ends as all old or all new."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, combinations, product
from pathlib import Path
from typing import Any

import pytest

from batchdigits.files.atomic import temporary_name
from batchdigits.files.commit import (
    WrittenFile,
    named_outputs,
    outputs_match,
    publish,
    read_receipt,
    recover,
)
from batchdigits.files.streams import open_output
from batchdigits.files.targets import Targets

STEPS = ("open", "link", "replace", "unlink", "fsync")
DIED = 9
OLD, NEW = (b"old", b"old rejects"), (b"new!", b"new rejects")
# With and without rejects, before and after; and a first run, which finds nothing.
HISTORIES = [
    *product([OLD, (OLD[0], None)], [NEW, (NEW[0], None)]),
    (None, NEW),
    (None, (NEW[0], None)),
]
# What was there before may also be of another format, with the same receipt.
HISTORIES = [(before, after, "csv") for before, after in HISTORIES]
HISTORIES += [(before, after, "parquet") for before, after, _ in HISTORIES[:2]]
# A first run may replace nothing that appears.
HISTORIES += [(before, after, "new names only") for before, after, _ in HISTORIES[4:6]]
Outputs = tuple[bytes, bytes | None]


def targets_in(folder: Path, kind: str = "csv") -> Targets:
    finals = (f"P.{kind}", f"P.rejects.{kind}", "P.receipt.json")
    return Targets(*(folder / name for name in finals), kind)


def run(targets: Targets, outputs: Outputs, *, overwrite: bool = True) -> None:
    written = []
    for path, content in zip(targets.finals, outputs, strict=False):
        if content is not None:
            stream = open_output(temporary_name(path), None)
            stream.write(content)
            stream.close()
            written.append(WrittenFile(path, stream.digest(), stream.bytes_written))
    publish(targets, written, {"run": outputs[0].decode()}, overwrite=overwrite)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def finished(folder: Path, outputs: Outputs | None, kind: str = "csv") -> dict[str, bytes]:
    """What a folder holds after an undisturbed run."""
    folder.mkdir()
    if outputs is not None:
        run(targets_in(folder, kind), outputs)
    return files(folder)


def assert_nobody_is_misled(folder: Path, old: dict[str, bytes], new: dict[str, bytes]) -> None:
    """Also before any recovery no final file is partial, and a receipt means that all is there."""
    for name, content in files(folder).items():
        if not name.startswith("."):
            assert content in (old.get(name), new.get(name))
    receipt = read_receipt(targets_in(folder).receipt)
    if receipt is not None:
        outputs = named_outputs(folder, receipt)
        kind: str = "parquet" if "P.parquet" in json.dumps(receipt) else "csv"
        assert outputs is not None
        assert outputs_match(targets_in(folder, kind), outputs)


def in_child(steps: int, work: Callable[[], None]) -> bool:
    """Does `work` in a process that dies before its `steps`-th change; whether it lived."""
    child = os.fork()
    if child == 0:
        try:
            left = [steps]
            for name in STEPS:
                setattr(os, name, dying(getattr(os, name), left))
            work()
            os._exit(0)
        finally:
            os._exit(1)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, DIED)
    return code == 0


def dying(function: Callable[..., Any], left: list[int]) -> Callable[..., Any]:
    def step(*arguments: Any, **options: Any) -> Any:
        if not left[0]:
            os._exit(DIED)
        left[0] -= 1
        return function(*arguments, **options)

    return step


@pytest.fixture(autouse=True)
def unsynced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Death of a process loses nothing that was written; syncing would only take time."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.mark.parametrize(("before", "after", "kind"), HISTORIES)
def test_a_run_killed_at_any_step_is_all_old_or_all_new(
    tmp_path: Path, before: Outputs | None, after: Outputs, kind: str
) -> None:
    old = finished(tmp_path / "old", before, kind)
    new = finished(tmp_path / "new", after)
    became_new = []
    for steps in range(100):
        folder = tmp_path / str(steps)
        finished(folder, before, kind)
        overwrite = kind != "new names only"
        work = partial(run, targets_in(folder), after, overwrite=overwrite)
        lived = in_child(steps, work)
        assert_nobody_is_misled(folder, old, new)
        recover(targets_in(folder))
        assert files(folder) in (old, new)
        became_new.append(files(folder) == new)
        if lived:
            break
    assert lived
    assert became_new == sorted(became_new)
    assert not became_new[0]
    assert became_new[-2], "the last steps of a commit should be repeatable"


@pytest.mark.parametrize(("before", "after", "kind"), [*HISTORIES[:2], HISTORIES[-2]])
def test_a_recovery_that_is_killed_is_recovered_again(
    tmp_path: Path, before: Outputs | None, after: Outputs, kind: str
) -> None:
    old = finished(tmp_path / "old", before, kind)
    new = finished(tmp_path / "new", after)
    lived = False
    for steps in range(2, 100, 3):
        for more in range(100):
            folder = tmp_path / f"{steps}-{more}"
            finished(folder, before, kind)
            overwrite = kind != "new names only"
            lived = in_child(steps, partial(run, targets_in(folder), after, overwrite=overwrite))
            recovered = in_child(more, lambda folder=folder: recover(targets_in(folder)))
            assert_nobody_is_misled(folder, old, new)
            recover(targets_in(folder))
            assert files(folder) in (old, new)
            if recovered:
                break
        if lived:
            break
    assert lived


@pytest.mark.parametrize("after", [NEW, (NEW[0], None)])
def test_a_run_with_other_outputs_ends_what_a_killed_one_left_under_their_receipt(
    tmp_path: Path, after: Outputs
) -> None:
    """Then nothing of the killed run can take the receipt away from the other's outputs."""
    lived = False
    for steps in range(100):
        folder = tmp_path / str(steps)
        finished(folder, OLD)
        lived = in_child(steps, lambda folder=folder: run(targets_in(folder), after))
        other = targets_in(folder, "parquet")
        recover(other)
        run(other, NEW)
        recover(targets_in(folder))
        assert_nobody_is_misled(folder, {}, files(folder))
        assert set(files(folder)) == {path.name for path in other.finals}
        if lived:
            break
    assert lived


@dataclass
class Journal:
    """What a run changed, in order: files by number, so that a rename moves the very file."""

    folder: Path
    names: dict[str, int] = field(default_factory=dict)
    changes: list[tuple[Any, ...]] = field(default_factory=list)

    def number(self, path: Any) -> int:
        return Path(path).stat().st_ino

    def open(self, path: Any, flags: int, *more: Any, **options: Any) -> int:
        descriptor = self.really["open"](path, flags, *more, **options)
        if flags & os.O_CREAT:
            self.changes.append(("link", Path(path).name, self.number(path)))
        return descriptor

    def replace(self, source: Any, target: Any) -> None:
        self.changes.append(("move", Path(source).name, Path(target).name, self.number(source)))
        self.really["replace"](source, target)

    def link(self, source: Any, target: Any, **options: Any) -> None:
        self.really["link"](source, target, **options)
        self.changes.append(("link", Path(target).name, self.number(target)))

    def unlink(self, path: Any, **options: Any) -> None:
        self.really["unlink"](path, **options)
        self.changes.append(("unlink", Path(path).name))

    def fsync(self, descriptor: int) -> None:
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            self.changes.append(("sync names",))
        else:
            content = Path(f"/proc/self/fd/{descriptor}").read_bytes()
            self.changes.append(("sync bytes", status.st_ino, content))

    def record(self, work: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
        self.really = {name: getattr(os, name) for name in STEPS}
        with monkeypatch.context() as patch:
            for name in STEPS:
                patch.setattr(os, name, getattr(self, name))
            work()


def states_after_power_cuts(
    old: dict[str, bytes], changes: list[tuple[Any, ...]]
) -> Iterator[dict[str, bytes]]:
    """Every folder that the disk may hold when power fails somewhere.

    Bytes that were not synced are lost. Of the names changed since the last sync of the folder,
    any may have reached the disk and any may not.
    """
    contents: dict[Any, bytes] = dict(old)
    durable: dict[str, Any] = {name: name for name in old}
    waiting: list[tuple[Any, ...]] = []
    for change in chain(changes, [("end",)]):
        choices = chain.from_iterable(
            combinations(waiting, count) for count in range(len(waiting) + 1)
        )
        for reached in choices:
            names = renamed(durable, reached)
            yield {name: contents.get(file, b"") for name, file in names.items()}
        if change[0] == "sync bytes":
            contents[change[1]] = change[2]
        elif change[0] == "sync names":
            durable, waiting = renamed(durable, waiting), []
        else:
            waiting.append(change)


def renamed(names: dict[str, Any], changes: Any) -> dict[str, Any]:
    result = dict(names)
    for change in changes:
        match change:
            case ("link", name, file):
                result[name] = file
            case ("unlink", name):
                result.pop(name, None)
            case ("move", source, target, file):
                result.pop(source, None)
                result[target] = file
    return result


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="reads files by descriptor")
@pytest.mark.parametrize(("before", "after", "kind"), HISTORIES)
def test_power_lost_at_any_step_leaves_all_old_or_all_new(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    before: Outputs | None,
    after: Outputs,
    kind: str,
) -> None:
    old = finished(tmp_path / "old", before, kind)
    folder = tmp_path / "run"
    finished(folder, before, kind)
    journal = Journal(folder)
    overwrite = kind != "new names only"
    journal.record(partial(run, targets_in(folder), after, overwrite=overwrite), monkeypatch)
    assert journal.changes[-1] == ("sync names",), "what was published must be there to stay"
    new = files(folder)
    seen = set()
    states = {tuple(sorted(s.items())) for s in states_after_power_cuts(old, journal.changes)}
    for number, state in enumerate(sorted(states)):
        cut = tmp_path / f"cut{number}"
        cut.mkdir()
        for name, content in state:
            (cut / name).write_bytes(content)
        assert_nobody_is_misled(cut, old, new)
        recover(targets_in(cut))
        assert files(cut) in (old, new)
        seen.add(files(cut) == new)
    assert seen == {True, False}
    assert len(states) > 10
