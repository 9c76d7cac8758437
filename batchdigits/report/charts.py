"""Charts as SVG with presentation attributes, so that they need neither CSS nor scripts.

Each function returns HTML. A chart has a text for screen readers; its figures are in a table beside
it, which the caller makes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from batchdigits.html import element, escaped
from batchdigits.images import DARKEST, SIDE

BLUE, AMBER, RED, GREY = "#2f6fbe", "#c27c0e", "#c0392b", "#7a828c"
"""Colours that can be read on white and on nearly black, and told apart without hue."""

_FONT = {"font_family": "sans-serif", "font_size": "11"}
_DECIMALS = 1


def bar(share: float, colour: str = BLUE) -> str:
    """Return a horizontal bar for a table's cell; `share` is its length, 0..1."""
    width = min(max(share, 0.0), 1.0) * 120
    filled = element(
        "rect", x=0, y=1, width=_n(max(width, 1.0 if share > 0 else 0)), height=10, fill=colour
    )
    ground = element("rect", x=0, y=1, width=120, height=10, fill=GREY, fill_opacity="0.15")
    return _svg((120, 12), "", ground, filled)


def digit(pixels: Sequence[int], text: str, *, size: int = 56) -> str:
    """Return a row as a picture: 64 ink counts 0..16, black ink on white paper."""
    paths: defaultdict[int, list[str]] = defaultdict(list)
    for at, ink in enumerate(pixels):
        # Eight shades are enough, and half as long.
        level = (max(0, min(int(ink), DARKEST)) + 1) // 2
        if level:
            paths[level].append(f"M{at % SIDE} {at // SIDE}h1v1h-1z")
    ground = element("rect", width=SIDE, height=SIDE, fill="#fff", stroke=GREY, stroke_width="0.1")
    shades = [
        element("path", d="".join(moves), fill="#000", fill_opacity=_n(level / 8, 3))
        for level, moves in sorted(paths.items())
    ]
    return _svg((SIDE, SIDE), text, ground, *shades, size=size)


def grid(values: Sequence[float], text: str, *, most: float) -> str:
    """Return 64 values as the 8x8 pixels of a digit: above 0 blue, below 0 amber.

    most  the value, above 0, that has the full colour
    """
    cells = []
    for at, value in enumerate(values):
        strength = min(abs(value) / most, 1.0) if most else 0.0
        cells.append(
            element(
                "rect",
                x=at % SIDE * 24,
                y=at // SIDE * 24,
                width=23,
                height=23,
                fill=BLUE if value > 0 else AMBER,
                fill_opacity=_n(0.04 + 0.96 * strength, 2),
            )
        )
    side = SIDE * 24
    return _svg((side, side), text, *cells)


