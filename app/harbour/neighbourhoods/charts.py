"""Charts as SVG. Colours come from style.css, by class.

All functions are pure. Each chart has a title and a description for screen readers, and the page
has a table with the same figures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from .analysis import Estimate, Fit, class_of, runs, ticks
from .measures import Area

CLASSES = 5  # colours of the map
LINES = 4  # lines of a time series, which differ in colour, dashes and marks
# A box in an empty part of the map, because the projection excludes Puerto Rico.
PUERTO_RICO_BOX = "M884 562h46v20h-46z"

Show = Callable[[float], str]


def element(name: str, *content: object, **attributes: object) -> Markup:
    """Return an SVG element. Content and attributes are escaped; attributes with None are omitted.

    A trailing underscore of a name is removed, others become hyphens: ``class_``, ``text_anchor``.
    """
    attribute_text = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_plain(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    inside = "".join(str(escape(part)) for part in content)
    # All parts are escaped above.
    return Markup(f"<{name}{attribute_text}>{inside}</{name}>" if inside else f"<{name}{attribute_text}/>")  # noqa: S704


def _plain(value: object) -> object:
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else value


def drawing(
    name: str, box: tuple[int, int], title: str, description: str, *content: object, role: str
) -> Markup:
    """Return a complete drawing with title and description.

    Args:
        name: id and class of the drawing.
        box: width and height.
        title: a short title.
        description: one or two sentences.
        content: elements of the drawing.
        role: ``img``, or ``group`` if it contains links.
    """
    return element(
        "svg",
        element("title", title, id=f"{name}-title"),
        element("desc", description, id=f"{name}-desc"),
        *content,
        class_=f"chart {name}",
        viewBox=f"0 0 {box[0]} {box[1]}",
        role=role,
        aria_labelledby=f"{name}-title",
        aria_describedby=f"{name}-desc",
    )


# --- The map -----------------------------------------------------------------------------------


def choropleth(
    areas: Iterable[Area],
    values: Mapping[str, Estimate],
    bounds: Sequence[float],
    *,
    title: str,
    description: str,
    show: Callable[[Estimate], str],
    link: Callable[[str], str],
) -> Markup:
    """Return a map with areas coloured by class, each a link labelled with its figure.

    Args:
        areas: all areas of the map.
        values: figures by FIPS code; areas without a figure are drawn empty.
        bounds: upper bounds of the classes, except the last.
        title: a short title.
        description: one or two sentences.
        show: formats a figure.
        link: returns an area's URL.
    """
    elements = []
    for area in areas:
        path = area.path or PUERTO_RICO_BOX
        value = values.get(area.fips)
        class_ = f"class-{class_of(value.value, bounds)}" if value else "class-none"
        text = f"{area.name}: {show(value) if value else 'no figure'}"
        elements.append(
            element(
                "a",
                element("title", text),
                element("path", d=path, class_=class_),
                href=link(area.fips),
                aria_label=text,
            )
        )
    caption = element("text", "Puerto Rico", x=907, y=598, text_anchor="middle", aria_hidden="true")
    return drawing("map", (975, 610), title, description, *elements, caption, role="group")


# --- Axes --------------------------------------------------------------------------------------

WIDTH, HEIGHT = 760, 420
LEFT, RIGHT, TOP, BOTTOM = 78, 20, 16, 44


@dataclass(frozen=True)
class Scale:
    """Linear scale from figures to coordinates.

    Attributes:
        low: figure at the start.
        high: figure at the end, larger than `low`.
        start: coordinate of `low`.
        end: coordinate of `high`.
    """

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return the coordinate of a figure."""
        share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)


def _axes(
    x_marks: Sequence[tuple[float, str]], y_marks: Sequence[tuple[float, str]], x: Scale, y: Scale
) -> Markup:
    """Return grid lines with their labels."""
    lines = [
        element("line", x1=LEFT, x2=WIDTH - RIGHT, y1=y(value), y2=y(value), class_="grid")
        for value, _ in y_marks
    ]
    labels = [
        *(element("text", text, x=LEFT - 8, y=y(value) + 5, text_anchor="end") for value, text in y_marks),
        *(
            element("text", text, x=x(value), y=HEIGHT - BOTTOM + 22, text_anchor="middle")
            for value, text in x_marks
        ),
    ]
    axis = element(
        "line",
        x1=LEFT,
        x2=WIDTH - RIGHT,
        y1=HEIGHT - BOTTOM,
        y2=HEIGHT - BOTTOM,
        class_="axis",
    )
    return element("g", *lines, axis, *labels)


# --- Over time ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """One area's figures over time."""

    name: str
    values: Mapping[int, Estimate]


