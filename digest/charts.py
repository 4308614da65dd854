"""Charts as inline SVG: no script, no style sheet of their own, readable in light and dark.

Colours are attributes, which the pages' Content-Security-Policy lets through; what is drawn is told
in words, too, for who does not see it.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from html import escape
from math import floor, log10
from typing import Literal

_WIDTH, _HEIGHT = 600, 200
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 8, 8, 24
# Told apart in light and dark, and by who does not see red and green (Okabe and Ito, 2008).
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
_AXIS_LABELS = 8

Values = Sequence[float | None]
_Place = Callable[[float], float]


def chart(
    title: str,
    xs: Sequence[str],
    series: Mapping[str, Values],
    *,
    kind: Literal["line", "bar"] = "line",
) -> str:
    """An <svg> of one or more series over the labels `xs`; bars are stacked, None is a gap.

    Values are at least 0.
    """
    stacked = [sum(v or 0.0 for v in column) for column in zip(*series.values(), strict=True)]
    known = [v for values in series.values() for v in values if v is not None]
    top = _round_up(max([0.0, *(stacked if kind == "bar" else known)]))
    wide, high = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
    step = wide / max(len(xs), 1)

    def x(i: float) -> float:
        return round(_LEFT + step * (i + 0.5), 1)

    def y(value: float) -> float:
        return round(_TOP + high * (1 - value / top), 1)

    parts = [
        (
            f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT + 20}" role="img" width="100%" '
            'xmlns="http://www.w3.org/2000/svg" font-family="sans-serif" font-size="12" '
            'fill="currentColor">'
        ),
        f"<title>{escape(title)}</title><desc>{escape(_in_words(xs, series))}</desc>",
    ]
    for share in (0.0, 0.5, 1.0):
        at = y(top * share)
        parts.append(
            f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{at}" y2="{at}" '
            'stroke="currentColor" stroke-opacity="0.2"/>'
            f'<text x="{_LEFT - 6}" y="{at + 4}" text-anchor="end">{_short(top * share)}</text>'
        )
    every = max(1, -(-len(xs) // _AXIS_LABELS))
    parts += [
        f'<text x="{x(i)}" y="{_HEIGHT - 6}" text-anchor="middle">{escape(xs[i])}</text>'
        for i in range(0, len(xs), every)
    ]
    below = [0.0] * len(xs)
    for n, (name, values) in enumerate(series.items()):
        colour = _COLOURS[n % len(_COLOURS)]
        if kind == "bar":
            parts += _bars(values, below, colour, x, y, step)
        else:
            parts += _lines(values, colour, x, y)
        parts.append(
            f'<rect x="{_LEFT + 150 * n}" y="{_HEIGHT + 4}" width="10" height="10" '
            f'fill="{colour}"/><text x="{_LEFT + 150 * n + 16}" y="{_HEIGHT + 13}">'
            f"{escape(name)}</text>"
        )
    return "".join([*parts, "</svg>"])


def _bars(
    values: Values, below: list[float], colour: str, x: _Place, y: _Place, step: float
) -> list[str]:
    wide = round(min(step * 0.7, 40.0), 1)
    parts = []
    for i, value in enumerate(values):
        if value:
            base, below[i] = below[i], below[i] + value
            parts.append(
                f'<rect x="{round(x(i) - wide / 2, 1)}" y="{y(below[i])}" width="{wide}" '
                f'height="{round(y(base) - y(below[i]), 1)}" fill="{colour}"/>'
            )
    return parts


def _lines(values: Values, colour: str, x: _Place, y: _Place) -> list[str]:
    runs: list[list[str]] = [[]]
    for i, value in enumerate(values):
        if value is None:
            runs.append([])
        else:
            runs[-1].append(f"{x(i)},{y(value)}")
    return [
        f'<polyline points="{" ".join(run)}" fill="none" stroke="{colour}" stroke-width="2"/>'
        if len(run) > 1
        else '<circle cx="{}" cy="{}" r="3" fill="{}"/>'.format(*run[0].split(","), colour)
        for run in runs
        if run
    ]


def _round_up(value: float) -> float:
    """The next of 1, 2, 5, 10 and so on."""
    # Of what is smaller, 10 to its power is nothing.
    if value < sys.float_info.min:
        return 1.0
    power = 10.0 ** floor(log10(value))
    return next(step * power for step in (1, 2, 5, 10) if value <= step * power * (1 + 1e-9))


def _short(value: float) -> str:
    if value >= 1000:
        return f"{value / 1000:g}k"
    return f"{value:.3g}"


def _in_words(xs: Sequence[str], series: Mapping[str, Values]) -> str:
    said = []
    for name, values in series.items():
        known = [(label, v) for label, v in zip(xs, values, strict=True) if v is not None]
        if known:
            (first, a), (last, b) = known[0], known[-1]
            said.append(f"{name}: {_short(a)} ({first}) to {_short(b)} ({last})")
    return "; ".join(said) or "Nothing yet."
