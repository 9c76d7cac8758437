"""A training as text: the scores of the model, and the combinations of a sweep."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from batchdigits.packing.contents import Scores
from batchdigits.text import table

SHOWN_COMBINATIONS = 20


def format_scores(scores: Scores) -> str:
    """The accuracy, the scores of each class, and the confusion matrix of up to 20 classes."""
    parts = [
        f"accuracy {scores.accuracy:.4f} on {scores.measured_on}",
        table(scores.matrix.score_lines(), right=True),
    ]
    if matrix := scores.matrix.matrix_lines():
        counts = table(matrix, right=True)
        parts.append(f"rows: true class, columns: predicted class\n{counts}")
    return "\n\n".join(parts)


def format_sweep(lines: Sequence[Sequence[str]], study: Path, picture: Path) -> str:
    """The header and the best 20 combinations of `lines`, and where to find all of them."""
    left = len(lines) - 1 - SHOWN_COMBINATIONS
    more = f"and {left} more; " if left > 0 else ""
    return (
        f"{table(lines[: SHOWN_COMBINATIONS + 1])}\n"
        f"{more}the first was chosen by its accuracy in folds of the training rows; trials are in "
        f"{study}, their picture in {picture}"
    )
