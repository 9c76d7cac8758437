"""The columns of fields, and the causes for which a field goes to review."""

from __future__ import annotations

CAUSES: dict[str, str] = {
    "scattered": "its cells are not neighbours in the predictions",
    "doubled": "two of its cells have the same position",
    "rejected": "a cell was rejected, or a row that may be its cell",
    "unreadable": "a reviewer could not read a cell, or called it no digit",
    "gap": "a position between its first cell and its last has no cell",
    "length": "it has fewer or more cells than it should",
    "check": "its check digit is wrong",
    "pattern": "it does not match the pattern, nor does anything that is probable",
    "values": "it is not among the allowed values, nor is anything that is probable",
    "corrected": "the most probable allowed text is not the one that the cells give",
    "probability": "its probability is below the limit",
    "cell": "the decision about one of its cells is review",
}
"""The causes, in the order in which the first that applies is written."""

UNKNOWN = "?"
"""The character for a cell that can't be read, so that a text never looks like a shorter number."""

TEMPLATE = "template"
"""The column that names the template of a page, where there are several."""

TEMPLATE_FIELD = "field"
"""The column that names the field of a template."""

ADDED_COLUMNS = (
    "text",
    "cells",
    "probability",
    "weakest",
    "weakest_position",
    "read",
    "decision",
    "cause",
)
"""The columns that follow those of the group."""
