"""`bundles promote`: an alias moves to a bundle that has passed its gate, or stays."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from bundle_store import Run, own_path, promote, right_of

from batchdigits.store.store import Store


def test_the_gate_lets_the_better_pass(store: Store, run: Run, rows: Path) -> None:
    """And says both accuracies."""
    promote(run, 1)
    code, out, err = promote(run, 2, "--data", str(rows), "--reason", "a better scan")
    assert code == 0
    assert out.startswith("digits@production: version 2 (was 1)")
    assert err.startswith("accuracy 1.0000 on 300 rows of ")
    assert store.history("digits", "production").changes[-1].reason == "a better scan"


def test_the_gate_stops_the_worse(store: Store, run: Run, rows: Path) -> None:
    """In one line, with exit code 78; the alias stays, and so does its history."""
    promote(run, 2)
    code, out, err = promote(run, 1, "--data", str(rows))
    assert (code, out, err.count("\n")) == (78, "", 1)
    accuracy = f"{right_of(store, 1, rows):.4f}"
    assert f"digits@1: accuracy {accuracy} on 300 rows of {rows}, 1.0000 with digits@2" in err
    assert "worse by more than --max-regression 0; digits@production stays at digits@2" in err
    assert store.aliases("digits") == {"production": 2}
    assert len(store.history("digits", "production").changes) == 1


def test_max_regression_is_a_share_or_a_percentage(store: Store, run: Run, rows: Path) -> None:
    promote(run, 2)
    wrong = round(300 * (1 - right_of(store, 1, rows)))
    too_strict = f"{(wrong - 1) / 3:.9f}%"
    assert promote(run, 1, "--data", str(rows), "--max-regression", too_strict)[0] == 78
    assert (
        promote(run, 1, "--data", str(rows), "--max-regression", f"{wrong / 300 + 1e-9:.12f}")[0]
        == 0
    )
    for odd in ("1", "101%", "-0.1", "some", "5"):
        code, _, err = promote(run, 2, "--data", str(rows), f"--max-regression={odd}")
        assert (code, "0.005 or 0.5%" in err) == (2, True)


def test_the_first_of_an_alias_has_nothing_to_be_compared_with(
    store: Store, run: Run, rows: Path
) -> None:
    """Its accuracy is reported; the rows must be usable anyway."""
    code, _, err = promote(run, 1, "--data", str(rows), "--label", "form")
    assert (code, "no label in column 'form'" in err) == (65, True)
    code, out, err = promote(run, 1, "--data", str(rows))
    assert (code, "(new)" in out, "digits@production is new, there is nothing" in err) == (
        0,
        True,
        True,
    )


def test_a_gate_without_labels_is_refused(store: Store, run: Run, rows: Path) -> None:
    promote(run, 1)
    pq.write_table(pq.read_table(rows).drop_columns(["label"]), "bare.parquet")
    code, _, err = promote(run, 2, "--data", "bare.parquet")
    assert (code, "name the column of true labels with --label" in err) == (65, True)
    for flags in (("--max-regression", "1%"), ("--label", "digit")):
        code, _, err = promote(run, 2, *flags)
        assert (code, "--data" in err) == (2, True)
    assert store.aliases("digits") == {"production": 1}


def test_a_damaged_incumbent_can_be_promoted_away_from(store: Store, run: Run, rows: Path) -> None:
    """It can't be measured; the message says how to promote anyway."""
    promote(run, 1)
    store.path("digits", 1).write_bytes(b"damaged")
    code, _, err = promote(run, 2, "--data", str(rows))
    assert (code, "leave out --data to promote without comparing" in err) == (78, True)
    assert promote(run, 2)[0] == 0


def test_a_move_in_between_is_not_overrun(
    store: Store, run: Run, rows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The alias points at another bundle than was compared with: exit 75, try again."""
    promote(run, 1)
    monkeypatch.setattr(
        "batchdigits.bundles.aliases._pass_gate",
        lambda *_: store.set_alias("digits", "production", 3),
    )
    code, out, err = promote(run, 2, "--data", str(rows))
    assert (code, out, "moved by someone else" in err) == (75, "", True)
    assert store.aliases("digits") == {"production": 3}


def test_concurrent_promotions_lose_no_history(store: Store) -> None:
    """Every promotion that ends with 0 is in the history, and names the version before it."""
    command = [sys.executable, "-m", "batchdigits.bundles", "promote", "--alias", "production"]
    running = [
        subprocess.Popen(
            [*command, f"digits@{version}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=own_path(),
        )
        for version in (1, 2, 3, 1, 2, 3)
    ]
    codes = [process.wait(timeout=120) for process in running]
    moved = sum(b"version" in process.communicate()[0] for process in running)
    history = store.history("digits", "production").changes
    assert set(codes) <= {0, 75}
    assert len(history) == moved > 0
    assert [change.was for change in history] == [None, *(c.version for c in history[:-1])]
