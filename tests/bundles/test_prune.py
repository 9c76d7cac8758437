"""`bundles prune`: old versions go, those that an alias or a rollback needs stay."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest
from bundle_store import Run, bundle_of, promote, rollback

from batchdigits.files.lock import hold_lock
from batchdigits.store import store as store_module
from batchdigits.store.store import Store


def test_prune_keeps_the_newest_and_what_aliases_need(store: Store, run: Run) -> None:
    """What an alias points at, and what its rollback would bring back; signatures go along."""
    for seed in range(3, 7):
        store.publish("digits", lambda version, seed=seed: bundle_of(seed, version))
    for version in (1, 2, 3):
        promote(run, version)
    run("promote", "digits@5", "--alias", "staging")
    for version in (1, 4, 7):
        path = store.path("digits", version)
        path.with_name(f"{path.name}.sig").write_text("a signature")
    code, out, _ = run("prune", "digits", "--keep", "1", "--dry-run")
    assert code == 0
    assert out.splitlines() == [
        "digits@1: would be removed",
        "digits@4: would be removed",
        "digits@6: would be removed",
        "digits@2: stays, before production",
        "digits@3: stays, production",
        "digits@5: stays, staging",
        "digits@7: stays, among the newest",
    ]
    assert store.versions("digits") == [1, 2, 3, 4, 5, 6, 7]
    _, out, _ = run("prune", "digits", "--keep", "1", "--json")
    assert json.loads(out)["removed"] == [1, 4, 6]
    assert store.versions("digits") == [2, 3, 5, 7]
    assert [path.name for path in (store.folder / "digits").glob("*.sig")] == [
        "digits-7.bundle.sig"
    ]
    assert rollback(run)[0] == 0


def test_a_pruned_version_is_never_used_again(store: Store, run: Run) -> None:
    run("prune", "digits", "--keep", "1")
    assert store.publish("digits", lambda version: bundle_of(0, version)).name == "digits-4.bundle"


def test_prune_refuses_what_it_can_not_know(store: Store, run: Run) -> None:
    """A damaged alias may need any version."""
    assert run("prune", "digits", "--keep", "0")[0] == 2
    assert run("prune", "letters", "--keep", "1")[0] == 78
    promote(run, 1)
    (store.folder / "digits" / "aliases" / "production.json").write_text("{")
    code, _, err = run("prune", "digits", "--keep", "1")
    assert (code, "production.json: is damaged" in err) == (78, True)
    assert store.versions("digits") == [1, 2, 3]


def test_a_dry_run_of_prune_needs_no_lock(store: Store, run: Run) -> None:
    """It works on a store that can't be written, and waits for nobody."""
    with hold_lock(store.folder / "digits"):
        code, out, _ = run("prune", "digits", "--keep", "1", "--dry-run")
    assert (code, out.count("would be removed")) == (0, 2)


def test_prune_waits_for_who_publishes(
    store: Store, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "LOCK_SECONDS", 0.2)
    with hold_lock(store.folder / "digits"):
        code, _, err = run("prune", "digits", "--keep", "1")
    assert (code, "try again" in err) == (75, True)
    assert store.versions("digits") == [1, 2, 3]


def _prune_forever(folder: str) -> None:
    from batchdigits.store.pruning import prune

    while True:
        prune(Store(folder), "digits", 1)


def test_prunes_that_are_killed_leave_a_sound_store(tmp_path: Path) -> None:
    """While others publish and promote; what the alias needs is there each time."""
    store = Store(tmp_path / "bundles")
    data = bundle_of(0, 1)
    for _ in range(2):
        store.publish("digits", lambda _: data)
    for _ in range(5):
        worker = multiprocessing.get_context("fork").Process(
            target=_prune_forever, args=(str(store.folder),)
        )
        worker.start()
        for _ in range(5):
            version = int(store.publish("digits", lambda _: data).stem.split("-")[1])
            store.set_alias("digits", "production", version)
        time.sleep(0.02)
        os.kill(worker.pid or 0, signal.SIGKILL)
        worker.join()
        needed = {change.version for change in store.history("digits", "production").changes[-2:]}
        assert needed <= set(store.versions("digits"))
        assert all(store.path("digits", v).read_bytes() == data for v in store.versions("digits"))