def time_series(lines: Sequence[Line], *, gap: int, title: str, description: str, show: Show) -> Markup:
    """Return a time series with error bars for the margins of error.

    Lines join consecutive years only; gaps stay empty.

    Args:
        lines: at most four.
        gap: a year to mark as not published if it is within the range.
        title: a short title.
        description: one or two sentences.
        show: formats a figure for the axis.
    """
    years = sorted({year for line in lines for year in line.values})
    estimates = [value for line in lines for value in line.values.values()]
    if not estimates:
        return Markup("")
    marks = ticks(
        min(value.value - (value.moe or 0) for value in estimates),
        max(value.value + (value.moe or 0) for value in estimates),
    )
    x = Scale(years[0] - 0.5, years[-1] + 0.5, LEFT, WIDTH - RIGHT)
    y = Scale(marks[0], marks[-1], HEIGHT - BOTTOM, TOP)
    step = 1 if years[-1] - years[0] <= 10 else 2
    labelled = [year for year in range(years[0], years[-1] + 1) if (years[-1] - year) % step == 0]
    parts = [_axes([(year, str(year)) for year in labelled], [(mark, show(mark)) for mark in marks], x, y)]
    if years[0] < gap < years[-1]:
        parts.append(_gap(gap, x))
    for number, line in enumerate(lines):
        parts.append(_line(number, line, x, y))
    return drawing("series", (WIDTH, HEIGHT), title, description, *parts, role="img")


def _gap(year: int, x: Scale) -> Markup:
    middle, height = (x(year), HEIGHT - BOTTOM - TOP)
    return element(
        "g",
        element("rect", x=x(year - 0.5), y=TOP, width=x(year + 0.5) - x(year - 0.5), height=height),
        element(
            "text",
            f"{year}: not published",
            transform=f"translate({middle + 5:.1f} {HEIGHT - BOTTOM - 10}) rotate(-90)",
        ),
        class_="gap",
    )


def _line(number: int, line: Line, x: Scale, y: Scale) -> Markup:
    polylines = [
        element(
            "polyline",
            points=" ".join(f"{x(year):.1f},{y(line.values[year].value):.1f}" for year in run),
        )
        for run in runs(line.values)
        if len(run) > 1
    ]
    bars = [
        element(
            "line",
            x1=x(year),
            x2=x(year),
            y1=y(value.value - value.moe),
            y2=y(value.value + value.moe),
            class_="margin",
        )
        for year, value in line.values.items()
        if value.moe
    ]
    marks = [mark(number, x(year), y(value.value)) for year, value in line.values.items()]
    return element("g", *polylines, *bars, *marks, class_=f"line-{number}")


def mark(number: int, x: float, y: float) -> Markup:
    """Return the mark of a line: a disc, a square, a triangle or a diamond."""
    shapes = (
        "M{0} {1}m-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0z",
        "M{0} {1}m-4-4h8v8h-8z",
        "M{0} {1}m0-5l5 9h-10z",
        "M{0} {1}m0-6l5 6-5 6-5-6z",
    )
    return element("path", d=shapes[number % LINES].format(_plain(x), _plain(y)), class_="mark")


def sample(number: int) -> Markup:
    """Return a short piece of a line for the legend."""
    line = element("line", x1=0, x2=36, y1=9, y2=9)
    group = element("g", line, mark(number, 18.0, 9.0), class_=f"line-{number}")
    return element("svg", group, class_="chart sample", viewBox="0 0 36 18", aria_hidden="true")


# --- Scatter plot ------------------------------------------------------------------------------


def scatter(
    points: Mapping[str, tuple[float, float]],
    line: Fit | None,
    *,
    labels: tuple[str, str],
    title: str,
    description: str,
    show: tuple[Show, Show],
) -> Markup:
    """Return a scatter plot: a disc per area, and the fitted line.

    Args:
        points: x and y by name of the area.
        line: the line, or None; clipped to the range of the points.
        labels: labels of x and y.
        title: a short title.
        description: one or two sentences.
        show: format the figures of the two axes.
    """
    if not points:
        return Markup("")
    xs, ys = [x for x, _ in points.values()], [y for _, y in points.values()]
    x_marks, y_marks = ticks(min(xs), max(xs)), ticks(min(ys), max(ys))
    x = Scale(x_marks[0], x_marks[-1], LEFT, WIDTH - RIGHT - 20)
    y = Scale(y_marks[0], y_marks[-1], HEIGHT - BOTTOM, TOP + 14)
    parts = [
        _axes(
            [(value, show[0](value)) for value in x_marks],
            [(value, show[1](value)) for value in y_marks],
            *(x, y),
        ),
        element("text", labels[1], x=4, y=TOP - 2, class_="name"),
        element(
            "text",
            labels[0],
            x=WIDTH - RIGHT,
            y=HEIGHT - 4,
            text_anchor="end",
            class_="name",
        ),
    ]
    parts += [
        element(
            "circle",
            element("title", f"{name}: {show[0](one)}, {show[1](other)}"),
            cx=x(one),
            cy=y(other),
            r=5,
        )
        for name, (one, other) in points.items()
    ]
    if line:
        ends = min(xs), max(xs)
        # Clip steep lines to the drawing.
        heights = [min(max(line.at(end), y.low), y.high) for end in ends]
        if line.slope:
            ends = tuple(  # type: ignore[assignment]  # still a pair
                end if height == line.at(end) else line.x_at(height)
                for end, height in zip(ends, heights, strict=True)
            )
        parts.append(
            element(
                "line",
                x1=x(ends[0]),
                x2=x(ends[1]),
                y1=y(heights[0]),
                y2=y(heights[1]),
                class_="fit",
            )
        )
    return drawing("scatter", (WIDTH, HEIGHT), title, description, *parts, role="img")
