from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hostile_files import HOSTILE

from batchdigits.errors import BundleError, OutputError, TryAgainError, UsageError
from batchdigits.files.lock import hold_lock
from batchdigits.store import store as store_module
from batchdigits.store.store import Store


def content(version: int) -> bytes:
    return f"bundle {version}".encode()


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("BATCHDIGITS_STORE", raising=False)
    monkeypatch.delenv("BATCHDIGITS_BUNDLE", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "deep" / "store")


def test_versions_count_up_from_one(store: Store) -> None:
    """Each in a file of its own, which nothing else is beside."""
    paths = [store.publish("digits", content) for _ in range(3)]
    assert [path.name for path in paths] == [f"digits-{n}.bundle" for n in (1, 2, 3)]
    assert [path.read_bytes() for path in paths] == [content(n) for n in (1, 2, 3)]
    assert (store.names(), store.versions("digits")) == (["digits"], [1, 2, 3])
    assert {entry.name for entry in paths[0].parent.iterdir()} == {
        ".highest",
        *(path.name for path in paths),
    }


def test_versions_are_numbers_not_text(store: Store) -> None:
    """10 comes after 9."""
    for _ in range(10):
        store.publish("digits", content)
    assert store.versions("digits") == list(range(1, 11))
    assert store.resolve("digits").name == "digits-10.bundle"


def test_a_removed_version_is_not_used_again(store: Store) -> None:
    """One name and version means one bundle, for good."""
    store.publish("digits", content)
    store.publish("digits", content).unlink()
    assert store.publish("digits", content).name == "digits-3.bundle"


def test_a_bundle_that_was_copied_in_is_not_overwritten(store: Store) -> None:
    """A version that appears between choosing the number and writing gets out of its way."""

    def build(version: int) -> bytes:
        if version == 1:
            store.path("digits", 1).write_bytes(b"copied in")
        return content(version)

    assert store.publish("digits", build).name == "digits-2.bundle"
    assert store.path("digits", 1).read_bytes() == b"copied in"
    assert store.path("digits", 2).read_bytes() == content(2)


def test_a_build_that_fails_publishes_nothing(store: Store) -> None:
    """And the next one gets the same number."""

    def fail(_: int) -> bytes:
        raise BundleError("no")

    with pytest.raises(BundleError):
        store.publish("digits", fail)
    assert store.names() == []
    assert store.publish("digits", content).name == "digits-1.bundle"


@pytest.mark.parametrize("name", ["", "Digits", "../x", "a/b", ".x", "-x", "x.bundle", "a b", "ä"])
def test_a_name_that_can_not_be_one_is_a_usage_error(store: Store, name: str) -> None:
    """Names are file names on every system."""
    with pytest.raises(UsageError, match="bundle name"):
        store.publish(name, content)
    assert not store.folder.exists()


def test_names_that_begin_alike_are_kept_apart(store: Store) -> None:
    """`digits-1` is a name of its own, not version 1 of `digits`."""
    store.publish("digits-1", content)
    store.publish("digits", content)
    assert store.names() == ["digits", "digits-1"]
    assert store.versions("digits-1") == [1]
    assert store.resolve("digits-1@1").name == "digits-1-1.bundle"


def publish_many(folder: Path, count: int) -> None:
    for _ in range(count):
        Store(folder).publish("digits", lambda version: f"{os.getpid()} {version}".encode())


def test_racing_publishers_lose_nothing(store: Store) -> None:
    """Four processes, five bundles each: twenty versions, each one somebody's whole bundle."""
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=publish_many, args=(store.folder, 5)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0] * 4
    assert store.versions("digits") == list(range(1, 21))
    written = [store.path("digits", n).read_text().split() for n in range(1, 21)]
    assert [int(version) for _, version in written] == list(range(1, 21))
    assert sorted({int(pid) for pid, _ in written}) == sorted(worker.pid for worker in workers)


def test_killed_publishers_leave_no_half_bundle(store: Store) -> None:
    """Whenever it is killed: what is there is whole, and the next publisher goes on."""
    big = b"x" * 2_000_000

    def publish_forever() -> None:
        while True:
            store.publish("digits", lambda version: big + content(version))

    for attempt in range(12):
        worker = multiprocessing.get_context("fork").Process(target=publish_forever)
        worker.start()
        time.sleep(0.02 + attempt * 0.007)
        os.kill(worker.pid or 0, signal.SIGKILL)
        worker.join()
    before = store.versions("digits")
    last = store.publish("digits", lambda version: big + content(version))
    versions = store.versions("digits")
    assert versions == list(range(1, len(before) + 2))
    for version in versions:
        assert store.path("digits", version).read_bytes() == big + content(version)
    assert not [entry for entry in last.parent.iterdir() if entry.suffix == ".tmp"]


