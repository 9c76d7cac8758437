"""The picture of a sweep: the best so far, and the accuracy over each setting that varied."""

from __future__ import annotations

import io
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from batchdigits.training.sweep.plan import Dimension
from batchdigits.training.sweep.result import SweepResult, Tried

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLUMNS = 3
_PANEL_INCHES = (4.0, 3.0)
_POINT, _BEST, _LINE = "tab:blue", "tab:orange", "tab:gray"
_BELOW = 0.25
"""The share of combinations, the worst, that may be below the axis: they would flatten the rest."""


def draw_sweep(result: SweepResult) -> bytes:
    """Draw a PNG with a panel for the order of the trials and one for each setting."""
    # On its first use on a machine, matplotlib reports on standard error that it builds its fonts.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    panels = 1 + len(result.plan.space)
    columns = min(panels, _COLUMNS)
    rows = -(-panels // columns)
    size = (_PANEL_INCHES[0] * columns, _PANEL_INCHES[1] * rows)
    figure = Figure(figsize=size, layout="constrained")
    axes: list[Axes] = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    whole = [tried for tried in result.tried if tried.log_loss is not None]
    for axis in axes[:panels]:
        axis.set_ylim(*_limits(whole))
    _draw_order(axes[0], whole)
    axes[0].xaxis.set_major_locator(MaxNLocator(integer=True))
    for axis, dimension in zip(axes[1:panels], result.plan.space, strict=True):
        _draw_setting(axis, dimension, whole)
    for axis in axes[panels:]:
        axis.remove()
    left = len(result.tried) - len(whole)
    figure.suptitle(
        f"{len(whole)} combinations in {result.plan.folds} folds of the training rows"
        f"{f', {left} more left early' if left else ''}\n"
        "bars: standard deviation over folds; triangles: below the axis"
    )
    sink = io.BytesIO()
    figure.savefig(sink, format="png", dpi=80, metadata={"Software": None})
    return sink.getvalue()


def _limits(whole: Sequence[Tried]) -> tuple[float, float]:
    """The lowest and highest accuracy to show."""
    least = np.quantile([tried.accuracy for tried in whole], _BELOW)
    shown = [tried for tried in whole if tried.accuracy >= least]
    low = min(tried.accuracy - tried.spread for tried in shown)
    high = max(tried.accuracy + tried.spread for tried in shown)
    room = max((high - low) / 10, 0.001)
    return low - room, high + room


def _draw_order(axis: Axes, whole: Sequence[Tried]) -> None:
    """Draw accuracies in the order of the trials, and a line of the best so far."""
    ordered = sorted(whole, key=lambda tried: tried.number)
    numbers = [tried.number for tried in ordered]
    best = np.maximum.accumulate([tried.accuracy for tried in ordered])
    axis.step(numbers, best, where="post", color=_LINE, label="best so far")
    _draw_points(axis, [(tried.number, tried) for tried in whole])
    axis.set_xlabel("trial")
    axis.set_ylabel("accuracy")
    axis.legend(loc="lower right")


def _draw_setting(axis: Axes, dimension: Dimension, whole: Sequence[Tried]) -> None:
    values = dimension.values
    if values:  # at equal distances
        places: dict[Any, Any] = {value: place for place, value in enumerate(values)}
        _draw_points(axis, [(places[tried.values[dimension.name]], tried) for tried in whole])
        axis.set_xticks(range(len(values)), [f"{value}" for value in values])
        axis.set_xlim(-0.5, len(values) - 0.5)
    else:
        _draw_points(axis, [(tried.values[dimension.name], tried) for tried in whole])
        if dimension.log:
            axis.set_xscale("log")
    axis.set_xlabel(dimension.name.replace("_", " "))
    axis.set_ylabel("accuracy")


def _draw_points(axis: Axes, placed: Sequence[tuple[Any, Tried]]) -> None:
    """Draw each combination with its spread; the first is the winner, drawn as a star."""
    for place, tried in reversed(placed):
        is_best = tried is placed[0][1]
        least, _ = axis.get_ylim()
        if tried.accuracy < least:
            axis.plot([place], [least], marker="v", color=_POINT, alpha=0.5, clip_on=False)
            continue
        axis.errorbar(
            [place],
            [tried.accuracy],
            yerr=[tried.spread],
            fmt="*" if is_best else "o",
            markersize=12 if is_best else 5,
            color=_BEST if is_best else _POINT,
            alpha=1 if is_best else 0.5,
        )
