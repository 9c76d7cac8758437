"""The ledger of pages and fields."""

import pytest

from batchdigits.errors import InternalError
from batchdigits.forms.pages.page_counts import PageCounts

READ = PageCounts(pages_in=1, pages_read=1, fields_in=5, fields_cut=3, fields_blank=2, rows=9)
REFUSED = PageCounts(pages_in=1, pages_refused=1, page_reasons={"cut-off": 1})


def test_counts_add_up_by_reason() -> None:
    total = READ + REFUSED + REFUSED + PageCounts()
    assert (total.pages_in, total.pages_read, total.pages_refused) == (3, 1, 2)
    assert total.page_reasons == {"cut-off": 2}
    total.check("scans/")


def test_a_page_or_a_field_that_is_lost_is_found() -> None:
    for lost in (
        PageCounts(pages_in=2, pages_read=1),
        PageCounts(pages_in=1, pages_refused=1),
        PageCounts(pages_in=1, pages_read=1, fields_in=2, fields_cut=1),
        PageCounts(pages_in=1, pages_read=1, fields_in=1, fields_refused=1),
    ):
        with pytest.raises(InternalError, match="does not balance"):
            lost.check("scans/")


def test_counts_are_read_back_from_a_receipt() -> None:
    total = READ + REFUSED
    assert PageCounts.of_facts({**total.facts(), "kind": "forms"}) == total
    for damage in ({"rows": None}, {"page_reasons": {"cut-off": "1"}}, {"pages_in": 3}):
        with pytest.raises(ValueError, match="count"):
            PageCounts.of_facts({**total.facts(), **damage})
