from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hostile_files import HOSTILE

from batchdigits.errors import BundleError, TryAgainError
from batchdigits.store.aliases import AliasHistory, Move, is_alias, move_alias


def history_of(*moves: tuple[str, int]) -> AliasHistory:
    history = AliasHistory()
    for action, version in moves:
        history = history.with_move(version, action, "")  # type: ignore[arg-type]
    return history


def test_what_is_written_is_read_back() -> None:
    """The file leaves out what the entries before tell; it is worked out again."""
    history = history_of(("promote", 1), ("promote", 3), ("rollback", 1))
    assert AliasHistory.parse(history.to_json()) == history
    assert [change.was for change in history.changes] == [None, 1, 3]
    assert "was" not in json.loads(history.to_json())["history"][0]


def test_rolling_back_twice_goes_further_back() -> None:
    """It never returns to what was rolled back from; promoting starts from where it is."""
    history = history_of(("promote", 1), ("promote", 2), ("promote", 3), ("rollback", 2))
    assert (history.stack, history.version, history.previous) == ([1, 2], 2, 1)
    history = history.with_move(1, "rollback", "")
    assert (history.stack, history.version, history.previous) == ([1], 1, None)
    assert history.with_move(4, "promote", "").stack == [1, 4]


def test_an_alias_without_a_file_points_at_nothing(tmp_path: Path) -> None:
    history = AliasHistory.read(tmp_path / "absent.json")
    assert (history.version, history.previous, history.stack) == (None, None, [])


def test_a_move_that_rests_on_another_history_is_refused(tmp_path: Path) -> None:
    """Somebody else was faster: whoever decided must decide again."""
    path = tmp_path / "production.json"
    move_alias(path, 1, Move(seen=AliasHistory()))
    seen = AliasHistory.read(path)
    move_alias(path, 2, Move(seen=seen))
    with pytest.raises(TryAgainError, match="moved by someone else"):
        move_alias(path, 3, Move(seen=seen))
    assert AliasHistory.read(path).version == 2


@pytest.mark.parametrize(
    "entries",
    [
        [],
        [{"version": True, "at": "", "by": ""}],
        [{"version": 1, "at": "", "by": "", "action": "move"}],
        [{"version": 1, "at": "", "by": "", "action": "rollback"}],
        [{"version": 1, "by": ""}],
        "text",
    ],
)
def test_a_file_that_no_moves_could_have_made_is_damaged(tmp_path: Path, entries: object) -> None:
    path = tmp_path / "production.json"
    path.write_text(json.dumps({"history": entries}))
    with pytest.raises(BundleError, match="is damaged"):
        AliasHistory.read(path)


def test_latest_is_not_an_alias() -> None:
    """The name alone means the newest."""
    assert is_alias("production")
    assert not is_alias("latest")


@pytest.mark.parametrize("plant", HOSTILE)
def test_anything_but_a_small_file_of_json_is_refused(
    tmp_path: Path, plant: Callable[[Path], None]
) -> None:
    """It does not hang, fill the memory or end in a traceback."""
    path = tmp_path / "production.json"
    plant(path)
    with pytest.raises(BundleError, match=r"production\.json: .*remove it and promote again"):
        AliasHistory.read(path)


def test_a_long_history_is_read_in_one_pass() -> None:
    """Of promotions and of rollbacks."""
    promoted = {"version": 1, "at": "", "by": ""}
    for entry in (promoted, {**promoted, "action": "promote"}):
        history = AliasHistory.parse(json.dumps({"history": [entry] * 30_000}).encode())
        assert (len(history.changes), len(history.stack), history.previous) == (30_000, 30_000, 1)
    versions = [*range(1, 15_001), *range(14_999, 0, -1)]
    moves = [{**promoted, "version": version} for version in versions]
    for move in moves[15_000:]:
        move["action"] = "rollback"
    history = AliasHistory.parse(json.dumps({"history": moves}).encode())
    assert (history.version, history.stack) == (1, [1])


def test_a_move_that_nobody_could_read_again_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "production.json"
    move_alias(path, 1, Move(reason="first"))
    with pytest.raises(BundleError, match="at most 4194304 are read"):
        move_alias(path, 2, Move(reason="x" * 2**22))
    assert AliasHistory.read(path).version == 1
