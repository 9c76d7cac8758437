"""Generated damage: whatever is done to a file, its counts add up.

It covers entries 1 to 13 and 21 to 22 again, by a generator. `.ci/faults` runs hundreds.
"""

from __future__ import annotations

import pytest
from fault_damage import CsvUnderDamage, Damage, ParquetUnderDamage, compressed, damaged, damages
from fault_runs import TIMES
from hypothesis import given, settings
from hypothesis import strategies as st


@pytest.fixture(scope="module")
def csv_file(tmp_path_factory: pytest.TempPathFactory) -> CsvUnderDamage:
    return CsvUnderDamage(tmp_path_factory.mktemp("csv"))


@pytest.fixture(scope="module")
def parquet_file(tmp_path_factory: pytest.TempPathFactory) -> ParquetUnderDamage:
    return ParquetUnderDamage(tmp_path_factory.mktemp("parquet"))


@settings(max_examples=60 * TIMES)
@given(changes=damages())
def test_damage_to_a_csv_costs_only_the_lines_it_hits(
    csv_file: CsvUnderDamage, changes: list[Damage]
) -> None:
    csv_file.check_text(damaged(csv_file.whole, changes))


@settings(max_examples=20 * TIMES)
@given(changes=damages(), inside=st.booleans())
def test_damage_to_a_compressed_csv_is_refused_or_balanced(
    csv_file: CsvUnderDamage, changes: list[Damage], inside: bool
) -> None:
    """Inside the compression it is a damaged CSV; outside, a checksum decides."""
    if inside:
        data = damaged(csv_file.whole, changes)
        assert csv_file.check(compressed(data), "in.csv.gz").predictions == (
            csv_file.check_text(data).predictions
        )
        return
    whole = csv_file.check(compressed(csv_file.whole), "in.csv.gz")
    scored = csv_file.check(damaged(compressed(csv_file.whole), changes), "in.csv.gz")
    assert scored.code == 65 or set(map(tuple, scored.rows)) <= set(map(tuple, whole.rows))


@settings(max_examples=40 * TIMES)
@given(changes=damages())
def test_damage_to_a_parquet_file_is_refused_or_balanced(
    parquet_file: ParquetUnderDamage, changes: list[Damage]
) -> None:
    parquet_file.check(damaged(parquet_file.whole, changes))