def test_a_publisher_waits_for_another_and_then_says_so(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What took an hour to train is not dropped because someone else is writing."""
    store.publish("digits", content)
    monkeypatch.setattr(store_module, "LOCK_SECONDS", 0.2)
    with hold_lock(store.folder / "digits"), pytest.raises(TryAgainError):
        store.publish("digits", content)
    assert store.publish("digits", content).name == "digits-2.bundle"


def test_a_store_that_can_not_be_written_is_an_output_error(tmp_path: Path) -> None:
    """Exit 73, and the path is named."""
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file"):
        Store(tmp_path / "file").publish("digits", content)


def test_a_damaged_counter_is_told(store: Store) -> None:
    """Guessing could give one number to two bundles."""
    store.publish("digits", content)
    (store.folder / "digits" / ".highest").write_text("many")
    with pytest.raises(OutputError, match="holds 'many'"):
        store.publish("digits", content)


def test_an_alias_keeps_its_history(store: Store) -> None:
    """Newest last, with when and by whom."""
    store.publish("digits", content)
    store.publish("digits", content)
    for version in (1, 2, 1):
        store.set_alias("digits", "production", version)
    history = store.history("digits", "production").changes
    assert [change.version for change in history] == [1, 2, 1]
    assert all(change.at.endswith("Z") and "@" in change.by for change in history)
    assert store.aliases("digits") == {"production": 1}
    assert store.resolve("digits@production").name == "digits-1.bundle"
    assert [change.was for change in history] == [None, 1, 2]
    document = json.loads((store.folder / "digits/aliases/production.json").read_text())
    fields = {"version", "at", "by", "action", "reason"}
    assert [set(change) for change in document["history"]] == [fields] * 3


@pytest.mark.parametrize("alias", ["", "latest", "3", "Production", "1st", "a/b", "../x", ".x"])
def test_a_word_that_can_not_be_an_alias_is_a_usage_error(store: Store, alias: str) -> None:
    """It would be taken for a version, for the newest, or for a path."""
    store.publish("digits", content)
    with pytest.raises(UsageError, match="alias"):
        store.set_alias("digits", alias, 1)


def test_only_publishing_creates_a_folder(store: Store) -> None:
    """A name that was mistyped leaves nothing behind."""
    with pytest.raises(BundleError, match="versions: none"):
        store.set_alias("digits", "production", 1)
    assert not store.folder.exists()
    store.publish("digits", content)
    with pytest.raises(BundleError, match="versions: none"):
        store.set_alias("letters", "production", 1)
    with store.locked("letters"):
        pass
    assert [path.name for path in store.folder.iterdir()] == ["digits"]


def test_publishing_removes_what_publishers_left_and_nobody_elses(store: Store) -> None:
    """A signature that is being written is not half a bundle."""
    folder = store.publish("digits", content).parent
    ours, theirs = ".digits-2.bundle.4711-0a1b2c3d.tmp", ".digits-1.bundle.sig.4711-0a1b2c3d.tmp"
    for name in (ours, theirs):
        (folder / name).touch()
    store.publish("digits", content)
    assert [path.name for path in folder.iterdir() if path.suffix == ".tmp"] == [theirs]


def test_an_alias_points_only_at_what_is_there(store: Store) -> None:
    """The versions that are there are listed."""
    store.publish("digits", content)
    with pytest.raises(BundleError, match="versions: 1; aliases: none"):
        store.set_alias("digits", "production", 2)


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"history": []}', '{"history": [{"version": 1}]}']
)
def test_a_damaged_alias_is_told(store: Store, text: str) -> None:
    """By its file's name, and what to do."""
    store.publish("digits", content)
    store.set_alias("digits", "production", 1)
    path = store.folder / "digits/aliases/production.json"
    path.write_text(text)
    with pytest.raises(BundleError, match=r"production\.json: is damaged.*promote again"):
        store.resolve("digits@production")
    assert store.resolve("digits@1").name == "digits-1.bundle"


def test_references_that_are_not_there_list_what_is(store: Store) -> None:
    """Names, versions and aliases."""
    store.publish("digits", content)
    store.publish("letters", content)
    store.set_alias("digits", "production", 1)
    with pytest.raises(BundleError, match="no bundle named 'numbers' in .*it has digits, letters"):
        store.resolve("numbers")
    for selector in ("7", "staging", "latest", "01", "", "../../x"):
        with pytest.raises(BundleError, match=r"versions: 1; aliases: production \(1\)"):
            store.resolve(f"digits@{selector}")


@pytest.mark.parametrize("reference", ["", "@1", "Digits", "-x", "a b", "ä@1"])
def test_what_is_no_reference_is_told(store: Store, reference: str) -> None:
    """With the forms that are."""
    with pytest.raises(BundleError, match="is not the name of a bundle"):
        store.resolve(reference)


@pytest.mark.parametrize("plant", HOSTILE)
def test_a_counter_that_is_no_small_number_is_refused(
    store: Store, plant: Callable[[Path], None]
) -> None:
    store.publish("digits", content)
    counter = store.folder / "digits" / ".highest"
    counter.unlink()
    plant(counter)
    with pytest.raises(OutputError, match=r"\.highest: .*write that number into it"):
        store.publish("digits", content)


@pytest.mark.parametrize("name", ["../digits", "a\0b", "\ud800", "", "/etc"])
def test_what_can_not_be_a_name_has_no_versions(tmp_path: Path, name: str) -> None:
    assert Store(tmp_path).versions(name) == []
