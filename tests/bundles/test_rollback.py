"""`bundles rollback`: an alias goes back to what it pointed at before."""

from __future__ import annotations

from bundle_store import Run, promote, rollback

from batchdigits.store.store import Store


def test_rollback_brings_back_what_stood_before(store: Store, run: Run) -> None:
    """Again, it goes further back, and never to what was rolled back from."""
    for version in (1, 2, 3):
        promote(run, version)
    code, out, _ = rollback(run, "--reason", "7 read as 1")
    assert code == 0
    assert out.startswith("digits@production: version 2 (rolled back from 3), sha256:")
    assert rollback(run)[1].startswith("digits@production: version 1 (rolled back from 2)")
    code, out, err = rollback(run)
    assert (code, out) == (78, "")
    assert "there is no version before 1 to go back to: promote another; versions: 1, 2, 3" in err
    promote(run, 3)
    assert rollback(run)[1].startswith("digits@production: version 1 (rolled back from 3)")
    changes = store.history("digits", "production").changes
    assert [change.version for change in changes] == [1, 2, 3, 2, 1, 3, 1]
    assert changes[3].reason == "7 read as 1"


def test_rollback_checks_what_it_brings_back(store: Store, run: Run) -> None:
    """A damaged bundle must not replace a bad bundle."""
    promote(run, 1)
    promote(run, 2)
    store.path("digits", 1).write_bytes(b"damaged")
    code, _, err = rollback(run)
    assert (code, "digits-1.bundle" in err) == (78, True)
    store.path("digits", 1).unlink()
    code, _, err = rollback(run)
    assert (code, "versions: 2, 3" in err) == (78, True)
    assert store.aliases("digits") == {"production": 2}


def test_rollback_of_what_is_not_there(store: Store, run: Run) -> None:
    promote(run, 1)
    code, _, err = run("rollback", "digits", "--alias", "staging")
    assert (code, "aliases: production (1)" in err) == (78, True)
    assert run("rollback", "letters", "--alias", "production")[0] == 78
    assert run("rollback", "digits@production", "--alias", "production")[0] == 2
