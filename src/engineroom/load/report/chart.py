"""One picture in SVG: a frame with two scales, and what is drawn into it.

Colours are the page's (`style.css`), light or dark; a series can be told by its dashes and marks, too.
"""

from dataclasses import dataclass
from xml.etree.ElementTree import Element

import numpy as np

from engineroom.load.report.markup import tag
from engineroom.load.report.scale import Floats, Scale

WIDTH, HEIGHT = 720, 320
LEFT, RIGHT, TOP, BOTTOM = 64, 36, 16, 48
SERIES = 6
"""Colours, dashes and marks that can be told apart."""
MARKS = ("M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0z", "M-3.6-3.6h7.2v7.2h-7.2z", "M0-4.6L4.4 3.4H-4.4z")
CROSS = "M-3.2-3.2L3.2 3.2M-3.2 3.2L3.2-3.2"


@dataclass(frozen=True)
class Words:
    """What a picture says without being seen.

    Attributes:
        name: Its id on the page.
        title: What it shows.
        description: What is to be seen in it.
        x: Label of the axis below.
        y: Label of the axis on the left.
    """

    name: str
    title: str
    description: str
    x: str
    y: str


class Chart:
    """A picture that is being drawn.

    Args:
        x: The axis below.
        y: The axis on the left.
        words: What it is about.
    """

    def __init__(self, x: Scale, y: Scale, words: Words) -> None:
        self.x, self.y = x, y
        ids = f"{words.name}-title {words.name}-description"
        self.svg = tag("svg", role="img", viewBox=f"0 0 {WIDTH} {HEIGHT}", aria_labelledby=ids, class_="chart")
        self.svg.append(tag("title", words.title, id=f"{words.name}-title"))
        self.svg.append(tag("desc", words.description, id=f"{words.name}-description"))
        self._frame(words)

    def line(self, xs: Floats, ys: Floats, series: int, kind: str = "line") -> None:
        """Connect points. A `kind` other than `line` is a class of the style."""
        self._draw("path", kind, series, d="M" + "L".join(self._points(xs, ys)))

    def steps(self, xs: Floats, ys: Floats, series: int) -> None:
        """Connect points by stairs: a figure holds until the next."""
        self.line(np.repeat(xs, 2)[1:], np.repeat(ys, 2)[:-1], series)

    def band(self, xs: Floats, low: Floats, high: Floats, series: int) -> None:
        """Fill what is between two lines."""
        edge = [*self._points(xs, high), *self._points(xs[::-1], low[::-1])]
        self._draw("path", "band", series, d="M" + "L".join(edge) + "z")

    def dots(self, xs: Floats, ys: Floats, series: int) -> None:
        """A small dot for every point; one path for all of them."""
        self._draw("path", "dots", series, d="".join(f"M{point}h0" for point in self._points(xs, ys)))

    def crosses(self, xs: Floats, ys: Floats) -> None:
        """A cross for every point: failures."""
        strokes = "".join(f"M{point}m-3-3l6 6m-6 0l6-6" for point in self._points(xs, ys))
        self.svg.append(tag("path", d=strokes, class_="cross"))

    def mark(self, x: float, y: float, series: int, words: str) -> None:
        """A mark with words that a pointer shows."""
        (place,) = self._points(np.array([x]), np.array([y]))
        shape = tag("path", tag("title", words), d=MARKS[series % len(MARKS)], class_=f"mark s{series % SERIES}")
        shape.set("transform", f"translate({place})")
        self.svg.append(shape)

    def columns(self, edges: Floats, bottoms: Floats, tops: Floats, series: int) -> None:
        """Upright columns between neighbouring edges, in one path."""
        left, right = self._x(edges[:-1]), self._x(edges[1:])
        low, high = self._y(bottoms), self._y(tops)
        shapes = [
            f"M{a:.1f} {b:.1f}V{c:.1f}H{d:.1f}V{b:.1f}z"
            for a, b, c, d in zip(left, low, high, right - 0.6, strict=True)
            if b - c > 0.05
        ]
        self._draw("path", "fill", series, d="".join(shapes) or "M0 0")

    def level(self, y: float, words: str) -> None:
        """A level line across, with its words above it."""
        at = float(self._y(np.array([y]))[0])
        self.svg.append(tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=at, y2=at, class_="level"))
        above = at - 5 if at > TOP + 16 else at + 14
        self.svg.append(tag("text", words, x=LEFT + 7, y=above, class_="level"))

    def _draw(self, name: str, kind: str, series: int, **attributes: str | float) -> None:
        self.svg.append(tag(name, class_=f"{kind} s{series % SERIES}", **attributes))

    def _x(self, values: Floats) -> Floats:
        places: Floats = LEFT + (WIDTH - LEFT - RIGHT) * self.x.share(values)
        return places

    def _y(self, values: Floats) -> Floats:
        places: Floats = HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * self.y.share(values)
        return places

    def _points(self, xs: Floats, ys: Floats) -> list[str]:
        return [f"{x:.1f} {y:.1f}" for x, y in zip(self._x(xs).tolist(), self._y(ys).tolist(), strict=True)]

    def _frame(self, words: Words) -> None:
        base, middle = HEIGHT - BOTTOM, (LEFT + WIDTH - RIGHT) / 2
        for value, text in self.y.ticks:
            at = float(self._y(np.array([value]))[0])
            self.svg.append(tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=at, y2=at, class_="grid"))
            self.svg.append(tag("text", text, x=LEFT - 8, y=at + 4, class_="end"))
        for value, text in self.x.ticks:
            at = float(self._x(np.array([value]))[0])
            self.svg.append(tag("line", x1=at, x2=at, y1=base, y2=base + 5, class_="tick"))
            self.svg.append(tag("text", text, x=at, y=base + 19, class_="middle"))
        self.svg.append(tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=base, y2=base, class_="tick"))
        self.svg.append(tag("text", words.x, x=middle, y=HEIGHT - 6, class_="middle label"))
        up = f"translate(14 {(TOP + base) / 2:.0f}) rotate(-90)"
        self.svg.append(tag("text", words.y, transform=up, class_="middle label"))


def legend(entries: dict[str, tuple[int, str]]) -> Element:
    """What the series of a picture are.

    Args:
        entries: Words, each with its series and how that is drawn: `line`, `thin`, `fill`, `dots`, `band` or `cross`.
    """
    return tag("ul", *(tag("li", _key(*how), words) for words, how in entries.items()), class_="legend")


def _key(series: int, kind: str) -> Element:
    shapes = {"cross": CROSS, "dots": "M0 0h0", "fill": "M-9-5h18v10h-18z", "band": "M-9-5h18v10h-18z"}
    drawn = tag("path", d=shapes.get(kind, "M-12 0h24"), class_=f"{kind} s{series % SERIES}")
    mark = tag("path", d=MARKS[series % len(MARKS)], class_=f"mark s{series % SERIES}") if kind == "marked" else None
    return tag("svg", drawn, mark, viewBox="-13 -7 26 14", class_="key", aria_hidden="true")
