"""Sections of a page for the receipts of other commands: forms, fields, reviews."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from batchdigits.report.page import cut, paragraph, rows_table, section, source

SHOWN_RECEIPTS = 20
SHOWN_FIGURES = 40

_TITLES = {"forms": "Forms", "fields": "Fields", "reviewed": "Reviews"}
_LEFT_OUT = {"format", "kind", "batchdigits", "outputs", "options", "inputs", "exit_code"}


def works_section(receipts: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    """Return the figures of each receipt, by kind. Each is a name and what its file holds."""
    kinds: dict[str, list[tuple[str, Mapping[str, Any]]]] = defaultdict(list)
    for name, facts in receipts:
        kinds[str(facts.get("kind"))].append((name, facts))
    parts = []
    for kind, some in sorted(kinds.items()):
        tables = [_figures(name, facts) for name, facts in some[:SHOWN_RECEIPTS]]
        left = len(some) - len(tables)
        more = paragraph(f"and {left:,} more receipts") if left else ""
        parts.append(section(_TITLES.get(kind, kind), *tables, more))
    return "".join(parts)


def _figures(name: str, facts: Mapping[str, Any]) -> str:
    lines = [[source(key), cut(value)] for key, value in _flat(facts, "")]
    return rows_table(["field", "value"], lines[:SHOWN_FIGURES], caption=_caption(name))


def _caption(name: str) -> str:
    return name if len(name) <= SHOWN_FIGURES * 2 else f"…{name[-SHOWN_FIGURES * 2 :]}"


def _flat(facts: Mapping[str, Any], prefix: str) -> list[tuple[str, object]]:
    """Return the counts, texts and numbers of a receipt under their dotted names."""
    result: list[tuple[str, object]] = []
    for key, value in facts.items():
        name = str(key)[:SHOWN_FIGURES]
        if not prefix and name in _LEFT_OUT:
            continue
        if isinstance(value, Mapping):
            result += _flat(value, f"{prefix}{name}.")
        elif isinstance(value, list):
            result.append((f"{prefix}{name}", f"{len(value)} of them"))
        elif value is not None:
            number = type(value) is int and f"{value:,}"
            result.append((f"{prefix}{name}", number or value))
    return result
