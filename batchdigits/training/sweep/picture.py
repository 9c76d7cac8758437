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
_ONE, _BEST, _LEFT = "tab:blue", "tab:orange", "tab:gray"
_BELOW = 0.25
"""This part of the combinations, the worst, may lie below the axis: they would flatten the rest."""


def draw_sweep(result: SweepResult) -> bytes:
    """A PNG with one panel for the order of trials and one for each setting."""
    # The first use of fonts on a machine would say so on standard error.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    panels = 1 + len(result.plan.space)
    columns = min(panels, _COLUMNS)
    rows = -(-panels // columns)
    size = (_PANEL_INCHES[0] * columns, _PANEL_INCHES[1] * rows)
    figure = Figure(figsize=size, layout="constrained")
    axes: list[Axes] = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    whole = [one for one in result.tried if one.log_loss is not None]
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
        "bars: standard deviation over folds; triangles: lower than the axis goes"
    )
    sink = io.BytesIO()
    figure.savefig(sink, format="png", dpi=80, metadata={"Software": None})
    return sink.getvalue()


def _limits(whole: Sequence[Tried]) -> tuple[float, float]:
    """The lowest and highest accuracy to show."""
    least = np.quantile([one.accuracy for one in whole], _BELOW)
    shown = [one for one in whole if one.accuracy >= least]
    low = min(one.accuracy - one.spread for one in shown)
    high = max(one.accuracy + one.spread for one in shown)
    room = max((high - low) / 10, 0.001)
    return low - room, high + room


def _draw_order(axis: Axes, whole: Sequence[Tried]) -> None:
    """Accuracies in the order of trials, and the best until then as a line."""
    ordered = sorted(whole, key=lambda one: one.number)
    numbers = [one.number for one in ordered]
    best = np.maximum.accumulate([one.accuracy for one in ordered])
    axis.step(numbers, best, where="post", color=_LEFT, label="best so far")
    _draw_points(axis, [(one.number, one) for one in whole])
    axis.set_xlabel("trial")
    axis.set_ylabel("accuracy")
    axis.legend(loc="lower right")


def _draw_setting(axis: Axes, dimension: Dimension, whole: Sequence[Tried]) -> None:
    values = dimension.values
    if values:  # evenly apart, whatever they are
        places: dict[Any, Any] = {value: place for place, value in enumerate(values)}
        _draw_points(axis, [(places[one.values[dimension.name]], one) for one in whole])
        axis.set_xticks(range(len(values)), [f"{value}" for value in values])
        axis.set_xlim(-0.5, len(values) - 0.5)
    else:
        _draw_points(axis, [(one.values[dimension.name], one) for one in whole])
        if dimension.log:
            axis.set_xscale("log")
    axis.set_xlabel(dimension.name.replace("_", " "))
    axis.set_ylabel("accuracy")


def _draw_points(axis: Axes, placed: Sequence[tuple[Any, Tried]]) -> None:
    """Each combination with its spread; the first, which won, stands out."""
    for place, one in reversed(placed):
        is_best = one is placed[0][1]
        least, _ = axis.get_ylim()
        if one.accuracy < least:
            axis.plot([place], [least], marker="v", color=_ONE, alpha=0.5, clip_on=False)
            continue
        axis.errorbar(
            [place],
            [one.accuracy],
            yerr=[one.spread],
            fmt="*" if is_best else "o",
            markersize=12 if is_best else 5,
            color=_BEST if is_best else _ONE,
            alpha=1 if is_best else 0.5,
        )
