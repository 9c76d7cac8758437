"""Nothing is published unless rows in = rows predicted + rows rejected."""

from collections import Counter
from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchdigits.errors import InternalError
from batchdigits.rows.rejects import REASONS
from batchdigits.scoring.ledger import CAUSES, Counts


@given(*(st.integers(0, 5) for _ in range(3)))
def test_counts_that_do_not_balance_are_refused(
    rows_in: int, predicted: int, rejected: int
) -> None:
    counts = Counts(rows_in=rows_in, rows_predicted=predicted, rows_rejected=rejected)
    if rows_in == predicted + rejected:
        counts.check("f.csv")
    else:
        with pytest.raises(InternalError, match="f.csv: the ledger does not balance"):
            counts.check("f.csv")


def counts_of(names: dict[str, str]) -> st.SearchStrategy[dict[str, int]]:
    return st.dictionaries(st.sampled_from(sorted(names)), st.integers(1, 9))


@given(st.lists(st.tuples(counts_of(REASONS), st.none() | counts_of(CAUSES)), max_size=4))
def test_counts_add_up_in_the_documented_order(
    parts: list[tuple[dict[str, int], dict[str, int] | None]],
) -> None:
    """The sum has causes if any of the counts has."""
    counts = [Counts(rows_in=3, reasons=reasons, causes=causes) for reasons, causes in parts]
    total = reduce(Counts.__add__, counts, Counts())
    assert total.rows_in == 3 * len(parts)
    assert total.reasons == sum((Counter(reasons) for reasons, _ in parts), Counter())
    assert list(total.reasons) == [reason for reason in REASONS if reason in total.reasons]
    decided = [causes for _, causes in parts if causes is not None]
    if not decided:
        assert (total.causes, total.rows_to_review) == (None, None)
        return
    assert total.causes == sum(map(Counter, decided), Counter())
    assert list(total.causes) == [cause for cause in CAUSES if cause in total.causes]
    assert total.rows_to_review == sum(total.causes.values())


def test_counts_come_back_from_their_facts() -> None:
    counts = Counts(
        rows_in=3, rows_predicted=2, rows_rejected=1, reasons={"missing": 1}, causes={"pale": 1}
    )
    assert Counts.of_facts(counts.facts()) == counts
    older = {key: value for key, value in counts.facts().items() if key != "causes"}
    assert Counts.of_facts(older).causes is None


@pytest.mark.parametrize(
    "change",
    [
        {"rows_in": "3"},
        {"rows_in": True},
        {"rows_rejected": -1},
        {"rows_predicted": 2**63},
        {"reasons": {"missing": "1"}},
        {"reasons": {"missing": -1}},
        {"causes": [1]},
        {"causes": {"pale": 1.0}},
        {"reasons": None},
    ],
)
def test_facts_of_another_type_are_refused_as_counts(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="a count is missing or of another type"):
        Counts.of_facts({**Counts().facts(), **change})


@pytest.mark.parametrize(
    "change",
    [
        {"rows_in": 4},
        {"rows_predicted": 3},
        {"rows_rejected": 0},
        {"reasons": {}},
        {"reasons": {"missing": 2}},
        {"causes": {"pale": 2, "strange": 1}},
    ],
)
def test_counts_that_do_not_add_up_are_known_by_themselves(change: dict[str, object]) -> None:
    facts = Counts(rows_in=3, rows_predicted=2, rows_rejected=1, reasons={"missing": 1}).facts()
    assert Counts.of_facts(facts).add_up
    assert not Counts.of_facts({**facts, **change}).add_up
