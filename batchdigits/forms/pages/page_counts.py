"""The ledger of pages and fields: what came in is read, blank, or refused with a reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from batchdigits.errors import InternalError
from batchdigits.forms.publish import read_ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class PageCounts:
    """The counts of a run. A document that can't be opened counts as one page.

    pages_in       = pages_read + pages_refused
    fields_in      of the pages that were read = fields_cut + fields_blank + fields_refused
    rows           cells with a character, and blank ones if they were asked for
    cells_blank    printed cells without a character, in fields that were cut
    page_reasons   refused pages by reason, field_reasons refused fields
    """

    pages_in: int = 0
    pages_read: int = 0
    pages_refused: int = 0
    page_reasons: Mapping[str, int] = field(default_factory=dict)
    fields_in: int = 0
    fields_cut: int = 0
    fields_blank: int = 0
    fields_refused: int = 0
    field_reasons: Mapping[str, int] = field(default_factory=dict)
    rows: int = 0
    cells_blank: int = 0

    def __add__(self, other: PageCounts) -> PageCounts:
        """Return the counts of both."""
        sums: dict[str, Any] = {}
        for name in self.__slots__:
            one, more = getattr(self, name), getattr(other, name)
            sums[name] = one + more if isinstance(one, int) else _added(one, more)
        return PageCounts(**sums)

    @property
    def add_up(self) -> bool:
        """Whether pages and fields are used, or refused for a reason."""
        pages = self.pages_read + self.pages_refused
        fields = self.fields_cut + self.fields_blank + self.fields_refused
        reasons = sum(self.page_reasons.values()), sum(self.field_reasons.values())
        return (pages, fields, reasons) == (
            self.pages_in,
            self.fields_in,
            (self.pages_refused, self.fields_refused),
        )

    def check(self, where: str) -> None:
        """Raise InternalError unless the counts add up."""
        if not self.add_up:
            raise InternalError(
                f"{where}: the ledger does not balance: {self.facts()}; nothing was published; "
                "please report this"
            )

    def facts(self) -> dict[str, Any]:
        """Return the counts as receipts and summaries hold them."""
        return asdict(self)

    @classmethod
    def of_facts(cls, facts: Mapping[str, Any]) -> Self:
        """Read the counts in a receipt. Raises ValueError unless they are counts that add up."""
        return read_ledger(cls, cls.__slots__, facts)


def _added(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted((Counter(one) + Counter(other)).items()))
