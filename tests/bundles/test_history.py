"""`bundles history`: every move of the aliases."""

from __future__ import annotations

import json

import pytest
from bundle_store import Run, promote, rollback

from batchdigits.store.store import Store


def test_history_tells_every_move(store: Store, run: Run) -> None:
    """Oldest first, of all aliases or of a single one."""
    assert "has no alias" in run("history", "digits")[2]
    promote(run, 1)
    promote(run, 2, "--reason", "first try")
    run("promote", "digits@3", "--alias", "staging")
    rollback(run)
    code, out, _ = run("history", "digits")
    lines = out.splitlines()
    assert (code, len(lines)) == (0, 5)
    assert lines[0].split() == ["WHEN", "ALIAS", "WAS", "IS", "HOW", "BY", "WHY"]
    assert lines[2].split()[1:5] == ["production", "1", "2", "promote"]
    assert lines[2].endswith("first try")
    _, out, _ = run("history", "digits", "--alias", "production", "--json")
    moves = [json.loads(line) for line in out.splitlines()]
    assert [move["action"] for move in moves] == ["promote", "promote", "rollback"]
    assert [(move["was"], move["version"]) for move in moves] == [(None, 1), (1, 2), (2, 1)]
    assert run("history", "digits", "--alias", "nightly")[0] == 78


def test_a_history_of_before_is_read(store: Store, run: Run) -> None:
    """Its changes have no action and no reason: they were promotions."""
    folder = store.folder / "digits" / "aliases"
    folder.mkdir()
    old = [{"version": v, "at": "2026-01-31T02:00:00Z", "by": "ops@night"} for v in (1, 3)]
    (folder / "production.json").write_text(json.dumps({"history": old}))
    assert rollback(run)[1].startswith("digits@production: version 1 (rolled back from 3)")


def test_a_forged_rollback_is_damage(store: Store, run: Run) -> None:
    folder = store.folder / "digits" / "aliases"
    folder.mkdir()
    change = {"version": 2, "at": "", "by": "", "action": "rollback"}
    (folder / "production.json").write_text(json.dumps({"history": [change]}))
    code, _, err = run("history", "digits")
    assert (code, "is damaged" in err) == (78, True)


@pytest.mark.parametrize(
    "words",
    [
        ("prune", "digits@production", "--keep", "1"),
        ("prune", "digits@3", "--keep", "1", "--dry-run"),
        ("history", "digits@production"),
        ("history", "digits@production", "--alias", "production"),
        ("rollback", "digits@production", "--alias", "production"),
    ],
)
def test_what_is_done_to_a_name_takes_the_name_alone(
    store: Store, run: Run, words: tuple[str, ...]
) -> None:
    """And leaves nothing in the store."""
    promote(run, 1)
    before = sorted(store.folder.rglob("*"))
    code, out, err = run(*words)
    assert (code, out, "expected the name alone: digits" in err) == (2, "", True)
    assert sorted(store.folder.rglob("*")) == before