def lines(
    names: Sequence[str], series: Sequence[tuple[str, Sequence[float | None], str]], text: str
) -> str:
    """Return shares, 0..1, over the names of nights, as one line a series in its colour.

    series  title, a share or None for each name, colour
    """
    known = [value for _, values, _ in series for value in values if value is not None]
    top = _ceiling(max(known, default=0.0))
    left, width, height = 46, 560, 150
    step = width / max(len(names) - 1, 1)
    parts = []
    for part in (0, 0.5, 1):
        y = 10 + height * (1 - part)
        parts.append(
            element(
                "line",
                x1=left,
                x2=left + width,
                y1=_n(y),
                y2=_n(y),
                stroke=GREY,
                stroke_opacity="0.4",
            )
        )
        parts.append(_text(left - 6, y + 4, f"{top * part:.3g}", anchor="end"))
    for number, (title, values, colour) in enumerate(series):
        points = [
            (left + at * step, 10 + height * (1 - value / top))
            for at, value in enumerate(values)
            if value is not None
        ]
        joined = " ".join(f"{_n(x)},{_n(y)}" for x, y in points)
        dashes = {"stroke_dasharray": "6 3"} if number % 2 else {}
        parts.append(
            element("polyline", points=joined, fill="none", stroke=colour, stroke_width=2, **dashes)
        )
        parts += [element("circle", cx=_n(x), cy=_n(y), r=2.5, fill=colour) for x, y in points]
        parts.append(
            element("rect", x=left + 150 * number, y=height + 32, width=14, height=4, fill=colour)
        )
        parts.append(_text(left + 20 + 150 * number, height + 38, title))
    shown = {0, len(names) - 1, (len(names) - 1) // 2}
    for at in sorted(shown):
        anchor = "start" if at == 0 else "end" if at == len(names) - 1 else "middle"
        parts.append(_text(left + at * step, height + 24, names[at], anchor=anchor))
    return _svg((left + width + 14, height + 46), text, *parts)


def matrix(labels: Sequence[str], counts: Sequence[Sequence[int]], text: str) -> str:
    """Return a confusion matrix: rows are true classes, columns predicted ones.

    Right counts are blue and wrong ones red, the darker the larger share of their row they are.
    """
    side, left, top = 40, 52, 34
    parts = [_text(left + side * len(labels) / 2, 12, "predicted", anchor="middle")]
    for i, (label, row) in enumerate(zip(labels, counts, strict=True)):
        parts.append(_text(left - 8, top + side * i + 24, label[:6], anchor="end"))
        parts.append(_text(left + side * i + 19, top - 8, label[:6], anchor="middle"))
        whole = max(sum(row), 1)
        for j, count in enumerate(row):
            share = count / whole
            strength = 0.04 + (0.86 * share if i == j else min(0.9, 6 * share))
            parts.append(
                element(
                    "rect",
                    x=left + side * j,
                    y=top + side * i,
                    width=side - 1,
                    height=side - 1,
                    fill=BLUE if i == j else RED,
                    fill_opacity=_n(strength if count else 0.04, 2),
                )
            )
            if count:
                parts.append(
                    _text(left + side * j + 19, top + side * i + 24, _short(count), anchor="middle")
                )
    width = left + side * len(labels) + 6
    return _svg((width, top + side * len(labels) + 6), text, *parts)


def reliability(bins: Sequence[tuple[float, float, int]], text: str) -> str:
    """Return accuracy over mean confidence, both 0..1, with the diagonal of an honest confidence.

    bins  mean confidence, accuracy and rows of each bin
    """
    left, side = 40, 240
    most = max((rows for _, _, rows in bins), default=1)
    parts = [
        element("rect", x=left, y=6, width=side, height=side, fill="none", stroke=GREY),
        element(
            "line", x1=left, y1=6 + side, x2=left + side, y2=6, stroke=GREY, stroke_dasharray="4 4"
        ),
    ]
    for part in (0, 0.5, 1):
        parts.append(_text(left - 6, 10 + side * (1 - part), f"{part:g}", anchor="end"))
        parts.append(_text(left + side * part, side + 22, f"{part:g}", anchor="middle"))
    parts.append(_text(left + side / 2, side + 38, "mean confidence", anchor="middle"))
    for confidence, accuracy, rows in bins:
        x, y = left + side * confidence, 6 + side * (1 - accuracy)
        radius = 3 + 6 * (rows / most) ** 0.5
        parts.append(
            element("circle", cx=_n(x), cy=_n(y), r=_n(radius), fill=BLUE, fill_opacity="0.75")
        )
    return _svg((left + side + 16, side + 46), text, *parts)


def _svg(view: tuple[float, float], text: str, *children: str, size: int | None = None) -> str:
    """Return a picture; one without a text is decoration, its figure is in the same table."""
    label = {"role": "img", "aria_label": text} if text else {"aria_hidden": "true"}
    title = element("title", escaped(text)) if text else ""
    width, height = view if size is None else (size, size)
    return element(
        "svg",
        title,
        *children,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {_n(view[0])} {_n(view[1])}",
        width=_n(width),
        height=_n(height),
        **label,
    )


def _text(x: float, y: float, text: str, *, anchor: str = "start") -> str:
    return element(
        "text", escaped(text), x=_n(x), y=_n(y), text_anchor=anchor, fill="currentColor", **_FONT
    )


def _n(value: float, decimals: int = _DECIMALS) -> str:
    """Return a number as short text, the same on every machine."""
    return (
        f"{value:.{decimals}f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
    )


def _short(count: int) -> str:
    for unit, name in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if count >= 10 * unit or (unit == 10**3 and count >= 10_000):
            return f"{count / unit:.3g}{name}"
    return str(count)


def _ceiling(value: float) -> float:
    """Return the least of 1, 2, 5 times a power of ten that is not below the value."""
    for exponent in range(-6, 1):
        for first in (1, 2, 5):
            if first * 10.0**exponent >= value:
                return float(first * 10.0**exponent)
    return 1.0
