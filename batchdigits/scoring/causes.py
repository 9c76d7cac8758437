"""Why rows go to review: a fixed list in a fixed order."""

from __future__ import annotations

CAUSES: dict[str, str] = {
    "little-ink": "less ink than a digit has: blank, or scaled wrongly",
    "much-ink": "more ink than a digit has: inverted, blotted, crossed out",
    "pale": "the darkest pixel is lighter than a digit's: faint, or scaled wrongly",
    "strange": "further from every usual digit than digits are",
    "low-confidence": "the confidence is below the threshold",
}
"""Why a row goes to review, and what it means; of several that fit the first is given."""
